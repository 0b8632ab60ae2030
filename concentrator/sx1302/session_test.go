package sx1302

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// wire is the way to a model, on which what came back can be changed.
type wire struct {
	*sx1302test.Chip
	after func(w, r []byte) error
}

// Tx implements conn.Conn.
func (x *wire) Tx(w, r []byte) error {
	if err := x.Chip.Tx(w, r); err != nil {
		return err
	}
	return x.after(w, r)
}

// TxPackets implements spi.Conn: a message of whole frames, each with the hook behind it.
func (x *wire) TxPackets(p []spi.Packet) error {
	for _, q := range p {
		if err := x.Tx(q.W, q.R); err != nil {
			return err
		}
	}
	return nil
}

// onWire is newBench with a hook behind each transfer.
func onWire(t *testing.T, o sx1302test.Options, after func(w, r []byte) error, change func(*DriverOptions)) *bench {
	t.Helper()
	b := makeBench(t, change)
	o.EUI = testEUI
	b.model = sx1302test.New(o)
	chip, err := New(&wire{b.model, after}, testConfig(),
		Options{Firmware: testFirmware(), Reset: func(context.Context) error { b.model.Reset(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	b.driver.chip = chip
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(t.Context())
	go func() { b.done <- b.driver.Run(ctx, b.sink) }()
	time.Sleep(5 * time.Second)
	return b
}

// down is a downlink for a time from now.
func (b *bench) down(id uint64, ahead time.Duration) radio.Downlink {
	return radio.Downlink{
		ID: id, Gateway: testEUI, PHYPayload: []byte("down"), Frequency: 868_500_000,
		DataRate: radio.LoRaDataRate(7, 125_000), Power: 1600,
		Time: radio.ConcentratorTime(b.model.Counter()).Add(ahead),
	}
}

func (b *bench) transmit(d radio.Downlink) {
	b.t.Helper()
	if err := b.driver.Transmit(d); err != nil {
		b.t.Fatal(err)
	}
}

// result returns the one answer to a downlink.
func (b *bench) result(id uint64) radio.TxResult {
	b.t.Helper()
	_, acks, _ := b.sink.seen()
	if len(acks[id]) != 1 {
		b.t.Errorf("downlink %d has %d answers", id, len(acks[id]))
		return radio.TxNoAck
	}
	return acks[id][0]
}

// readsCounters and others tell transfers apart.
func readsCounters(w []byte) bool   { return reads(w, counters.addr) && len(w) == readHeader+8 }
func reads(w []byte, a uint16) bool { return w[0] == 0 && w[1] == byte(a>>8) && w[2] == byte(a) }

// TestDoubtfulReadings: one or a few readings of the counter that cannot be right
// cost neither a start nor a frame, nor do they spoil the times of frames.
func TestDoubtfulReadings(t *testing.T) {
	tests := map[string]struct {
		spoil func(r []byte) // the running counter
		times int32
	}{
		"low bits gone":     {func(r []byte) { r[1], r[2], r[3] = 0, 0, 0 }, 1},
		"a little too low":  {func(r []byte) { r[1]-- }, 1},
		"a little too high": {func(r []byte) { r[1]++ }, 1},
		"both of a poll":    {func(r []byte) { r[1] -= 2 }, 3},
		"all bits":          {func(r []byte) { r[0], r[1], r[2], r[3] = 0xFF, 0xFF, 0xFF, 0xFF }, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int32
				b := onWire(t, sx1302test.Options{Tick: 1 << 26}, func(w, r []byte) error {
					if readsCounters(w) && left.Load() > 0 {
						left.Add(-1)
						tt.spoil(r[readHeader+4:])
					}
					return nil
				}, nil)
				defer b.stop()
				end := b.model.Counter() - 20_000
				left.Store(tt.times)
				f := sx1302test.Frame{
					Payload: []byte("abc"), Channel: 2, Modem: 3, SF: 7, CodingRate: 1,
					Ticks: uint32(end * ticksPerMicrosecond),
				}
				b.model.Deliver(f.Record())
				shape := frameShape{7, 125_000, 1, 3, true}
				want := end + int64(shape.legacyCorrection())
				time.Sleep(50 * time.Millisecond)
				b.transmit(b.down(1, time.Second))
				time.Sleep(10 * time.Second)
				ups, _, _ := b.sink.seen()
				if len(ups) != 1 || int64(ups[0].Time) != want {
					t.Errorf("%d frames: %+v, want one at %d", len(ups), ups, want)
				}
				if s := b.driver.Stats(); s.Starts != 1 || b.result(1) != radio.TxOK || left.Load() > 0 {
					t.Errorf("%+v, %d readings left", s, left.Load())
				}
			})
		})
	}
}

// TestFaultLosesNothing: what was fetched when a fault ends the run is handed on.
func TestFaultLosesNothing(t *testing.T) {
	for name, begin := range map[string]func(*sx1302test.Chip){
		"counter stands still": func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Frozen: true}) },
		"counter steps":        func(m *sx1302test.Chip) { m.Jump(-30_000_000) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				begin(b.model)
				frames := 0
				for b.driver.Stats().Failures == 0 {
					f := sx1302test.Frame{
						Payload: fmt.Append(nil, frames), Channel: 2, Modem: 3, SF: 7, CodingRate: 1,
						Ticks: uint32(b.model.Counter() * ticksPerMicrosecond),
					}
					b.model.Deliver(f.Record())
					frames++
					time.Sleep(5 * time.Millisecond)
				}
				if ups, _, _ := b.sink.seen(); frames < 3 || len(ups) < frames-b.model.Lost()-1 ||
					len(ups)+b.model.Lost() > frames {
					t.Errorf("%d frames, %d came, %d were in the chip at the reset", frames, len(ups), b.model.Lost())
				}
			})
		})
	}
}

