package sx1302

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// lbtConfig is testConfig with LBT on two channels.
func lbtConfig() Config {
	c := testConfig()
	c.LBT = LBT{Enabled: true, Target: -8000, Channels: []LBTChannel{
		{Frequency: 868_500_000, Bandwidth: 125_000, Scan: 5 * time.Millisecond, Airtime: 400 * time.Millisecond},
		{Frequency: 868_300_000, Bandwidth: 250_000, Scan: 128 * time.Microsecond, Airtime: 4 * time.Second},
	}}
	return c
}

func newLBTChip(t *testing.T, o sx1302test.Options,
	sleep func(context.Context, time.Duration) error,
) (*sx1302test.Chip, *Chip) {
	t.Helper()
	return newLBTChipOf(t, lbtConfig(), o, sleep)
}

func newLBTChipOf(t *testing.T, c Config, o sx1302test.Options,
	sleep func(context.Context, time.Duration) error,
) (*sx1302test.Chip, *Chip) {
	t.Helper()
	model := sx1302test.New(o)
	firmware := testFirmware()
	firmware.SX1261 = sx1302test.Patch()
	chip, err := New(model, c, Options{
		Firmware: firmware, Sleep: sleep, SX1261: model.SX1261(),
		Reset: func(context.Context) error { model.Reset(); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return model, chip
}

func TestLBTConfig(t *testing.T) {
	tests := map[string]struct {
		spoil func(*LBT)
		says  string
	}{
		"target too low": {func(l *LBT) { l.Target = -128_00 }, "target of -128 dBm"},
		"with offset":    {func(l *LBT) { l.RSSIOffset = 81_00 }, "target of 1 dBm"},
		"no channels":    {func(l *LBT) { l.Channels = nil }, "0 channels"},
		"too many":       {func(l *LBT) { l.Channels = slices.Repeat(l.Channels, 17) }, "34 channels"},
		"frequency":      {func(l *LBT) { l.Channels[0].Frequency = 1 }, "not within 100 to 1000 MHz"},
		"bandwidth":      {func(l *LBT) { l.Channels[0].Bandwidth = 500_000 }, "500000 Hz cannot be scanned"},
		"scan":           {func(l *LBT) { l.Channels[1].Scan = time.Millisecond }, "not 1ms"},
		"airtime":        {func(l *LBT) { l.Channels[1].Airtime = time.Millisecond }, "leave no room"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := lbtConfig()
			tt.spoil(&c.LBT)
			if err := c.Validate(); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Validate: %v, want %q", err, tt.says)
			}
			c.LBT.Enabled = false
			if err := c.Validate(); err != nil {
				t.Errorf("without listening: %v", err)
			}
		})
	}
	for _, edge := range []LBT{{Target: -127_00}, {Target: 0}, {Target: -80_00, RSSIOffset: 80_00}} {
		c := lbtConfig()
		c.LBT.Target, c.LBT.RSSIOffset = edge.Target, edge.RSSIOffset
		if err := c.Validate(); err != nil {
			t.Errorf("a target of %s dBm, %s dB off: %v", edge.Target, edge.RSSIOffset, err)
		}
	}
	if _, err := New(sx1302test.New(sx1302test.Options{}), lbtConfig(), Options{}); !errors.Is(err, ErrConfig) {
		t.Errorf("New without an SX1261: %v", err)
	}
}

func TestLBTStartFaults(t *testing.T) {
	tests := []struct {
		name  string
		patch []byte
		fault sx1302test.Fault
		says  string
	}{
		{
			name: "no SX1261", patch: sx1302test.Patch(), fault: sx1302test.Fault{DeadSX1261: true},
			says: "check its device node, its reset line",
		},
		{name: "another patch", patch: make([]byte, PatchSize), says: "after the patch"},
		{name: "no patch", says: "0 bytes, want 1544"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			model, chip := newLBTChip(t, sx1302test.Options{}, noWait)
			chip.firmware.SX1261 = tt.patch
			model.Break(tt.fault)
			if err := chip.Start(t.Context()); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Start: %v, want %q", err, tt.says)
			}
		})
	}
}

