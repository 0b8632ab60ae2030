// Package sx1302 drives Semtech's SX1302 and SX1303 concentrator chips with
// SX1250, SX1255 or SX1257 radios, over SPI, without Semtech's library.
//
// A Chip is used in this order: New, Start, then Receive every few
// milliseconds and Send as needed, and Stop. Receive keeps the counters and has
// to be called at least once a minute, frames or not: see counters.
//
// The chip runs two of Semtech's programs, the gain controller (AGC) and the
// arbiter (ARB), and a third one for the calibration of SX1255 and SX1257. They are
// not part of this project: see Firmware.
//
// A Driver runs a Chip as a gateway. Package board knows the boards and their reset
// lines (board.Pins), package script the production test of a board, package
// sx1302test a model of the chip. The README has the facts about the chip that the
// code rests on.
//
// The facts come from Semtech's sx1302_hal 2.1.0 and its register map. The driver
// departs from it on purpose in some places, and says so there: each poll has a
// time-out, a bad record costs no good ones, a temperature sensor is not needed,
// and a counter that changed while it was read is read again.
package sx1302
