package gateway

import (
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// beaming is a gateway that sends beacons, at a time after one.
func beaming(since time.Duration) *Gateway {
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		panic(err)
	}
	return &Gateway{
		Plan: plan, Beacons: true, HasClock: true, Clock: Moment{Counter: 50_000_000, Host: radio.HostTime(time.Hour)},
		GPS: radio.GPSTime(10*128*time.Second + since),
	}
}

// When an emission can begin that is planned so long after a beacon, for one of 100 ms. A beacon
// takes 152.576 ms.
func TestBeaconWait(t *testing.T) {
	for _, tt := range []struct {
		name         string
		since        time.Duration
		wait, answer time.Duration
	}{
		{"with the beacon", 0, 2120 * time.Millisecond, 164_076 * time.Microsecond},
		{"just in the beacon", 164_075 * time.Microsecond, 1_955_925 * time.Microsecond, time.Microsecond},
		{"behind the beacon", 164_076 * time.Microsecond, 1_955_924 * time.Microsecond, 0},
		{"in the time behind it", time.Second, 1120 * time.Millisecond, 0},
		{"just in it", 2118 * time.Millisecond, 2 * time.Millisecond, 0},
		{"at its edge", 2119*time.Millisecond + 1, 0, 0},
		{"behind that", 2120 * time.Millisecond, 0, 0},
		{"far from it", time.Minute, 0, 0},
		{"before the next one", 127890 * time.Millisecond, 0, 0},
		{"into the next one", 127891 * time.Millisecond, 2229 * time.Millisecond, 273_076 * time.Microsecond},
		{"before the last one", -50 * time.Millisecond, 2170 * time.Millisecond, 214_076 * time.Microsecond},
		{"with a later one", 3 * 128 * time.Second, 2120 * time.Millisecond, 164_076 * time.Microsecond},
	} {
		g := beaming(30 * time.Second)
		start := g.Clock.Counter.Add(tt.since - 30*time.Second)
		if tt.since%time.Microsecond != 0 { // the GPS time of the counter has ns
			g.GPS += radio.GPSTime(tt.since % time.Microsecond)
		}
		const airtime, gap = 100 * time.Millisecond, 10 * time.Millisecond
		if got := g.BeaconWait(start, airtime, gap, false); got != tt.wait {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.wait)
		}
		if got := g.BeaconWait(start, airtime, gap, true); got != tt.answer {
			t.Errorf("%s: an answer: %v, want %v", tt.name, got, tt.answer)
		}
	}
}

// A gateway's GPS time has ns and its counter has not: what waits for the end of a beacon, and the
// first ping slot, are behind it all the same.
func TestBeaconEdge(t *testing.T) {
	for _, ns := range []time.Duration{0, 1, 499, 999} {
		for _, answer := range []bool{false, true} {
			g := beaming(30*time.Second + ns)
			start := g.Clock.Counter.Add(98*time.Second + 300)
			wait := g.BeaconWait(start, time.Second, 10*time.Millisecond, answer)
			again := g.BeaconWait(start.Add(wait), time.Second, 10*time.Millisecond, answer)
			if wait == 0 || again != 0 {
				t.Errorf("%d ns, an answer: %v: behind a wait of %v one of %v", ns, answer, wait, again)
			}
		}
		g := beaming(30*time.Second + ns)
		first, _ := g.AtGPS(radio.GPSTime(11*128*time.Second + beaconReserved))
		if wait := g.BeaconWait(first.Counter, time.Second, 10*time.Millisecond, false); wait != 0 {
			t.Errorf("%d ns: the first ping slot waits for %v", ns, wait)
		}
	}
}

func TestNoBeacons(t *testing.T) {
	for name, change := range map[string]func(*Gateway){
		"not to be sent":   func(g *Gateway) { g.Beacons = false },
		"no GPS time":      func(g *Gateway) { g.GPS = 0 },
		"no known counter": func(g *Gateway) { g.HasClock = false },
		"a plan without beacons": func(g *Gateway) {
			plan, err := region.Lookup("UZ_923_1")
			if err != nil {
				t.Fatal(err)
			}
			g.Plan = plan
		},
	} {
		g := beaming(0)
		change(g)
		if _, _, ok := g.NextBeacon(); ok || g.BeaconWait(g.Clock.Counter, time.Second, 0, true) != 0 ||
			g.BeaconWait(g.Clock.Counter, time.Second, 0, false) != 0 {
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
