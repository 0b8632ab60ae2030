// Package serialtest has a model of the USB bridge of a concentrator, a pty to put it on,
// and a port in memory for tests in fake time. What is behind the bridge, it is given: most
// often a model of the chip.
package serialtest
