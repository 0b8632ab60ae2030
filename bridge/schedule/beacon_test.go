package schedule

import (
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// beaming is a gateway whose next beacon begins in 10 s.
func beaming(t *testing.T) *gateway.Gateway {
	g := testGateway(t, "EU_863_870_TTN")
	g.Beacons, g.HasClock, g.GPS = true, true, radio.GPSTime(100*128*time.Second-10*time.Second)
	return g
}

// Nothing is sent over a beacon, nor within 2.12 s from its begin on; only the beacon is.
func TestBeacon(t *testing.T) {
	const rx1 = radio.Frequency(868_100_000)
	for _, tt := range []struct {
		name   string
		start  time.Duration
		beacon bool
		want   Reason
	}{
		{"long before", time.Second, false, None},
		{"43 ms before", 9907 * ms, false, None},
		{"42 ms before", 9908 * ms, false, Conflict},
		{"with it", 10 * time.Second, false, Conflict},
		{"behind it", 11 * time.Second, false, Conflict},
		{"2119 ms behind its begin", 12119 * ms, false, Conflict},
		{"2120 ms behind its begin", 12120 * ms, false, None},
		{"it", 10 * time.Second, true, None},
	} {
		s, e := New(), at(beaming(t), tt.start, 50*ms, rx1, radio.PriorityHighest)
		e.Beacon = tt.beacon
		if v := s.Check(0, e); v.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, v.Reason, tt.want)
		}
	}
}

// The first free time is behind the beacon, and behind what is planned there.
func TestFreeBehindBeacon(t *testing.T) {
	s, g := New(), beaming(t)
	e := at(g, 9950*ms, 50*ms, 868_100_000, radio.PriorityNormal)
	if got := s.Free(0, e); got.HostStart != radio.HostTime(12120*ms) || got.Start != 12_120_000 {
		t.Errorf("free at %v", time.Duration(got.HostStart))
	}
	if slot, v := s.Commit(0, at(g, 12200*ms, 100*ms, 869_525_000, radio.PriorityNormal)); slot == nil {
		t.Fatal(v.Reason)
	}
	if got := s.Free(0, e); got.HostStart != radio.HostTime(12343*ms) {
		t.Errorf("free at %v, behind another frame", time.Duration(got.HostStart))
	}
}