// TestLBTBand: the SX1261 is calibrated for the band of the radio that there is.
func TestLBTBand(t *testing.T) {
	for name, only := range map[string]bool{"both radios": false, "radio B only": true} {
		t.Run(name, func(t *testing.T) {
			c := lbtConfig()
			if only {
				c.Radios[0], c.ClockSource = Radio{}, 1
				for i := range c.Channels {
					c.Channels[i].Chain = 1
				}
			}
			model, chip := newLBTChipOf(t, c, sx1302test.Options{}, noWait)
			if err := chip.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			calibrates := func(command []byte) bool { return slices.Equal(command, []byte{opCalibrateImage, 0xD7, 0xDB}) }
			if commands := model.SX1261().Commands; !slices.ContainsFunc(commands, calibrates) {
				t.Errorf("it got %x", commands)
			}
		})
	}
}

func TestLBTRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*Transmission)
		says  string
	}{
		"frequency": {func(x *Transmission) { x.Frequency += 10_001 }, "no channel of LBT"},
		"bandwidth": {func(x *Transmission) { x.DataRate.Bandwidth = 250_000 }, "no channel of LBT"},
		"too long":  {func(x *Transmission) { x.DataRate.SpreadingFactor = 11 }, "on the air is more than 398.5ms"},
		"carrier":   {func(x *Transmission) { x.Carrier = true }, "a carrier cannot be sent with LBT"},
		"FSK on 250 kHz": {func(x *Transmission) {
			x.DataRate, x.Deviation, x.Frequency = radio.FSKDataRate(50_000), 25_000, 868_300_000
		}, "no channel of LBT"},
		"nonsense besides":  {func(x *Transmission) { x.Payload = nil }, "0 bytes"},
		"negative deviates": {func(x *Transmission) { x.Frequency -= 10_001 }, "no channel of LBT"},
	}
	model, chip := newLBTChip(t, sx1302test.Options{}, noWait)
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(model.SX1261().Commands)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tx := loraTransmission()
			tx.Frequency = 868_500_000
			tt.spoil(&tx)
			if err := chip.Send(tx); !errors.Is(err, ErrTransmission) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Send: %v, want %q", err, tt.says)
			}
		})
	}
	if len(model.Emissions()) > 0 || len(model.SX1261().Commands) != before {
		t.Error("something was done for them")
	}
}

// TestLBTResults sends packets on free and busy channels, and one of which
// the chip says nothing.
func TestLBTResults(t *testing.T) {
	var now time.Duration
	taken, mute := false, false
	model, chip := newLBTChip(t, sx1302test.Options{
		Now:   func() time.Duration { return now },
		Taken: func(*sx1302test.Emission) bool { return taken },
		Read:  func(addr uint16) (byte, bool) { return 0x00, mute && addr == agcStatus.addr },
	}, func(ctx context.Context, d time.Duration) error { now += d; return ctx.Err() })
	if err := chip.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx := loraTransmission()
	tx.Frequency, tx.Trigger = 868_500_000, TriggerNow
	for i, tt := range []struct {
		taken, mute bool
		want        error
	}{{}, {taken: true, want: ErrChannelBusy}, {}, {mute: true, want: ErrNoAnswer}, {}} {
		taken, mute = tt.taken, tt.mute
		if err := chip.Send(tx); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if err := chip.Send(tx); !errors.Is(err, ErrBusy) {
			t.Errorf("packet %d: another one meanwhile: %v", i, err)
		}
		if err := chip.AwaitLBT(t.Context(), 0); !errors.Is(err, tt.want) {
			t.Errorf("packet %d: %v, want %v", i, err, tt.want)
		}
		now += time.Second
		if e := model.Emissions(); len(e) != i+1 || e[i].Cut != tt.taken {
			t.Errorf("packet %d: %+v", i, e[len(e)-1])
		}
		if v, err := chip.LBTResult(t.Context(), 0); v != LBTFree || err != nil {
			t.Errorf("packet %d: afterwards %d, %v", i, v, err)
		}
	}
}

