package reach

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/radio"
)

const (
	now = radio.HostTime(time.Minute)
	ms  = time.Millisecond
)

// gw is a gateway of the local host, whose forwarder answers: its lead is 150 ms.
func gw(n byte) *gateway.Gateway {
	g := &gateway.Gateway{ID: fmt.Sprintf("gw-%d", n), EUI: radio.EUI64{n}, Local: true}
	g.Answered(3 * ms)
	return g
}

// heard is an uplink that ended at a time, as a gateway has heard it.
func heard(g *gateway.Gateway, ended radio.HostTime, rssi int) *radio.Uplink {
	return &radio.Uplink{
		Gateway: g.EUI, Time: radio.ConcentratorTime(ended / 1000), Ended: ended, Received: ended,
		Receptions: []radio.Reception{{RSSI: radio.Decibel(rssi * 100)}},
	}
}

// chances are RX1 a second behind an uplink that two gateways have heard now, and RX2.
func chances() *Chances {
	c := &Chances{Start: now}
	for i := range c.Windows {
		c.Windows[i] = mac.Window{
			Delay: time.Duration(i+1) * time.Second, Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
			MaxMACPayload: 60 * (i + 1),
		}
	}
	for n, rssi := range []int{-110, -90} {
		g := gw(byte(n))
		c.Add(g, heard(g, now, rssi), true)
	}
	return c
}

// In which order windows and paths are tried.
func TestEach(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Chances)
		now    radio.HostTime
		first  int
		want   string
	}{
		{"the strongest first, RX1 first", nil, now, 0, "0 gw-1, 0 gw-0, 1 gw-1, 1 gw-0"},
		{"RX2 only", nil, now, 1, "1 gw-1, 1 gw-0"},
		{"behind RX2", nil, now, 2, ""},
		{"RX1 is not open", func(c *Chances) { c.Windows[0].Err = errors.New("no channel") }, now, 0, "1 gw-1, 1 gw-0"},
		{"all are closed", (*Chances).Close, now, 0, ""},
		{"a gateway is lost", func(c *Chances) {
			c.Lose(c.Paths[0].Gateway, c.Paths[0].Start.Counter+1)
		}, now, 0, "0 gw-0, 1 gw-0"},
		{"what came later is not", func(c *Chances) {
			c.Lose(c.Paths[0].Gateway, c.Paths[0].Start.Counter)
		}, now, 0, "0 gw-1, 0 gw-0, 1 gw-1, 1 gw-0"},
		{"the strongest is hurried", func(c *Chances) {
			c.Paths[0].Start.Host = c.Paths[0].Start.Host.Add(-20 * ms)
		}, now.Add(920 * ms), 0, "0 gw-0, 0 gw-1, 1 gw-1, 1 gw-0"},
	} {
		c := chances()
		if tt.change != nil {
			tt.change(c)
		}
		var got []string
		c.Each(tt.now, tt.first, func(w, i int) bool {
			got = append(got, fmt.Sprint(w, " ", c.Paths[i].Gateway.ID))
			return false
		})
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
	}
	c, calls := chances(), 0
	if !c.Each(now, 0, func(int, int) bool { calls++; return calls == 2 }) || calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

// What is sent in a window, by the clocks of its gateway.
func TestEmission(t *testing.T) {
	c := chances()
	c.Paths[1].Start.Host = now.Add(-5 * ms) // it knows better when the uplink ended
	for w, delay := range []time.Duration{time.Second, 2 * time.Second} {
		e := c.Emission(w, 1, 20, radio.PriorityHigh)
		airtime, err := radio.TimeOnAir(radio.Packet{DataRate: c.Windows[w].DataRate, Size: 20, NoCRC: true})
		if err != nil {
			t.Fatal(err)
		}
		if e.HostStart != now.Add(delay-5*ms) || e.Start != c.Paths[1].Start.Counter.Add(delay) || e.Airtime != airtime ||
			e.Fallback != (w > 0) || e.Gateway != c.Paths[1].Gateway || e.Priority != radio.PriorityHigh {
			t.Errorf("window %d: %+v", w, e)
		}
	}
	for size, want := range map[int][2]bool{64: {true, true}, 65: {true, true}, 66: {false, true}, 126: {false, false}} {
		if got := [2]bool{c.Fits(0, size), c.Fits(1, size)}; got != want {
			t.Errorf("%d bytes fit %v, want %v", size, got, want)
		}
	}
	if got := c.MaxMACPayload(); got != 120 {
		t.Errorf("at most %d bytes", got)
	}
}

// Paths that are named by their place keep it, and gateways that cannot answer are remembered, but
// not without end.
func TestAdd(t *testing.T) {
	c := chances()
	g := gw(7)
	c.Add(g, heard(g, now, -50), false)
	if last := c.Paths[len(c.Paths)-1].Gateway; last != g || len(c.Paths) != 3 {
		t.Errorf("a late path is not the last of %d", len(c.Paths))
	}
	up := heard(g, now, -50)
	up.NoPath, up.Receptions[0].NoDownlink = "no PULL_DATA", true
	for range 2 * maxBlocked {
		c.Add(g, up, true)
	}
	if len(c.Paths) != 3 || len(c.Blocked) != maxBlocked || c.Blocked[0] != "gateway gw-7 cannot answer: no PULL_DATA" {
		t.Errorf("%d paths, %d blocked: %.1s", len(c.Paths), len(c.Blocked), c.Blocked)
	}
}

// RX1 follows a channel which has one, and opens when it did.
func TestFollow(t *testing.T) {
	other := func(change func(w *mac.Window)) [2]mac.Window {
		w := chances().Windows
		w[0].Frequency = 868_300_000
		change(&w[0])
		return w
	}
	for _, tt := range []struct {
		name string
		w    [2]mac.Window
		err  error
		want radio.Frequency
	}{
		{"another channel", other(func(*mac.Window) {}), nil, 868_300_000},
		{"a channel without RX1", other(func(w *mac.Window) { w.Err = errors.New("none") }), nil, 868_100_000},
		{"another delay", other(func(w *mac.Window) { w.Delay += time.Second }), nil, 868_100_000},
		{"no windows", other(func(*mac.Window) {}), errors.New("none"), 868_100_000},
	} {
		c := chances()
		c.Follow(tt.w, tt.err)
		if got := c.Windows[0].Frequency; got != tt.want || c.Windows[0].Delay != time.Second || c.Windows[0].Err != nil {
			t.Errorf("%s: RX1 at %d, want %d", tt.name, got, tt.want)
		}
	}
}
