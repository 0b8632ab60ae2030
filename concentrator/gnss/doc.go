// Package gnss has the time and the place that a satellite receiver tells over a serial line.
//
// A receiver says each second which time it is (NMEA RMC, or NAV-TIMEGPS of u-blox) and where it is
// (NMEA GGA), some tenths of a second after a pulse on a line of its own. The concentrator chip
// keeps its counter's value at that pulse. Both together relate the counter to GPS time:
//
//	pulse    ──┬───────────────────────┬────────▶
//	           │  RMC, TIMEGPS         │
//	tty      ──┴──────█████────────────┴──█████─▶
//	counter    kept by the chip
//
// A Receiver reads the line, takes the pulses from the driver of the chip, and knows the GPS time
// of each value of the counter, until 30 s after the last pulse that fitted.
package gnss
