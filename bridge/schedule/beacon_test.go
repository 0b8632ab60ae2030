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

// Nothing is sent over a beacon; only the beacon is, which takes 152.576 ms. Behind it answers may
// be sent, and the others from 2.12 s behind its begin on.
func TestBeacon(t *testing.T) {
	const rx1 = radio.Frequency(868_100_000)
	for _, tt := range []struct {
		name         string
		start        time.Duration
		want, answer Reason
	}{
		{"long before", time.Second, None, None},
		{"43 ms before", 9907 * ms, None, None},
		{"42 ms before", 9908 * ms, Conflict, Conflict},
		{"with it", 10 * time.Second, Conflict, Conflict},
		{"in the gap behind it", 10197 * ms, Conflict, Conflict},
		{"behind that", 10198 * ms, Conflict, None},
		{"a second behind it", 11 * time.Second, Conflict, None},
		{"2118 ms behind its begin", 12118 * ms, Conflict, None},
		{"2120 ms behind its begin", 12120 * ms, None, None},
	} {
		for _, answer := range []bool{false, true} {
			s, e := New(), at(beaming(t), tt.start, 50*ms, rx1, radio.PriorityHighest)
			e.Answer = answer
			want := tt.want
			if answer {
				want = tt.answer
			}
			if v := s.Check(0, e); v.Reason != want {
				t.Errorf("%s, an answer: %v: %q, want %q", tt.name, answer, v.Reason, want)
			}
		}
	}
	s, e := New(), at(beaming(t), 10*time.Second, 153*ms, 869_525_000, radio.PriorityHighest)
	e.Beacon = true
	if slot, v := s.Commit(0, e); slot == nil {
		t.Fatalf("the beacon: %q", v.Reason)
	}
	e = at(e.Gateway, 10198*ms, 50*ms, rx1, radio.PriorityHighest)
	if e.Answer = true; !okay(s.Check(0, e)) {
		t.Error("an answer conflicts with the planned beacon too")
	}
}

func okay(v Verdict) bool { return v.OK() }

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
