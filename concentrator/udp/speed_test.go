package udp

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// counters are what forwarders put into tmst at a time of the host; answered says whether a frame
// after a minute can be answered.
var counters = []struct {
	name     string
	tmst     func(at time.Duration, n int) uint32
	answered bool
}{
	{"µs of the chip", func(at time.Duration, _ int) uint32 { return uint32(at / time.Microsecond) }, true},
	{"µs, which wrap in between", func(at time.Duration, _ int) uint32 {
		return uint32(at/time.Microsecond) - 150_000_000
	}, true},
	{"the calendar of the host, µs", func(at time.Duration, _ int) uint32 {
		return uint32(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC).Add(at).UnixMicro())
	}, true},
	{"the calendar, set by 3 s in between", func(at time.Duration, n int) uint32 {
		return uint32((at + time.Duration(n/5)*3*time.Second) / time.Microsecond)
	}, true},
	{"a restart in between", func(at time.Duration, n int) uint32 {
		return uint32((at - time.Duration(n/4)*40*time.Second) / time.Microsecond)
	}, true},
	{"this host was suspended in between", func(at time.Duration, n int) uint32 {
		return uint32((at + time.Duration(n/5)*10*time.Minute) / time.Microsecond)
	}, true},
	{"50 ppm beside", func(at time.Duration, _ int) uint32 {
		return uint32(at/time.Microsecond) + uint32(at/20_000/time.Microsecond)
	}, true},
	{"ms", func(at time.Duration, _ int) uint32 { return uint32(at / time.Millisecond) }, false},
	{"s of the calendar", func(at time.Duration, _ int) uint32 { return uint32(1_764_000_000 + at/time.Second) }, false},
	{"always the same", func(time.Duration, int) uint32 { return 7 }, false},
	{"tenths of µs", func(at time.Duration, _ int) uint32 { return uint32(at / 100) }, false},
}

// A frame of a gateway whose counter does not count µs is published and not answered: a downlink
// by it would leave at a wrong time.
func TestCountersOfForwarders(t *testing.T) {
	for _, tt := range counters {
		t.Run(tt.name, func(t *testing.T) {
			var now atomic.Int64
			now.Store(int64(2 * time.Minute))
			b := start(t, Options{Now: func() radio.HostTime { return radio.HostTime(now.Load()) }})
			p := b.peer("")
			p.pull(euiA, 2)
			for n := range 8 {
				p.pull(euiA, 2)
				p.push(euiA, uint16(n), rxpk(tt.tmst(time.Duration(now.Load()), n), fmt.Sprint("frame ", n)))
				b.ups(n + 1)
				now.Add(int64(12 * time.Second))
			}
			up := b.ups(8)[7]
			if (up.NoPath == "") != tt.answered || up.Receptions[0].NoDownlink == tt.answered {
				t.Errorf("no path: %q, no downlink: %v", up.NoPath, up.Receptions[0].NoDownlink)
			}
			err := b.d.Transmit(radio.Downlink{ID: 1, Gateway: euiA, PHYPayload: []byte{0x60}, Time: up.Time})
			if (err == nil) != tt.answered || err != nil && !errors.Is(err, concentrator.ErrGateway) {
				t.Errorf("a downlink: %v", err)
			}
			if told := strings.Count(b.sink.kinds(), "dropped"); (told > 0) == tt.answered || told > 1 {
				t.Errorf("told is %s", b.sink.kinds())
			}
		})
	}
}

// Frames that a forwarder has kept, and sends all at once, say nothing of its counter.
func TestKeptFramesAreNoSpeed(t *testing.T) {
	var s speed
	for host := time.Duration(0); host < 6*time.Hour; host += 20 * time.Minute {
		kept := host - 19*time.Minute
		for ; kept < host; kept += time.Minute {
			s.look(uint32(kept/time.Microsecond), radio.HostTime(host))
		}
		for live := host; live < host+2*time.Minute; live += 15 * time.Second {
			s.look(uint32(live/time.Microsecond), radio.HostTime(live))
			if why := s.wrong(); why != "" {
				t.Fatalf("at %v: %s", live, why)
			}
		}
	}
}