// newLBTBench is newBench with a chip that listens before it talks.
func newLBTBench(t *testing.T, o sx1302test.Options) *bench {
	t.Helper()
	return newLBTBenchOf(t, lbtConfig(), o)
}

func newLBTBenchOf(t *testing.T, c Config, o sx1302test.Options) *bench {
	t.Helper()
	b := &bench{t: t, sink: &testSink{acks: map[uint64][]radio.TxResult{}}, begin: time.Now(), done: make(chan error, 1)}
	var chip *Chip
	b.model, chip = newLBTChipOf(t, c, o, nil)
	var err error
	b.driver, err = NewDriver(DriverOptions{
		Chip: chip, EUI: testEUI, Now: func() radio.HostTime { return radio.HostTime(time.Since(b.begin)) },
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() { b.done <- b.driver.Run(ctx, b.sink) }()
	time.Sleep(6 * time.Second)
	return b
}

// TestDriverLBT has the driver answer frames when channels are free and
// taken, and when the chip never tells.
func TestDriverLBT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken, mute := map[string]bool{"taken": true}, false
		b := newLBTBench(t, sx1302test.Options{
			EUI:   testEUI,
			Taken: func(e *sx1302test.Emission) bool { return taken[string(e.Payload)] },
			Read:  func(addr uint16) (byte, bool) { return 0x00, mute && addr == agcStatus.addr },
		})
		talk := &lbtTalk{bench: b}
		for _, tt := range []struct {
			payload string
			want    radio.TxResult
		}{{"free", radio.TxOK}, {"taken", radio.TxChannelBusy}, {"free again", radio.TxOK}} {
			at := talk.send(t, tt.payload, 150*time.Millisecond)
			time.Sleep(140 * time.Millisecond)
			if _, acks, _ := b.sink.seen(); len(acks[talk.id]) > 0 {
				t.Errorf("packet %d was answered before its time: %v", talk.id, acks[talk.id])
			}
			time.Sleep(200 * time.Millisecond)
			talk.check(t, tt.want, at)
		}
		first := talk.send(t, "one", 150*time.Millisecond)
		second := talk.send(t, "two", 150*time.Millisecond+90*time.Millisecond)
		time.Sleep(time.Second)
		talk.check(t, radio.TxOK, second)
		if e := b.model.Emissions(); e[len(e)-2].Begin != first {
			t.Errorf("the first of two went out at %d, want %d", e[len(e)-2].Begin, first)
		}
		mute = true
		talk.send(t, "nothing is said", 150*time.Millisecond)
		time.Sleep(time.Second)
		talk.check(t, radio.TxUnknownError, 0)
		mute = false
		at := talk.send(t, "and on", 150*time.Millisecond)
		time.Sleep(140 * time.Millisecond)
		if _, acks, _ := b.sink.seen(); len(acks[talk.id]) > 0 {
			t.Errorf("packet %d was answered by what was said of the one before: %v", talk.id, acks[talk.id])
		}
		time.Sleep(time.Second)
		talk.check(t, radio.TxOK, at)
		talk.send(t, "when it ends", 150*time.Millisecond)
		time.Sleep(120 * time.Millisecond)
		b.stop()
		talk.check(t, radio.TxNoPath, 0)
		if s := b.driver.Stats(); s.ChannelBusy != 1 || s.JIT.Armed != uint64(len(b.model.Emissions())) ||
			s.JIT.Failed+s.JIT.TooLate > 0 || s.Missed != 1 || s.JIT.MinLead < 60*time.Millisecond {
			t.Errorf("%+v", s)
		}
	})
}

// lbtTalk sends packet after packet; id is that of the last one.
type lbtTalk struct {
	*bench
	id uint64
}

