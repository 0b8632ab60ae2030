package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// onboard is the gateway with the concentrator on board: it opens the board and
// has the chip's driver work with it. What fails, at the start or later, is
// told, and tried again: a missing chip takes nothing else down.
type onboard struct {
	conf  config.SX1302
	chip  config.Concentrator
	named radio.EUI64 // its EUI in the configuration; zero: that of the chip
	until radio.EUI64 // what it goes by until that is known
	stop  func()      // ends Run and waits for that
	open  opener
	now   func() radio.HostTime
	log   *slog.Logger

	reserve atomic.Int32  // see config.Gateway.PowerReserve
	planned radio.Decibel // what that becomes with the next exchange

	mu     sync.Mutex         // guards what follows
	eui    radio.EUI64        // zero: that of the chip, which is not known
	driver *sx1302.Driver     // nil: the board is not open
	err    error              // why
	past   sx1302.DriverStats // of the drivers before this one
}

var _ concentrator.Driver = (*onboard)(nil)

// Between two tries to open a board.
const (
	minReopen = time.Second
	maxReopen = time.Minute
)

// standIn is what concentrator i goes by while its EUI is not known.
func standIn(i int) radio.EUI64 { return radio.EUI64{6: byte(i >> 8), 7: byte(i + 1)} }

// newOnboard makes a gateway of the configuration, which was checked.
func newOnboard(g *config.Gateway, until radio.EUI64, open opener, now func() radio.HostTime, log *slog.Logger) (*onboard, error) {
	o := &onboard{open: open, now: now, log: log, until: until, planned: g.PowerReserve()}
	o.reserve.Store(int32(o.planned))
	if g.SX1302 != nil {
		o.conf = *g.SX1302
	}
	if g.EUI != "" {
		if err := o.named.UnmarshalText([]byte(g.EUI)); err != nil {
			return nil, err
		}
		o.eui = o.named
	}
	var err error
	if o.chip, err = o.conf.Concentrator(g.FrequencyPlan); err != nil {
		return nil, fmt.Errorf("%w: gateway %s: %w", config.ErrConfig, g.ID, err)
	}
	return o, nil
}

// same reports whether both drive their chip in the same way.
func (o *onboard) same(as *onboard) bool {
	return o.named == as.named && reflect.DeepEqual(o.conf, as.conf) && reflect.DeepEqual(o.chip, as.chip)
}

// halt ends the work with the chip. What was planned on its counter is void.
func (o *onboard) halt(sink concentrator.Sink) {
	o.stop()
	sink.GatewayEvent(radio.GatewayEvent{Gateway: o.name(), Kind: radio.GatewayCounterReset, At: o.now()})
}

// Transmit implements concentrator.Driver.
func (o *onboard) Transmit(d radio.Downlink) error {
	o.mu.Lock()
	driver := o.driver
	o.mu.Unlock()
	if driver == nil {
		return fmt.Errorf("%w: the concentrator could not be opened", concentrator.ErrGateway)
	}
	return driver.Transmit(d)
}

// Run implements concentrator.Driver.
func (o *onboard) Run(ctx context.Context, sink concentrator.Sink) error {
	wait := minReopen
	for {
		began := o.now()
		err := o.work(ctx, sink)
		if ctx.Err() != nil {
			return nil
		}
		if o.now().Sub(began) > maxReopen {
			wait = minReopen
		}
		o.fail(err)
		o.log.Error("concentrator cannot be used", "board", o.chip.Board.Name, "device", o.chip.Board.Device, "error", err, "retry_in", wait)
		sink.GatewayEvent(radio.GatewayEvent{
			Gateway: o.name(), Kind: radio.GatewayFailed, At: o.now(), Address: o.chip.Board.Device, Fault: err.Error(),
		})
		if !sleep(ctx, wait) {
			return nil
		}
		wait = min(2*wait, maxReopen)
	}
}

// name is what the gateway goes by at the moment.
func (o *onboard) name() radio.EUI64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.driver != nil && !o.driver.EUI().IsZero():
		return o.driver.EUI()
	case o.eui.IsZero():
		return o.until
	}
	return o.eui
}

// stats returns what was counted since the start of the daemon.
func (o *onboard) stats() sx1302.DriverStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.driver == nil {
		return o.past
	}
	return o.past.Plus(o.driver.Stats())
}

// fault is why the concentrator cannot be used, or nil.
func (o *onboard) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *onboard) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

// work opens the board and works with it until ctx ends or it cannot go on.
func (o *onboard) work(ctx context.Context, sink concentrator.Sink) (err error) {
	h, err := o.open(&o.conf, &o.chip)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	firmware, err := h.Firmware()
	if err != nil {
		return err
	}
	chip, err := sx1302.New(h.Conn, o.chip.Chip, sx1302.Options{Firmware: firmware, Reset: h.Reset, MaxTransfer: h.MaxTransfer, SX1261: h.SX1261})
	if err != nil {
		return err
	}
	driver, err := sx1302.NewDriver(sx1302.DriverOptions{
		Chip: chip, EUI: o.eui, Until: o.until, Now: o.now, Logger: o.log, Temperature: h.Temperature, Silence: o.conf.Silence.D(),
		Timer: h.Timer, PowerReserve: func() radio.Decibel { return radio.Decibel(o.reserve.Load()) },
	})
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.driver, o.err = driver, nil
	o.mu.Unlock()
	err = driver.Run(ctx, sink)
	o.mu.Lock()
	o.driver, o.eui, o.past = nil, driver.EUI(), o.past.Plus(driver.Stats())
	o.mu.Unlock()
	return err
}
