package gateway

import (
	"testing"
	"time"

	"lorawand/radio"
)

// beaming is a gateway that sends beacons, at a time after one.
func beaming(since time.Duration) *Gateway {
	return &Gateway{
		Beacons: true, HasClock: true, Clock: Moment{Counter: 50_000_000, Host: radio.HostTime(time.Hour)},
		GPS: radio.GPSTime(10*128*time.Second + since),
	}
}

// When an emission can begin that is planned so long after a beacon, for one of 100 ms.
func TestBeaconWait(t *testing.T) {
	for _, tt := range []struct {
		name        string
		since, wait time.Duration
	}{
		{"with the beacon", 0, 2120 * time.Millisecond},
		{"in the time behind it", time.Second, 1120 * time.Millisecond},
		{"just in it", 2119 * time.Millisecond, time.Millisecond},
		{"behind that", 2120 * time.Millisecond, 0},
		{"far from it", time.Minute, 0},
		{"before the next one", 127900 * time.Millisecond, 0},
		{"into the next one", 127901 * time.Millisecond, 2219 * time.Millisecond},
		{"before the last one", -50 * time.Millisecond, 2170 * time.Millisecond},
		{"with a later one", 3 * 128 * time.Second, 2120 * time.Millisecond},
	} {
		g := beaming(30 * time.Second)
		start := g.Clock.Counter.Add(tt.since - 30*time.Second)
		if got := g.BeaconWait(start, 100*time.Millisecond); got != tt.wait {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.wait)
		}
	}
}

func TestNoBeacons(t *testing.T) {
	for name, change := range map[string]func(*Gateway){
		"not to be sent":   func(g *Gateway) { g.Beacons = false },
		"no GPS time":      func(g *Gateway) { g.GPS = 0 },
		"no known counter": func(g *Gateway) { g.HasClock = false },
	} {
		g := beaming(0)
		change(g)
		if _, _, ok := g.NextBeacon(); ok || g.BeaconWait(g.Clock.Counter, time.Second) != 0 {
			t.Errorf("%s: there is one", name)
		}
	}
}

func TestNextBeacon(t *testing.T) {
	at, m, ok := beaming(126 * time.Second).NextBeacon()
	want := Moment{Counter: 52_000_000, Host: radio.HostTime(time.Hour + 2*time.Second)}
	if !ok || at != radio.GPSTime(11*128*time.Second) || m != want {
		t.Errorf("%v, %+v, %v; want %+v", at, m, ok, want)
	}
}
