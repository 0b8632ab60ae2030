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
	EUI    radio.EUI64           // of the gateway; zero stands for that of the chip
	Until  radio.EUI64           // a stand-in for the EUI until the chip has told it
	Now    func() radio.HostTime // the host's clock; required
	Logger *slog.Logger          // default slog.Default()

	// Temperature reads the sensor of the board, in 1/256 °C; nil: no sensor. One
	// goroutine calls it every 10 s while the chip runs, also after errors: see
	// Sensor.
	Temperature func() (int32, error)

	// PowerReserve returns by how many dB a Downlink may exceed its Power if the
	// radio cannot send with so little; nil: by none.
	PowerReserve func() radio.Decibel

	// Poll is the interval at which the chip is polled; default 10 ms.
	Poll time.Duration

	// Timer makes the timer of the loop; nil: a timer of package time.
	Timer func() (Timer, error)

	// GNSS tells the time at a value of the counter; nil: nothing does.
	GNSS GNSS

	// Silence is the time without any frame after which the chip is restarted; 0:
	// never.
	Silence time.Duration

	// NoiseEvery is how often the noise floor of each channel is measured, for which the
	// chip needs Config.LBT or Config.Spectrum; 0: never.
	NoiseEvery time.Duration
}

// Figures of the loop.
const (
	receiveEvery     = 10 * time.Millisecond
	healthEvery      = 4 * time.Second
	countEvery       = time.Minute // of records that are bad
	temperatureEvery = 10 * time.Second
	maxSkew          = time.Millisecond      // between counter and host, from one reading to the next
	maxArmSkew       = 20 * time.Millisecond // the same when a packet is armed
	maxDoubts        = 3                     // bad readings of the counter in a row
	maxBusErrors     = 3                     // in a row
	maxBadRecords    = 50                    // in countEvery
	minBackoff       = time.Second
	maxBackoff       = time.Minute
	stableAfter      = 2 * time.Minute // run time after which the back-off starts again
	inboxSize        = 32
	fskDeviation     = 25_000 // Hz, of LoRaWAN
	stopWithin       = 2 * time.Second
	freeWithin       = 20 * time.Millisecond // time in which a transmitter becomes free after an abort
	maxFailedStarts  = 5                     // in a row, before the board is opened again
)

// Reasons for restarting the chip.
var (
	errHang       = errors.New("the counter stands still")
	errStepped    = errors.New("the counter has stepped")
	errBadRecords = errors.New("too many bad records")
	errSilent     = errors.New("nothing was heard for too long")
)

// Driver runs the chip as a gateway. It implements concentrator.Driver.
//
// It restarts the chip, with back-off, after a lasting error of the bus, a counter
// that stands still or steps, a parity error, a flood of bad records or too long a
// silence. Waiting downlinks are then answered with TxNoPath; none is sent at a
// wrong time.
type Driver struct {
	opts  DriverOptions
	log   *slog.Logger
	chip  *Chip
	inbox chan radio.Downlink
	jit   *concentrator.JIT
	clock radio.Clock

	temperature atomic.Pointer[int32] // measured and not used yet, 1/256 °C
	measured    chan struct{}         // closed when measure has ended; nil before. Only Run uses it

	mu      sync.Mutex // guards the fields below, and sends to inbox
	running bool
	eui     radio.EUI64
	stats   DriverStats
	noise   []Noise // by frequency
}

var _ concentrator.Driver = (*Driver)(nil)

// DriverStats counts since NewDriver.
type DriverStats struct {
	Starts      uint64 // successful starts
	Failures    uint64 // failed starts, and runs that ended in an error
	BadCRC      uint64 // frames dropped because their CRC is wrong or missing
	Ghosts      uint64 // frames received a second time beside their channel
	Forwarded   uint64 // frames passed to the sink
	ChannelBusy uint64 // downlinks that LBT has stopped
	Missed      uint64 // downlinks that were armed, but not sent at their time
	Faults      uint64 // panics of this program
	Receive     ReceiveStats
	JIT         concentrator.JITStats
}

// Plus returns the counts of two drivers together. o is the later driver.
func (s DriverStats) Plus(o DriverStats) DriverStats {
	s.Starts += o.Starts
	s.Failures += o.Failures
	s.BadCRC += o.BadCRC
	s.Ghosts += o.Ghosts
	s.Forwarded += o.Forwarded
	s.ChannelBusy += o.ChannelBusy
	s.Missed += o.Missed
	s.Faults += o.Faults
	s.Receive.Packets += o.Receive.Packets
	s.Receive.BadRecords += o.Receive.BadRecords
	s.Receive.LostBytes += o.Receive.LostBytes
	s.Receive.BadPayload += o.Receive.BadPayload
	s.Receive.Torn += o.Receive.Torn
	s.JIT = s.JIT.Plus(o.JIT)
	return s
}

