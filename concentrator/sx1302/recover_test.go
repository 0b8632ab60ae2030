package sx1302

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
)

// started has the driver run and keep when it starts the chip, since it began.
// Before each start the hook is called, and what was broken is mended.
func (b *bench) started(hook func()) (starts func() []time.Duration) {
	var list []time.Duration
	b.driver.chip.options.Reset = func(context.Context) error {
		list = append(list, time.Since(b.begin))
		b.model.Break(sx1302test.Fault{})
		hook()
		b.model.Reset()
		return nil
	}
	var ctx context.Context
	ctx, b.cancel = context.WithCancel(b.t.Context())
	go func() { b.done <- b.driver.Run(ctx, b.sink) }()
	return func() []time.Duration { return list }
}

// TestBackoffStarts: starts that fail are further and further apart.
func TestBackoffStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := makeBench(t, nil)
		starts := b.started(func() { b.model.Break(sx1302test.Fault{Dead: true}) })
		if err := <-b.done; !errors.Is(err, ErrNoChip) {
			t.Errorf("Run: %v", err)
		}
		b.cancel()
		if want := []time.Duration{
			0, time.Second, 3 * time.Second, 7 * time.Second,
			15 * time.Second,
		}; !slices.Equal(starts(), want) {
			t.Errorf("starts at %v, want %v", starts(), want)
		}
	})
}

// TestBackoffRuns: so are those after runs that ended soon, up to a minute.
func TestBackoffRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := makeBench(t, nil)
		b.sink.event = func(e radio.GatewayEvent) {
			if e.Kind == radio.GatewayConnected {
				b.model.Break(sx1302test.Fault{Bus: errors.New("bus")})
			}
		}
		starts := b.started(func() {})
		time.Sleep(10 * time.Minute)
		b.stop()
		list := starts()
		var waits []time.Duration // beyond the first
		for i := 2; i < len(list); i++ {
			waits = append(waits, time.Second+(list[i]-list[i-1])-(list[1]-list[0]))
		}
		want := []time.Duration{
			2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second,
			time.Minute, time.Minute, time.Minute,
		}
		if len(waits) < len(want) || !slices.Equal(waits[:len(want)], want) {
			t.Errorf("waits of %v, want %v", waits, want)
		}
	})
}

// TestBackoffBeginsAnew after a run of more than two minutes.
func TestBackoffBeginsAnew(t *testing.T) {
	for lasts, want := range map[time.Duration][2]time.Duration{
		115 * time.Second: {4 * time.Second, 8 * time.Second},
		125 * time.Second: {time.Second, 2 * time.Second},
	} {
		t.Run(fmt.Sprint(lasts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := makeBench(t, nil)
				var failed []time.Duration
				b.sink.event = func(e radio.GatewayEvent) {
					if e.Kind == radio.GatewayFailed {
						failed = append(failed, time.Since(b.begin))
					}
				}
				n := 0
				starts := b.started(func() {
					if n++; n != 3 {
						b.model.Break(sx1302test.Fault{Dead: true})
					}
				})
				time.Sleep(3*time.Second + lasts)
				b.model.Break(sx1302test.Fault{Bus: errors.New("bus")})
				time.Sleep(14 * time.Second)
				b.stop()
				list := starts()
				if len(list) < 5 || len(failed) < 4 {
					t.Fatalf("starts at %v, failures at %v", list, failed)
				}
				if got := [2]time.Duration{list[3] - failed[2], list[4] - failed[3]}; got != want {
					t.Errorf("waits of %v, want %v", got, want)
				}
			})
		})
	}
}

// TestBadRecordsRestart: more than 50 bad records in a minute have the chip
// started again.
func TestBadRecordsRestart(t *testing.T) {
	tests := []struct {
		name    string
		minutes []int // bad records in each
		starts  uint64
	}{
		{"few", []int{50}, 1},
		{"many", []int{51}, 2},
		{"few in each minute", []int{50, 50, 50}, 1},
		{"many in a later minute", []int{10, 51}, 2},
		{"many in two minutes", []int{26, 25}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				bad := sx1302test.Frame{Payload: []byte("bad"), Channel: 2, Modem: 3, SF: 13, CodingRate: 1}
				for _, n := range tt.minutes {
					b.model.Deliver(slices.Concat(slices.Repeat([][]byte{bad.Record()}, n)...))
					time.Sleep(time.Minute)
				}
				time.Sleep(5 * time.Minute) // and it is not started a third time
				if s := b.driver.Stats(); s.Starts != tt.starts || s.Failures != tt.starts-1 {
					t.Errorf("%+v", s)
				}
				if tt.starts > 1 && !strings.Contains(b.sink.fault(), "too many bad records: 51 in a minute") {
					t.Errorf("fault %q", b.sink.fault())
				}
			})
		})
	}
}

