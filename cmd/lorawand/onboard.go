package main

import (
	"fmt"
	"log/slog"
	"reflect"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/gnss"
	"lorawand/concentrator/sx1302/board"
	"lorawand/radio"
)

// onboard is a configured gateway with a concentrator on this host.
type onboard struct {
	*board.Gateway
	conf    config.SX1302
	chip    config.Concentrator
	named   radio.EUI64   // its EUI in the configuration; zero: the chip provides it
	planned radio.Decibel // its power reserve after the next exchange
	stop    func()        // ends Run and waits for its end
	now     func() radio.HostTime
	gnss    *gnss.Receiver // nil: there is none
}

// standIn returns the stand-in for the unknown EUI of concentrator i.
func standIn(i int) radio.EUI64 { return radio.EUI64{6: byte(i >> 8), 7: byte(i + 1)} }

// newOnboard makes the gateway of a configuration, which was checked.
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
	options := board.GatewayOptions{
		Board: &o.chip.Board, Chip: o.chip.Chip, EUI: o.named, Until: until, Now: now, Logger: log,
		Open:    func() (*board.Hardware, error) { return open(&o.conf, &o.chip) },
		Silence: o.conf.Silence.D(), Noise: o.conf.NoiseFloor.D(),
	}
	if o.chip.GNSS != "" {
		o.gnss = newReceiver(o.chip.GNSS, now, log)
		options.GNSS = o.gnss
	}
	o.Gateway = board.NewGateway(options)
	o.SetPowerReserve(o.planned)
	return o, nil
}

// same reports whether both drive their chip with the same settings.
func (o *onboard) same(as *onboard) bool {
	return o.named == as.named && reflect.DeepEqual(o.conf, as.conf) && reflect.DeepEqual(o.chip, as.chip)
}

// halt stops the work with the chip. Plans on its counter are void.
func (o *onboard) halt(sink concentrator.Sink) {
	o.stop()
	sink.GatewayEvent(radio.GatewayEvent{Gateway: o.EUI(), Kind: radio.GatewayCounterReset, At: o.now()})
}
