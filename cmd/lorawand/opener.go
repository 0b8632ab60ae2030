package main

import (
	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
)

// opener opens the board of a configuration.
type opener func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error)

// newHost returns this host. It remembers which board it has found behind a tty.
func newHost() board.Host {
	ports := &serial.Ports{Lock: board.Linux{}.Lock}
	return board.Linux{OpenUSB: func(device string) (board.USB, error) {
		if device == board.AnyUSB {
			device = serial.Any
		}
		b, err := ports.Open(device)
		if err != nil {
			return nil, err
		}
		return b, nil
	}}
}

// openOn opens a board on a host.
func openOn(h board.Host) opener {
	return func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
		return board.Open(h, &c.Board, func() (sx1302.Firmware, error) {
			return sx1302.LoadFirmware(s.Firmware, c.Chip)
		})
	}
}
