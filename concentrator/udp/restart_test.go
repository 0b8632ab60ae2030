package udp

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/radio"
)

// A forwarder that is started anew has another port and another counter. Its
// first frame can be answered: it counts as heard when it came. Without the port
// it may be the network for up to a minute, and the frame can be answered all the
// same.
func TestForwarderRestart(t *testing.T) {
	for _, after := range []time.Duration{5 * time.Second, 20 * time.Second, 60 * time.Second} {
		for _, port := range []bool{true, false} {
			if !port && after == 5*time.Second {
				continue // that late a network may be
			}
			t.Run(fmt.Sprintf("%v after it began, another port %v", after, port), func(t *testing.T) {
				var now atomic.Int64
				now.Store(int64(time.Minute))
				b := start(t, Options{Now: func() radio.HostTime { return radio.HostTime(now.Load()) }})
				p := b.peer("")
				p.pull(euiA, 2)
				p.push(euiA, 1, rxpk(1_000_000, "before"))
				before := b.ups(1)[0]
				now.Add(int64(after))
				if port {
					p = b.peer("")
				}
				p.pull(euiA, 2)
				now.Add(int64(2 * time.Second))
				p.push(euiA, 2, rxpk(2_000_000, "after"))
				up := b.ups(2)[1]
				if up.Ended != up.Received || up.Time.Counter() != 2_000_000 || up.Time <= before.Time {
					t.Errorf("heard %v before it came, at %d after %d", up.Received.Sub(up.Ended), up.Time, before.Time)
				}
				b.sink.mu.Lock()
				defer b.sink.mu.Unlock()
				reset := b.sink.events[len(b.sink.events)-1]
				if known := reset.Kind == radio.GatewayCounterReset; known != (port || after >= time.Minute) || known &&
					reset.Since != up.Time {
					t.Errorf("told is %+v", b.sink.events)
				}
			})
		}
	}
}

// Another port alone is no restart, nor is a counter that wraps.
func TestPortAndWrapAreNoRestart(t *testing.T) {
	var now atomic.Int64
	now.Store(int64(time.Minute))
	b := start(t, Options{Now: func() radio.HostTime { return radio.HostTime(now.Load()) }})
	counter := ^uint32(0) - 10_000_000
	for i := range 5 {
		p := b.peer("")
		p.pull(euiA, 2)
		p.push(euiA, uint16(i), rxpk(counter, fmt.Sprint(i)))
		b.ups(i + 1)
		now.Add(int64(5 * time.Second))
		counter += 5_000_000
	}
	if got := b.sink.kinds(); got != "connected " {
		t.Errorf("told is %s", got)
	}
	if ups := b.ups(5); ups[4].Time.Sub(ups[0].Time) != 20*time.Second {
		t.Errorf("%v in 20 s", ups[4].Time.Sub(ups[0].Time))
	}
}