// TestSingleErrors: a transfer that fails once costs nothing, wherever it is.
func TestSingleErrors(t *testing.T) {
	for name, hits := range map[string]func(w []byte) bool{
		"while polling":            func(w []byte) bool { return reads(w, rxBytes.addr) },
		"at the health":            func(w []byte) bool { return reads(w, version.addr) },
		"before a packet is armed": func(w []byte) bool { return reads(w, txStatus.addr) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var armed atomic.Bool
				b := onWire(t, sx1302test.Options{}, func(w, _ []byte) error {
					if armed.Load() && hits(w) {
						armed.Store(false)
						return errors.New("input/output error")
					}
					return nil
				}, nil)
				defer b.stop()
				armed.Store(true)
				d := b.down(1, 500*time.Millisecond)
				b.transmit(d)
				time.Sleep(2 * time.Minute)
				e := b.model.Emissions()
				if s := b.driver.Stats(); s.Starts != 1 || armed.Load() || b.result(1) != radio.TxOK || len(e) != 1 ||
					e[0].Begin != int64(d.Time) {
					t.Errorf("%+v, %+v", s, e)
				}
			})
		})
	}
}

// TestUnsureSend: a transfer of which an error is told, but which reached the
// chip, does not send what is told of as not sent.
func TestUnsureSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		b := onWire(t, sx1302test.Options{}, func(w, _ []byte) error {
			if armed.Load() && w[1] == 0x52|writeBit && w[2] == 0x00 && w[3]&2 != 0 {
				armed.Store(false)
				return errors.New("input/output error")
			}
			return nil
		}, nil)
		defer b.stop()
		armed.Store(true)
		b.transmit(b.down(1, 500*time.Millisecond))
		time.Sleep(2 * time.Second)
		if e := b.model.Emissions(); armed.Load() || len(e) != 1 || e[0].Cut == (b.result(1) == radio.TxOK) {
			t.Errorf("answered %v, on the air %+v", b.result(1), e)
		}
	})
}

// TestPassedTrigger: a packet whose time passes while it is programmed is taken
// back; it would leave 134 s later.
func TestPassedTrigger(t *testing.T) {
	for _, stall := range []time.Duration{20, 37, 39, 41, 45, 80} {
		t.Run(fmt.Sprint(stall), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stalled atomic.Bool
				b := onWire(t, sx1302test.Options{}, func(w, _ []byte) error {
					if reads(w, txStatus.addr) && stalled.CompareAndSwap(false, true) {
						time.Sleep(stall * time.Millisecond)
					}
					return nil
				}, nil)
				defer b.stop()
				d := b.down(1, 500*time.Millisecond)
				b.transmit(d)
				time.Sleep(150 * time.Second)
				sent := 0
				for _, e := range b.model.Emissions() {
					if !e.Cut {
						sent++
						if e.Begin != int64(d.Time) {
							t.Errorf("went out %d µs late", e.Begin-int64(d.Time))
						}
					}
				}
				if ok := b.result(1) == radio.TxOK; ok != (sent == 1) || stall < 30 && !ok {
					t.Errorf("answered %v, sent %d times", b.result(1), sent)
				}
			})
		})
	}
}

// TestNeverFree: a transmitter that cannot be freed has the chip started again,
// and keeps reception waiting for no longer than that.
func TestNeverFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		b := onWire(t, sx1302test.Options{}, func(w, r []byte) error {
			if stuck.Load() && reads(w, txStatus.addr) {
				r[readHeader] = 0x30
			}
			return nil
		}, nil)
		defer b.stop()
		stuck.Store(true)
		b.transmit(b.down(1, 500*time.Millisecond))
		time.Sleep(490 * time.Millisecond) // it is told before its time: RX2 is left
		if r := b.result(1); r == radio.TxOK {
			t.Errorf("answered %v", r)
		}
		time.Sleep(3 * time.Second)
		stuck.Store(false)
		time.Sleep(10 * time.Second)
		if s := b.driver.Stats(); s.Starts != 2 || s.Failures != 1 || s.JIT.Stuck != 1 {
			t.Errorf("%+v", s)
		}
		b.transmit(b.down(2, 500*time.Millisecond))
		time.Sleep(time.Second)
		if b.result(2) != radio.TxOK {
			t.Errorf("afterwards: %v", b.result(2))
		}
	})
}