// NewDriver returns the Driver of a chip. Nobody else may use the chip. Run does
// the work.
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

// EUI returns the EUI of the gateway. It is zero if the chip provides it and was
// not started yet.
func (d *Driver) EUI() radio.EUI64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.eui
}

// Transmit implements concentrator.Driver. The TxAck comes as soon as the packet is
// known not to be sent, or up to 20 ms after its time, when the chip was seen to
// send it.
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

// Run implements concentrator.Driver. It returns an error if the configuration is
// impossible with the chip or the firmware is missing, and if the port is gone, after
// ErrFault or a few failed starts in a row, so that the caller opens the board again. After
// other faults it restarts the chip.
func (d *Driver) Run(ctx context.Context, sink concentrator.Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	defer d.endMeasuring(cancel)
	backoff, failedStarts := minBackoff, 0
	for {
		began, starts := d.opts.Now(), d.Stats().Starts
		err := d.contained(func() error { return d.runOnce(ctx, sink) })
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrConfig) || errors.Is(err, ErrImage) || errors.Is(err, ErrGone) || errors.Is(err, ErrFault) {
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
		if Sleep(ctx, backoff) != nil {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// beginMeasuring starts to measure the temperature. It is called when the board has
// power; measuring ends with Run.
func (d *Driver) beginMeasuring(ctx context.Context) {
	if d.opts.Temperature == nil || d.measured != nil {
		return
	}
	done := make(chan struct{})
	d.measured = done
	go func() {
		defer close(done)
		_ = d.contained(func() error { d.measure(ctx); return nil })
	}()
}

// endMeasuring waits until measuring has ended, but not for a bus that hangs.
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

// measure reads the temperature of the board regularly. It has a goroutine of its
// own, because the bus of the sensor may hang.
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
		if Sleep(ctx, temperatureEvery) != nil {
			return
		}
	}
}

// runOnce starts the chip, then receives and sends until ctx ends or the chip must
// be restarted.
func (d *Driver) runOnce(ctx context.Context, sink concentrator.Sink) error {
	if err := d.chip.Start(ctx); err != nil {
		return err
	}
	d.beginMeasuring(ctx)
	d.clock.Reset()
	if d.opts.GNSS != nil {
		d.opts.GNSS.Restart()
	}
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
	s.beginSurvey(d.opts.Now())
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
	err := d.contained(func() error { return s.loop(ctx) })
	d.end(s)
	d.event(sink, radio.GatewayEvent{Kind: radio.GatewayDisconnected})
	return err
}

// event reports an event of the gateway to the sink.
func (d *Driver) event(sink concentrator.Sink, e radio.GatewayEvent) {
	e.Gateway, e.At, e.Address = d.EUI(), d.opts.Now(), d.chip.conn.String()
	if e.Gateway.IsZero() {
		e.Gateway = d.opts.Until
	}
	if !e.Gateway.IsZero() {
		sink.GatewayEvent(e)
	}
}

// end answers all downlinks that were not sent, and stops the chip. A fault in a part of that
// leaves out the rest of this part alone.
func (d *Driver) end(s *session) {
	d.mu.Lock()
	d.running = false
	d.mu.Unlock()
	for _, part := range []func(){s.dropQueued, s.answerLeft, d.stopChip} {
		_ = d.contained(func() error { part(); return nil })
	}
}

// dropQueued answers the downlinks in the queue.
func (s *session) dropQueued() {
	s.driver.jit.Drop(func(dl radio.Downlink) { s.done(dl, radio.TxNoPath) })
}

// answerLeft answers the downlinks that are armed, and those that nobody has looked at.
func (s *session) answerLeft() {
	s.countReceived()
	for i := range s.armed {
		if p := &s.armed[i]; p.waits {
			s.answer(p, radio.TxNoPath)
		}
	}
	for {
		select {
		case dl := <-s.driver.inbox:
			s.done(dl, radio.TxNoPath)
		default:
			return
		}
	}
}

func (d *Driver) stopChip() {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := d.chip.Stop(ctx); err != nil {
		d.log.Warn("concentrator did not stop", "error", err)
	}
}

// toSend returns the transmission of a downlink with the power reserve of this
// gateway.
func (d *Driver) toSend(dl *radio.Downlink) Transmission {
	t := transmission(dl)
	if r := d.chip.transmitter(t.Chain); r != nil && d.opts.PowerReserve != nil {
		t.MayExceed = r.LeastPower() <= t.Power+d.opts.PowerReserve()
	}
	return t
}

// transmission converts a Downlink to a Transmission.
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
	if dl.Beacon {
		t.Preamble, t.NoCRC, t.ImplicitHeader, t.InvertPolarity = uint16(dl.Packet().Preamble), true, true, false
		t.Trigger = TriggerPPS
	}
	return t
}
