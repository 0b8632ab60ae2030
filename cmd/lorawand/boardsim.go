//go:build sim

package main

import (
	"context"
	"errors"
	"sync"

	"lorawand/cmd/lorawand/config"
	"lorawand/cmd/lorawand/demo"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
)

// openBoard opens the board of a gateway, or a model of the chip on an air of its
// own without devices.
func openBoard(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	if s.Device != config.SimDevice {
		return openHardware(s, c)
	}
	sim := simulation{air: air.New(1), chip: sx1302test.Options{EUI: demo.Gateway}}
	h, err := sim.open(s, c)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = sim.air.Run(ctx) })
	unplug := h.Close
	h.Close = func() error {
		stop()
		wg.Wait()
		return errors.Join(failed, unplug())
	}
	return h, nil
}
