package main

import (
	"fmt"
	"log/slog"
	"reflect"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/sx1302/board"
	"lorawand/radio"
)

// onboard is a gateway of the configuration with the concentrator on board.
type onboard struct {
	*board.Gateway
	conf    config.SX1302
	chip    config.Concentrator
	named   radio.EUI64   // its EUI in the configuration; zero: that of the chip
	planned radio.Decibel // its power reserve from the next exchange on
	stop    func()        // ends Run and waits for that
	now     func() radio.HostTime
}

// standIn stands in for the EUI of concentrator i while that is not known.
func standIn(i int) radio.EUI64 { return radio.EUI64{6: byte(i >> 8), 7: byte(i + 1)} }

// newOnboard makes a gateway of the configuration, which was checked.
func newOnboard(
	g *config.Gateway, until radio.EUI64, open opener, now func() radio.HostTime, log *slog.Logger,
) (*onboard, error) {
	o := &onboard{now: now, planned: g.PowerReserve()}
	if g.SX1302 != nil {
		o.conf = *g.SX1302
	}
	if g.EUI != "" {
		if err := o.named.UnmarshalText([]byte(g.EUI)); err != nil {
			return nil, err
		}
	}
	var err error
	if o.chip, err = o.conf.Concentrator(g.FrequencyPlan); err != nil {
		return nil, fmt.Errorf("%w: gateway %s: %w", config.ErrConfig, g.ID, err)
	}
	o.Gateway = board.NewGateway(board.GatewayOptions{
		Board: &o.chip.Board, Chip: o.chip.Chip, EUI: o.named, Until: until, Now: now, Logger: log,
		Open:    func() (*board.Hardware, error) { return open(&o.conf, &o.chip) },
		Silence: o.conf.Silence.D(),
	})
	o.SetPowerReserve(o.planned)
	return o, nil
}

// same reports whether both drive their chip in the same way.
func (o *onboard) same(as *onboard) bool {
	return o.named == as.named && reflect.DeepEqual(o.conf, as.conf) && reflect.DeepEqual(o.chip, as.chip)
}

// halt ends the work with the chip. What was planned on its counter is void.
func (o *onboard) halt(sink concentrator.Sink) {
	o.stop()
	sink.GatewayEvent(radio.GatewayEvent{Gateway: o.EUI(), Kind: radio.GatewayCounterReset, At: o.now()})
}
