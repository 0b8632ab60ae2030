package board

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// GatewayOptions configures a Gateway.
type GatewayOptions struct {
	Board *Board        // for messages
	Chip  sx1302.Config // the set-up of the chip
	EUI   radio.EUI64   // of the gateway; zero stands for that of the chip
	Until radio.EUI64   // a stand-in for the EUI until the chip has told it

	Open    func() (*Hardware, error) // opens the board; required
	Now     func() radio.HostTime     // the host's clock; required
	Logger  *slog.Logger              // required
	Silence time.Duration             // see sx1302.DriverOptions
	Noise   time.Duration             // NoiseEvery of sx1302.DriverOptions
	GNSS    sx1302.GNSS               // likewise
}

// Gateway runs a gateway with a concentrator: it opens the board and runs the
// driver of the chip. After a failure, at the start or later, it tells the sink,
// closes the board and tries again. The rest of the program runs on without the
// chip.
type Gateway struct {
	opts    GatewayOptions
	reserve atomic.Int32 // see sx1302.DriverOptions.PowerReserve

	mu     sync.Mutex         // guards the fields below
	eui    radio.EUI64        // zero: that of the chip, which is still unknown
	until  radio.EUI64        // the stand-in for eui
	driver *sx1302.Driver     // nil: the board is not open
	err    error              // why the board is not open
	past   sx1302.DriverStats // counts of the earlier drivers
}

var _ concentrator.Driver = (*Gateway)(nil)

// Pause between two attempts to open a board.
const (
	minReopen = time.Second
	maxReopen = time.Minute
)

// NewGateway returns a Gateway. Run opens the board.
func NewGateway(o GatewayOptions) *Gateway { return &Gateway{opts: o, eui: o.EUI, until: o.Until} }

// SetPowerReserve sets by how many dB a downlink may exceed its power.
func (g *Gateway) SetPowerReserve(reserve radio.Decibel) { g.reserve.Store(int32(reserve)) }

// Continue takes over the identity of another gateway whose chip this one drives
// from now on: its stand-in and, with chip, the EUI that the chip has told. It is
// called before Run.
func (g *Gateway) Continue(other *Gateway, chip bool) {
	other.mu.Lock()
	eui, until := other.eui, other.until
	other.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = until
	if chip {
		g.eui = eui
	}
}

// Until returns the stand-in for the EUI.
func (g *Gateway) Until() radio.EUI64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until
}

// EUI returns the EUI of the gateway, or its stand-in while the EUI is unknown.
func (g *Gateway) EUI() radio.EUI64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.driver != nil && !g.driver.EUI().IsZero():
		return g.driver.EUI()
	case g.eui.IsZero():
		return g.until
	}
	return g.eui
}

// Stats returns the counts since NewGateway.
func (g *Gateway) Stats() sx1302.DriverStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.driver == nil {
		return g.past
	}
	return g.past.Plus(g.driver.Stats())
}

// Noise returns the noise floors that were measured since the board was opened.
func (g *Gateway) Noise() []sx1302.Noise {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.driver == nil {
		return nil
	}
	return g.driver.Noise()
}

// Fault returns why the concentrator cannot be used, or nil.
func (g *Gateway) Fault() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Transmit implements concentrator.Driver.
func (g *Gateway) Transmit(d radio.Downlink) error {
	g.mu.Lock()
	driver := g.driver
	g.mu.Unlock()
	if driver == nil {
		return fmt.Errorf("%w: the concentrator could not be opened", concentrator.ErrGateway)
	}
	return driver.Transmit(d)
}

// Run implements concentrator.Driver.
func (g *Gateway) Run(ctx context.Context, sink concentrator.Sink) error {
	o := &g.opts
	wait := minReopen
	for {
		began := o.Now()
		err := g.contained(ctx, sink)
		if ctx.Err() != nil {
			return nil
		}
		if o.Now().Sub(began) > maxReopen {
			wait = minReopen
		}
		g.mu.Lock()
		g.err = err
		g.mu.Unlock()
		o.Logger.Error("concentrator cannot be used",
			"board", o.Board.Name, "device", o.Board.Device, "error", err, "retry_in", wait)
		sink.GatewayEvent(radio.GatewayEvent{
			Gateway: g.EUI(), Kind: radio.GatewayFailed, At: o.Now(), Address: o.Board.Device, Fault: err.Error(),
		})
		if sx1302.Sleep(ctx, wait) != nil {
			return nil
		}
		wait = min(2*wait, maxReopen)
	}
}

// contained is work without panics. The driver contains its own.
func (g *Gateway) contained(ctx context.Context, sink concentrator.Sink) error {
	return sx1302.Contain(g.opts.Logger, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.leaveDriver()
		g.past.Faults++
	}, func() error { return g.work(ctx, sink) })
}

// work opens the board and runs its driver until ctx ends or the driver gives up.
func (g *Gateway) work(ctx context.Context, sink concentrator.Sink) (err error) {
	o := &g.opts
	h, err := o.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	driver, err := g.newDriver(h)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.driver, g.err = driver, nil
	g.mu.Unlock()
	err = driver.Run(ctx, sink)
	g.mu.Lock()
	g.leaveDriver()
	g.mu.Unlock()
	return err
}

// leaveDriver keeps what is known of the driver, if there is one. mu is held.
func (g *Gateway) leaveDriver() {
	if d := g.driver; d != nil {
		g.driver, g.eui, g.past = nil, d.EUI(), g.past.Plus(d.Stats())
	}
}

// newDriver returns a driver for an open board.
func (g *Gateway) newDriver(h *Hardware) (*sx1302.Driver, error) {
	o := &g.opts
	firmware, err := h.Firmware()
	if err != nil {
		return nil, err
	}
	chip, err := sx1302.New(h.Conn, o.Chip, sx1302.Options{
		Firmware: firmware, Reset: h.Reset, MaxTransfer: h.MaxTransfer, SX1261: h.SX1261,
	})
	if err != nil {
		return nil, err
	}
	return sx1302.NewDriver(sx1302.DriverOptions{
		Chip: chip, EUI: g.eui, Until: g.until, Now: o.Now, Logger: o.Logger, Temperature: h.Temperature,
		Silence: o.Silence, NoiseEvery: o.Noise, GNSS: o.GNSS, Timer: h.Timer,
		PowerReserve: func() radio.Decibel { return radio.Decibel(g.reserve.Load()) },
	})
}
