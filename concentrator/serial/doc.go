// Package serial reaches concentrators behind a USB bridge: a microcontroller that is a tty
// (CDC-ACM) to the host and has the SPI bus, the lines and the temperature sensor of the
// board on its other side.
//
// A Bridge speaks its protocol over any Port, and is the sx1302.Bridge that the chip's
// driver works with. Ports opens the tty of a board, and finds it again when it comes back
// under another name; List finds all that look like a bridge. A model of the bridge, and
// a pty to put it on, are in package serialtest.
//
// The protocol is that of Semtech's sx1302_spi_usb_bridge, as sx1302_hal 2.1.0 speaks it
// (libloragw/src/loragw_mcu.c): the host asks, the bridge answers, one at a time.
// A request is its number (any, which comes back), size and command, and then so many
// bytes; the answer has the command plus 0x40.
package serial