// send gives the time on the counter that the packet is sent at.
func (b *lbtTalk) send(t *testing.T, payload string, ahead time.Duration) (at int64) {
	t.Helper()
	b.id++
	at = b.model.Counter() + ahead.Microseconds()
	err := b.driver.Transmit(radio.Downlink{
		ID: b.id, Gateway: testEUI, PHYPayload: []byte(payload), Frequency: 868_500_000,
		DataRate: radio.LoRaDataRate(7, 125_000),
		Power:    1400, Time: radio.ConcentratorTime(at),
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// check wants one answer for the last packet and, with a time, that it went out then.
func (b *lbtTalk) check(t *testing.T, want radio.TxResult, at int64) {
	t.Helper()
	_, acks, _ := b.sink.seen()
	if !slices.Equal(acks[b.id], []radio.TxResult{want}) {
		t.Errorf("packet %d: %v, want %v", b.id, acks[b.id], want)
	}
	e := b.model.Emissions()
	last := e[len(e)-1]
	if at != 0 && (last.Begin != at || last.Exact != 0 || last.Cut != (want != radio.TxOK)) {
		t.Errorf("packet %d went out at %d and %d/32 µs, cut %t, want %d", b.id, last.Begin, last.Exact, last.Cut, at)
	}
}

// TestLBTTurns: two radios share one SX1261. A packet of the second is armed when the
// first has started; one that is too close is refused at once, so that RX2 is left.
func TestLBTTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lbtConfig()
		c.Radios[1].Transmit, c.Radios[1].Gains = true, c.Radios[0].Gains
		b := newLBTBenchOf(t, c, sx1302test.Options{EUI: testEUI})
		defer b.stop()
		now := b.model.Counter()
		send := func(id uint64, ahead time.Duration, chain uint8) {
			d := b.down(id, 0)
			d.Time, d.Antenna, d.Frequency = radio.ConcentratorTime(now+ahead.Microseconds()), chain, 868_500_000
			b.transmit(d)
		}
		send(1, 160*time.Millisecond, 1)
		send(2, 220*time.Millisecond, 0)
		send(3, 270*time.Millisecond, 1)
		send(4, 250*time.Millisecond, 0)
		time.Sleep(time.Second)
		for id, want := range map[uint64]radio.TxResult{
			1: radio.TxOK, 2: radio.TxOK, 3: radio.TxOK, 4: radio.TxCollisionPacket,
		} {
			if got := b.result(id); got != want {
				t.Errorf("packet %d: %v, want %v", id, got, want)
			}
		}
		e := b.model.Emissions()
		if len(e) != 3 {
			t.Fatalf("%d packets on the air", len(e))
		}
		for i, ahead := range []int64{160_000, 220_000, 270_000} {
			if e[i].Begin != now+ahead || e[i].Cut {
				t.Errorf("packet %d began at %d, cut %t, want %d", i+1, e[i].Begin-now, e[i].Cut, ahead)
			}
		}
		if s := b.driver.Stats(); s.JIT.Stuck+s.JIT.Failed+s.JIT.TooLate+s.Missed > 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestLBTResultThatStays: an AGC that does not clear what it has said of a packet
// has the chip started again, and holds nothing up until then.
func TestLBTResultThatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stays atomic.Bool
		b := newLBTBench(t, sx1302test.Options{
			EUI:  testEUI,
			Read: func(addr uint16) (byte, bool) { return 0x01, stays.Load() && addr == agcStatus.addr },
		})
		defer b.stop()
		stays.Store(true)
		began := time.Now()
		b.transmit(b.down(1, 150*time.Millisecond))
		for b.driver.Stats().Failures == 0 && time.Since(began) < 10*time.Second {
			time.Sleep(10 * time.Millisecond)
		}
		stays.Store(false)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("still not told after %v", took)
		}
		time.Sleep(10 * time.Second)
		b.transmit(b.down(2, 150*time.Millisecond))
		time.Sleep(time.Second)
		if s := b.driver.Stats(); s.Starts != 2 || b.result(1) == radio.TxOK || b.result(2) != radio.TxOK {
			t.Errorf("answered %v and %v, %+v", b.result(1), b.result(2), s)
		}
	})
}
