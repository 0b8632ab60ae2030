package sx1302

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// DriverOptions configures a Driver.
type DriverOptions struct {
	Chip   *Chip
	EUI    radio.EUI64           // of the gateway; zero takes that of the chip
	Until  radio.EUI64           // stands in for the EUI until that is known
	Now    func() radio.HostTime // the host's clock; required
	Logger *slog.Logger          // default slog.Default()

	// Temperature reads the sensor of the board, in 1/256 °C; nil is none. It is
	// called from one goroutine, while the chip runs, every 10 s, also after errors:
	// see Sensor.
	Temperature func() (int32, error)

	// PowerReserve returns how much more than its Power a Downlink may be sent with,
	// dB, if the radio cannot send as little; nil is nothing.
	PowerReserve func() radio.Decibel

	// Poll is how often the chip is asked for what it has heard; default 10 ms.
	Poll time.Duration

	// Timer makes the timer that the loop sleeps with; nil is one of package time.
	Timer func() (Timer, error)

	// Silence is the time without any frame after which the chip is started again;
	// 0 never does.
	Silence time.Duration
}

// Figures of the loop.
const (
	receiveEvery     = 10 * time.Millisecond
	healthEvery      = time.Minute
	temperatureEvery = 10 * time.Second
	maxSkew          = time.Millisecond      // of counter and host between two readings
	maxArmSkew       = 20 * time.Millisecond // of them when a packet is armed
	maxDoubts        = 3                     // readings of the counter in a row that do not fit
	maxBusErrors     = 3                     // in a row
	maxBadRecords    = 50                    // between two checks of the health
	minBackoff       = time.Second
	maxBackoff       = time.Minute
	stableAfter      = 2 * time.Minute // that the back-off begins anew
	inboxSize        = 32
	fskDeviation     = 25_000 // Hz, of LoRaWAN
	stopWithin       = 2 * time.Second
	freeWithin       = 20 * time.Millisecond // a transmitter is free after an abort
	maxFailedStarts  = 5                     // in a row, until the board is to be opened anew
)

// Reasons to start the chip again.
var (
	errHang       = errors.New("the counter stands still")
	errStepped    = errors.New("the counter has stepped")
	errBadRecords = errors.New("too many bad records")
	errSilent     = errors.New("nothing was heard for too long")
)

// Driver is the gateway that the chip is a part of. It implements
// concentrator.Driver.
//
// It starts the chip again, with back-off, after an error of the bus that stays, a
// counter that stands still or steps, a parity error, a flood of bad records or too
// long a silence. Downlinks that wait then are answered with TxNoPath; none is sent at
// a wrong time.
type Driver struct {
	opts  DriverOptions
	log   *slog.Logger
	chip  *Chip
	inbox chan radio.Downlink
	jit   *concentrator.JIT
	clock radio.Clock

	temperature atomic.Pointer[int32] // that was measured and not used yet, 1/256 °C
	measured    chan struct{}         // closed when measure has ended; nil before. Only Run uses it

	mu      sync.Mutex // guards all below, and sends to inbox
	running bool
	eui     radio.EUI64
	stats   DriverStats
}

var _ concentrator.Driver = (*Driver)(nil)

// DriverStats counts since NewDriver.
type DriverStats struct {
	Starts      uint64 // that succeeded
	Failures    uint64 // starts that failed and runs that ended in an error
	BadCRC      uint64 // frames that were left out for their CRC, or because they had none
	Ghosts      uint64 // frames that were heard a second time beside their channel
	Forwarded   uint64 // frames that were handed on
	ChannelBusy uint64 // downlinks that LBT did not let go
	Missed      uint64 // downlinks that the chip did not send at their time, though they were armed
	Receive     ReceiveStats
	JIT         concentrator.JITStats
}

// Plus returns the counts of two drivers, of which o is the later one.
func (s DriverStats) Plus(o DriverStats) DriverStats {
	s.Starts += o.Starts
	s.Failures += o.Failures
	s.BadCRC += o.BadCRC
	s.Ghosts += o.Ghosts
	s.Forwarded += o.Forwarded
	s.ChannelBusy += o.ChannelBusy
	s.Missed += o.Missed
	s.Receive.Packets += o.Receive.Packets
	s.Receive.BadRecords += o.Receive.BadRecords
	s.Receive.LostBytes += o.Receive.LostBytes
	s.Receive.BadPayload += o.Receive.BadPayload
	s.Receive.Torn += o.Receive.Torn
	s.JIT = s.JIT.Plus(o.JIT)
	return s
}