// TestSensorHangs: a temperature sensor whose bus hangs holds nothing up.
func TestSensorHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(2 * time.Second) // for the sensor
		b := newBench(t, func(o *DriverOptions) {
			o.Temperature = func() (int32, error) { time.Sleep(time.Second); return 0, errors.New("connection timed out") }
		})
		defer b.stop()
		for id := range uint64(40) {
			b.transmit(b.down(id, 500*time.Millisecond))
			time.Sleep(700 * time.Millisecond)
		}
		for id := range uint64(40) {
			if r := b.result(id); r != radio.TxOK {
				t.Errorf("downlink %d: %v", id, r)
			}
		}
	})
}

// TestTemperature: the sensor is asked when the board has power, and again and again
// if it does not answer; until it does, the board is taken to have 25 °C.
func TestTemperature(t *testing.T) {
	const at0 = -9540 // the RSSI of a frame without correction
	errNone := errors.New("no sensor")
	tests := []struct {
		name   string
		answer []error // of the sensor, at 31.5 °C; the last one stays
		want   []radio.Decibel
	}{
		{"no sensor", nil, []radio.Decibel{at0 + 102, at0 + 102}},
		{"a sensor", []error{nil}, []radio.Decibel{at0 + 135, at0 + 135}},
		{"none yet", []error{errNone, nil}, []radio.Decibel{at0 + 102, at0 + 135}},
		{"never", []error{errNone}, []radio.Decibel{at0 + 102, at0 + 102}},
		{"gone", []error{nil, errNone}, []radio.Decibel{at0 + 135, at0 + 135}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *bench
				asked := 0
				b = newBench(t, func(o *DriverOptions) {
					if tt.answer == nil {
						return
					}
					began := time.Now()
					o.Temperature = func() (int32, error) {
						if time.Since(began) < time.Second {
							t.Error("the sensor is asked before the chip has started")
						}
						asked++
						return 31*256 + 128, tt.answer[min(asked, len(tt.answer))-1]
					}
				})
				for i, want := range tt.want {
					b.hear("frame "+strconv.Itoa(i), nil)
					time.Sleep(temperatureEvery + time.Second)
					if ups, _, _ := b.sink.seen(); len(ups) != i+1 || ups[i].Receptions[0].RSSI != want {
						t.Errorf("frame %d: RSSI %v, want %v", i, ups[i].Receptions[0].RSSI, want)
					}
				}
				b.stop()
				before := asked
				time.Sleep(time.Minute)
				if asked != before {
					t.Error("the sensor is asked after the end of Run")
				}
			})
		})
	}
}

// TestSensorHangsForEver: Run waits for a measurement that is under way, but not
// for ever.
func TestSensorHangsForEver(t *testing.T) {
	for _, hangs := range []time.Duration{time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan struct{})
			b := newBench(t, func(o *DriverOptions) {
				o.Temperature = func() (int32, error) {
					time.Sleep(5*time.Second + hangs)
					close(ended)
					return 0, errors.New("connection timed out")
				}
			})
			began := time.Now()
			b.stop()
			if took := time.Since(began); took > stopWithin+time.Second || took < min(stopWithin, hangs)-time.Second {
				t.Errorf("Run ended after %v with a sensor that takes %v more", took, hangs)
			}
			<-ended
		})
	}
}

// TestFirstDownlink: what comes as soon as the gateway is told of as connected
// goes out at once and when it shall, whatever the host's clock says.
func TestFirstDownlink(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			b := makeBench(t, nil)
			hour := b.begin.Add(-time.Hour)
			// A host that is up for an hour.
			b.driver.opts.Now = func() radio.HostTime { return radio.HostTime(time.Since(hour)) }
			b.sink.event = func(e radio.GatewayEvent) {
				if e.Kind == radio.GatewayConnected {
					d := b.down(1, 0)
					d.Immediate, d.Time = true, 0
					b.transmit(d)
				}
			}
			var ctx context.Context
			ctx, b.cancel = context.WithCancel(t.Context())
			go func() { b.done <- b.driver.Run(ctx, b.sink) }()
			defer b.stop()
			time.Sleep(10 * time.Second)
			if e := b.model.Emissions(); len(e) != 1 || b.result(1) != radio.TxOK || e[0].Begin > 5_000_000 {
				t.Errorf("answered %v, on the air %+v", b.result(1), e)
			}
		})
	}
}

func TestSX1255Range(t *testing.T) {
	c := testConfig()
	c.Radios[0].Type, c.Radios[1].Type = SX1255, SX1255
	for i := range c.Radios {
		c.Radios[i].Gains = []Gain{{Power: 14, DACGain: 3, MixGain: 10}}
	}
	if err := c.Validate(); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "SX1255") {
		t.Errorf("an SX1255 at %v: %v", c.Radios[0].Frequency, err)
	}
}
