// Package sx1302 drives Semtech's SX1302 and SX1303 concentrator chips with
// SX1250, SX1255 or SX1257 radios, over SPI, without Semtech's library.
//
// A Chip is used in this order: New, Start, then Receive every few
// milliseconds and Send as needed, and Stop. Receive keeps the counters and has
// to be called at least once a minute, frames or not: see counters.
//
// The chip runs two programs of Semtech's, the gain controller (AGC) and the
// arbiter (ARB), and one more for the calibration of SX1255 and SX1257. They
// are not part of this project: see Firmware.
//
// A Driver runs a Chip as a gateway. What the boards are is in package board, the
// production test of a board in package script, a model of the chip in sx1302test; the
// README has the facts of the chip that the code rests on.
//
// Facts are those of Semtech's sx1302_hal 2.1.0 and its register map. Where
// the driver departs from it on purpose, it says so: each poll has a time-out,
// a bad record costs no good ones, a temperature sensor is not needed, and a
// counter that was torn while it was read is read again.
package sx1302