// NewDriver returns the Driver of a chip, which nobody else may use. Run does the
// work.
func NewDriver(o DriverOptions) (*Driver, error) {
	if o.Chip == nil || o.Now == nil {
		return nil, errors.New("sx1302: no chip or no clock")
	}
	if o.Poll <= 0 {
		o.Poll = receiveEvery
	}
	if o.Timer == nil {
		o.Timer = func() (Timer, error) { return newRuntimeTimer(), nil }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Driver{
		opts: o, log: o.Logger, chip: o.Chip, eui: o.EUI,
		inbox: make(chan radio.Downlink, inboxSize), jit: concentrator.NewJIT(o.Chip.config.jitOptions()),
	}, nil
}

// Stats returns the counts so far.
func (d *Driver) Stats() DriverStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

func (d *Driver) count(f func(*DriverStats)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.stats)
}

// EUI returns the identity of the gateway; zero if it is that of a chip that was
// not started yet.
func (d *Driver) EUI() radio.EUI64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.eui
}

// Transmit implements concentrator.Driver. The TxAck comes when it is known that
// the packet cannot be sent, or else up to 20 ms after its time: when the chip has
// been seen to send it.
func (d *Driver) Transmit(dl radio.Downlink) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.running || dl.Gateway != d.eui {
		return fmt.Errorf("sx1302: %w: %v does not run", concentrator.ErrGateway, dl.Gateway)
	}
	select {
	case d.inbox <- dl:
		return nil
	default:
		return fmt.Errorf("sx1302: %w: %v has %d downlinks to look at", concentrator.ErrGateway, dl.Gateway, inboxSize)
	}
}