// TestFaultReasons: what is told of a fault is what it is.
func TestFaultReasons(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks func(*sx1302test.Chip)
		says   string
	}{
		"frozen":  {func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Frozen: true}) }, errHang.Error()},
		"forward": {func(m *sx1302test.Chip) { m.Jump(60_000_000) }, errStepped.Error()},
		"back":    {func(m *sx1302test.Chip) { m.Jump(-1_000_000) }, errStepped.Error()},
		"bus": {
			func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Bus: errors.New("input/output error")}) },
			"3 times in a row: sx1302: read 0x58c8: input/output error",
		},
		"parity": {
			func(m *sx1302test.Chip) { m.Break(sx1302test.Fault{Parity: true}) },
			"parity error in the memory of the ARB",
		},
		"reset": {func(m *sx1302test.Chip) { m.Reset() }, "the chip was reset, or lost its supply"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				time.Sleep(receiveEvery / 2) // between two polls
				tt.breaks(b.model)
				for range 610 {
					if time.Sleep(100 * time.Millisecond); b.driver.Stats().Failures > 0 {
						break
					}
				}
				b.model.Break(sx1302test.Fault{})
				time.Sleep(time.Minute)
				if !strings.Contains(b.sink.fault(), tt.says) {
					t.Errorf("fault %q, want %q", b.sink.fault(), tt.says)
				}
			})
		})
	}
}

func TestNewDriverNeeds(t *testing.T) {
	chip := &Chip{}
	now := func() radio.HostTime { return 0 }
	for name, o := range map[string]DriverOptions{"chip": {Now: now}, "clock": {Chip: chip}, "both": {}} {
		if _, err := NewDriver(o); err == nil {
			t.Errorf("NewDriver without %s", name)
		}
	}
}

// TestSkew: a counter that steps by more than a millisecond is not followed.
func TestSkew(t *testing.T) {
	for us, starts := range map[int64]uint64{500: 1, -500: 1, 1000: 1, -1000: 1, 1100: 2, -1100: 2, 2000: 2, -2000: 2} {
		t.Run(fmt.Sprint(us), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				defer b.stop()
				b.model.Jump(us)
				time.Sleep(20 * time.Second)
				if s := b.driver.Stats(); s.Starts != starts {
					t.Errorf("%d starts, want %d", s.Starts, starts)
				}
				b.transmit(b.down(1, time.Second))
				time.Sleep(2 * time.Second)
				if r := b.result(1); r != radio.TxOK {
					t.Errorf("afterwards %v", r)
				}
			})
		})
	}
}

// TestSteppedWhileArmed: a packet that is armed by a counter that has stepped
// since the last poll is taken back.
func TestSteppedWhileArmed(t *testing.T) {
	for us, want := range map[int64]radio.TxResult{
		0: radio.TxOK, 25_000: radio.TxUnknownError,
		-25_000: radio.TxUnknownError, -10_000_000: radio.TxUnknownError,
	} {
		t.Run(fmt.Sprint(us), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *bench
				var armed atomic.Bool
				b = onWire(t, sx1302test.Options{}, func(w, _ []byte) error {
					if reads(w, txStatus.addr) && armed.CompareAndSwap(true, false) {
						b.model.Jump(us)
					}
					return nil
				}, nil)
				defer b.stop()
				armed.Store(true)
				b.transmit(b.down(1, 500*time.Millisecond))
				time.Sleep(400 * time.Millisecond)
				for range 100 {
					if _, acks, _ := b.sink.seen(); len(acks) > 0 {
						break
					}
					time.Sleep(time.Millisecond)
				}
				if e := b.model.Emissions(); len(e) != 1 || e[0].Cut != (want != radio.TxOK) {
					t.Errorf("when it was answered, on the air: %+v", e)
				}
				time.Sleep(3 * time.Minute)
				e := b.model.Emissions()
				if r := b.result(1); r != want || len(e) != 1 || e[0].Cut != (want != radio.TxOK) {
					t.Errorf("answered %v, on the air %+v", r, e)
				}
				if s := b.driver.Stats(); s.Starts != 1+s.Failures || (s.Failures > 0) != (us != 0) || s.Missed > 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}
