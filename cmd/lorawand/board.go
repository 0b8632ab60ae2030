//go:build !sim

package main

import (
	"lorawand/cmd/lorawand/config"
)

// openBoard opens the board of a gateway.
func openBoard(s *config.SX1302, c *config.Concentrator) (*hardware, error) {
	return openHardware(s, c)
}
