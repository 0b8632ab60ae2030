package main

import (
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

// opener opens the board of a configuration.
type opener func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error)

// openHardware opens a board of this host.
func openHardware(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	return board.Open(board.Linux{}, &c.Board, func() (sx1302.Firmware, error) {
		return sx1302.LoadFirmware(s.Firmware, c.Chip)
	})
}
