//go:build !sim

package main

// newOpener returns what opens the boards of gateways. It remembers which board it has found
// behind a tty.
func newOpener() opener { return openOn(newHost()) }