// Run implements concentrator.Driver. It returns an error if the chip cannot do
// what it is configured for or its firmware is missing, and when the port is gone or after a
// few failed starts in a row, for the caller to open the board anew. After other faults it starts the chip
// again.
func (d *Driver) Run(ctx context.Context, sink concentrator.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.endMeasuring(cancel)
	backoff, failedStarts := minBackoff, 0
	for {
		began, starts := d.opts.Now(), d.Stats().Starts
		err := d.runOnce(ctx, sink)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrConfig) || errors.Is(err, ErrImage) || errors.Is(err, ErrGone) {
			return err
		}
		d.count(func(s *DriverStats) { s.Failures++ })
		if failedStarts++; d.Stats().Starts > starts {
			failedStarts = 0
		}
		if failedStarts == maxFailedStarts {
			return err
		}
		if d.opts.Now().Sub(began) > stableAfter {
			backoff = minBackoff
		}
		d.log.Error("concentrator failed", "error", err, "retry_in", backoff)
		d.event(sink, radio.GatewayEvent{Kind: radio.GatewayFailed, Fault: err.Error()})
		if sleep(ctx, backoff) != nil {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// beginMeasuring has the temperature measured from now on, when the board has
// power, to the end of Run.
func (d *Driver) beginMeasuring(ctx context.Context) {
	if d.opts.Temperature == nil || d.measured != nil {
		return
	}
	done := make(chan struct{})
	d.measured = done
	go func() {
		defer close(done)
		d.measure(ctx)
	}()
}

// endMeasuring waits for the end of a measurement, but not for a bus that hangs.
func (d *Driver) endMeasuring(cancel context.CancelFunc) {
	cancel()
	if d.measured == nil {
		return
	}
	select {
	case <-d.measured:
	case <-time.After(stopWithin):
		d.log.Error("the bus of the temperature sensor hangs")
	}
	d.measured = nil
}

// measure reads the temperature of the board from time to time. The sensor has a
// goroutine of its own, since its bus may hang.
func (d *Driver) measure(ctx context.Context) {
	warned := false
	for {
		t, err := d.opts.Temperature()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			d.temperature.Store(&t)
			warned = false
		case !warned:
			d.log.Warn("no temperature, the last one or 25 °C is used: the RSSI may be off by up to 2 dB", "error", err)
			warned = true
		}
		if sleep(ctx, temperatureEvery) != nil {
			return
		}
	}
}

// runOnce starts the chip, and receives and sends until ctx ends or something fails.
func (d *Driver) runOnce(ctx context.Context, sink concentrator.Sink) error {
	if err := d.chip.Start(ctx); err != nil {
		return err
	}
	d.beginMeasuring(ctx)
	d.clock.Reset()
	s := &session{driver: d, sink: sink}
	if err := s.begin(); err != nil {
		return err
	}
	id := d.chip.Identity()
	d.mu.Lock()
	identified := d.eui.IsZero()
	if identified {
		d.eui = id.EUI
	}
	restarted := d.stats.Starts > 0
	d.stats.Starts++
	d.running = true
	eui := d.eui
	d.mu.Unlock()
	s.eui = eui
	d.log.Info("concentrator started", "gateway", eui, "model", id.Model.String(), "version", id.Version)
	if id.Short {
		d.log.Warn("the SPI port spoils long transfers, short ones are used", "gateway", eui, "bytes", shortTransfer)
	}
	if identified && !d.opts.Until.IsZero() {
		d.event(sink, radio.GatewayEvent{Kind: radio.GatewayIdentified, Was: d.opts.Until})
	}
	d.event(sink, radio.GatewayEvent{Kind: radio.GatewayConnected, Local: true})
	if restarted {
		d.event(sink, radio.GatewayEvent{Kind: radio.GatewayCounterReset})
	}
	err := s.loop(ctx)
	d.end(s)
	d.event(sink, radio.GatewayEvent{Kind: radio.GatewayDisconnected})
	return err
}

// event tells the sink an event of the gateway.
func (d *Driver) event(sink concentrator.Sink, e radio.GatewayEvent) {
	e.Gateway, e.At, e.Address = d.EUI(), d.opts.Now(), d.chip.conn.String()
	if e.Gateway.IsZero() {
		e.Gateway = d.opts.Until
	}
	if !e.Gateway.IsZero() {
		sink.GatewayEvent(e)
	}
}

// end answers all downlinks that were not sent, and stops the chip.
func (d *Driver) end(s *session) {
	d.mu.Lock()
	d.running = false
	d.mu.Unlock()
	d.jit.Drop(func(dl radio.Downlink) { s.done(dl, radio.TxNoPath) })
	s.countReceived()
	for i := range s.armed {
		if p := &s.armed[i]; p.waits {
			s.answer(p, radio.TxNoPath)
		}
	}
	for {
		select {
		case dl := <-d.inbox:
			s.done(dl, radio.TxNoPath)
			continue
		default:
		}
		break
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := d.chip.Stop(ctx); err != nil {
		d.log.Warn("concentrator did not stop", "error", err)
	}
}

// toSend is transmission, with the power reserve of this gateway.
func (d *Driver) toSend(dl *radio.Downlink) Transmission {
	t := transmission(dl)
	if r := d.chip.transmitter(t.Chain); r != nil && d.opts.PowerReserve != nil {
		t.MayExceed = r.LeastPower() <= t.Power+d.opts.PowerReserve()
	}
	return t
}

// transmission turns a Downlink into what the chip sends.
func transmission(dl *radio.Downlink) Transmission {
	t := Transmission{
		Chain: dl.Antenna, Frequency: dl.Frequency, DataRate: dl.DataRate, CodingRate: dl.CodingRate, Power: dl.Power,
		Payload: dl.PHYPayload, NoCRC: dl.DataRate.Modulation == radio.LoRa && !dl.Uplink, InvertPolarity: !dl.Uplink,
		Deviation: fskDeviation,
		Trigger:   TriggerTime, Time: dl.Time.Counter(),
	}
	if t.CodingRate == 0 {
		t.CodingRate = radio.CodingRate45
	}
	if dl.DataRate.Modulation == radio.LoRa && dl.DataRate.SpreadingFactor <= 6 {
		t.Preamble = 12
	}
	return t
}
