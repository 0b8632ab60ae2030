package main

import (
	"context"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// simulation is a model of the chip on a simulated air.
type simulation struct {
	air  *air.Air
	chip sx1302test.Options
	made func(*sx1302test.Chip) // called with each model; may be nil
}

// open is an opener: each call connects a new board and switches it on.
func (s *simulation) open(_ *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	model := sx1302test.New(s.chip)
	source := &c.Chip.Radios[0]
	receiver := model.OnAir(s.air, sx1302test.OnAirOptions{
		Receiver: air.ReceiverOptions{EUI: radio.EUI64(s.chip.EUI)}, RSSIOffset: source.RSSIOffset, Latch: sx1302.Latch,
		Power: source.Emits,
	})
	if s.made != nil {
		s.made(model)
	}
	return &board.Hardware{
		Conn:     model,
		SX1261:   model.SX1261(),
		Reset:    func(context.Context) error { model.Reset(); return nil },
		Firmware: syntheticFirmware,
		Close:    func() error { receiver.Close(); return nil },
		// At 0 °C the model's level needs no correction.
		Temperature: func() (int32, error) { return 0, nil },
	}, nil
}

// syntheticFirmware returns images that the model accepts. They hold no code.
func syntheticFirmware() (sx1302.Firmware, error) {
	return sx1302.Firmware{
		AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB),
		SX1261: sx1302test.Patch(),
	}, nil
}
