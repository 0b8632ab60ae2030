//go:build !sim

package main

import (
	"log/slog"

	"lorawand/cmd/lorawand/config"
)

// openBoard opens the board of a gateway.
func openBoard(s *config.SX1302, c *config.Concentrator, log *slog.Logger) (*hardware, error) {
	return openHardware(s, c, log)
}
