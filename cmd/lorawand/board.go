//go:build !sim

package main

import (
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302/board"
)

// openBoard opens the board of a gateway.
func openBoard(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	return openHardware(s, c)
}
