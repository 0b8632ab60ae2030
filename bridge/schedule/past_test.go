package schedule

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// What came before the counter's new begin stands in nobody's way; what is planned for
// after it does.
func TestForget(t *testing.T) {
	for _, tt := range []struct {
		since time.Duration
		left  int
	}{
		{0, 3}, {time.Second, 3}, {time.Second + time.Microsecond, 2}, {2 * time.Second, 2}, {4 * time.Second, 0},
	} {
		s, g := New(), testGateway(t, "EU_863_870")
		for i := range 3 {
			commit(time.Duration(i+1)*time.Second, 100*ms, 868_100_000)(s, g)
		}
		s.Forget(g, radio.ConcentratorTime(tt.since/time.Microsecond))
		if got := len(s.timeline(g.EUI).slots); got != tt.left {
			t.Errorf("since %v: %d slots, want %d", tt.since, got, tt.left)
		}
		if got := s.Spent(g.EUI, 0); got[868_000_000] != 300*ms {
			t.Errorf("since %v: %v spent", tt.since, got)
		}
	}
}

// A slot stays for 2 s after its end, as the clock of its gateway is an estimate.
func TestKeepPast(t *testing.T) {
	for _, tt := range []struct {
		now  time.Duration
		left int
	}{{0, 2}, {3100 * ms, 2}, {3100*ms + 1, 1}, {5100*ms + 1, 0}} {
		s, g := New(), testGateway(t, "EU_863_870")
		commit(3000*ms, 100*ms, 869_525_000)(s, g)
		commit(1000*ms, 100*ms, 868_100_000)(s, g)
		s.Check(radio.HostTime(tt.now), at(g, time.Hour, ms, 868_100_000, radio.PriorityLow))
		if got := len(s.timeline(g.EUI).slots); got != tt.left {
			t.Errorf("at %v: %d slots, want %d", tt.now, got, tt.left)
		}
	}
}

// What is spent, and what is planned for the next hour, is there again after a restart; what
// is older than an hour is not. An hour has 3601 s here.
func TestSpentAndRestored(t *testing.T) {
	type airtimes = map[radio.Frequency]time.Duration
	for _, tt := range []struct {
		now  time.Duration
		want airtimes
	}{
		{0, airtimes{868_000_000: 3 * time.Second, 869_400_000: 5 * time.Second}},
		{time.Hour, airtimes{868_000_000: 3 * time.Second, 869_400_000: 5 * time.Second}},
		{time.Hour + 3*time.Second, airtimes{868_000_000: 2 * time.Second, 869_400_000: 5 * time.Second}},
		{time.Hour + 5*time.Second, airtimes{868_000_000: time.Second, 869_400_000: 5 * time.Second}},
		{time.Hour + time.Minute, airtimes{868_000_000: 0, 869_400_000: 5 * time.Second}},
		{3 * time.Hour, airtimes{868_000_000: 0, 869_400_000: 0}},
	} {
		s, g := New(), testGateway(t, "EU_863_870")
		commit(time.Second, time.Second, 868_100_000)(s, g)
		commit(3*time.Second, 2*time.Second, 868_300_000)(s, g)
		commit(20*time.Minute, 5*time.Second, 869_525_000)(s, g)
		got := s.Spent(g.EUI, radio.HostTime(tt.now))
		if !maps.Equal(got, tt.want) {
			t.Errorf("at %v: %v, want %v", tt.now, got, tt.want)
		}
		anew := New()
		anew.Restore(g.EUI, got)
		for band, airtime := range got {
			if v := anew.Check(0, at(g, time.Second, ms, band+100_000, radio.PriorityLowest)); v.Used != airtime {
				t.Errorf("at %v, restored: %v, want %v", tt.now, v.Used, airtime)
			}
		}
	}
}

// The first free time is behind what does not give way, and only behind that.
func TestFree(t *testing.T) {
	const f = radio.Frequency(868_100_000)
	type slot struct {
		start, airtime time.Duration
		priority       radio.Priority
		held           bool
	}
	const low, normal, high = radio.PriorityLow, radio.PriorityNormal, radio.PriorityHigh
	for _, tt := range []struct {
		name  string
		slots []slot
		want  time.Duration
	}{
		{"nothing", nil, 1000 * ms},
		{"behind one", []slot{{950 * ms, 100 * ms, low, false}}, 1093 * ms},
		{"over one that is held for less", []slot{{950 * ms, 100 * ms, low, true}}, 1000 * ms},
		{"behind one that is held for as much", []slot{{950 * ms, 100 * ms, normal, true}}, 1093 * ms},
		{"behind one that is held for more", []slot{{950 * ms, 100 * ms, high, true}}, 1093 * ms},
		{"one later", []slot{{1143 * ms, 100 * ms, high, false}}, 1000 * ms},
		{"one a little later", []slot{{1142 * ms, 100 * ms, high, false}}, 1285 * ms},
		{"two in a row", []slot{{950 * ms, 100 * ms, low, false}, {1200 * ms, 100 * ms, low, false}}, 1343 * ms},
		{"between two", []slot{{950 * ms, 100 * ms, low, false}, {1236 * ms, 100 * ms, low, false}}, 1093 * ms},
		{
			"past both, planned the other way round",
			[]slot{{1200 * ms, 100 * ms, low, false}, {950 * ms, 100 * ms, low, false}},
			1343 * ms,
		},
	} {
		s, g := New(), testGateway(t, "EU_863_870")
		for _, o := range tt.slots {
			plan := s.Commit
			if o.held {
				plan = s.Hold
			}
			if slot, v := plan(0, at(g, o.start, o.airtime, f, o.priority)); slot == nil {
				t.Fatal(v)
			}
		}
		e := s.Free(0, at(g, 1000*ms, 100*ms, f, normal))
		if got := time.Duration(e.HostStart); got != tt.want || int64(e.Start) != tt.want.Microseconds() {
			t.Errorf("%s: free at %v, by the counter %d, want %v", tt.name, got, e.Start, tt.want)
		}
		if v := s.Check(0, e); !v.OK() {
			t.Errorf("%s: %q at the free time", tt.name, v.Reason)
		}
	}
}

// Only a gateway that sends beacons, and knows their time, keeps theirs free. A beacon
// waits for no other, but for the frames that are planned.
func TestWhoseBeacon(t *testing.T) {
	const f, highest = radio.Frequency(868_100_000), radio.PriorityHighest
	for _, tt := range []struct {
		name   string
		change func(*gateway.Gateway)
		want   Reason
	}{
		{"one that beams", func(*gateway.Gateway) {}, Conflict},
		{"no beacons", func(g *gateway.Gateway) { g.Beacons = false }, None},
		{"no clock", func(g *gateway.Gateway) { g.HasClock = false }, None},
		{"no GPS time", func(g *gateway.Gateway) { g.GPS = 0 }, None},
	} {
		g := beaming(t)
		tt.change(g)
		s := New()
		e := at(g, 10*time.Second, 50*ms, f, highest)
		if slot, v := s.Hold(0, e); v.Reason != tt.want || (slot != nil) != (tt.want == None) {
			t.Errorf("%s: %q, want %q", tt.name, v.Reason, tt.want)
		}
		if free := s.Free(0, e); tt.want == Conflict && free.HostStart != radio.HostTime(12120*ms) {
			t.Errorf("%s: free at %v", tt.name, time.Duration(free.HostStart))
		}
	}
	s, g := New(), beaming(t)
	commit(9800*ms, 107*ms, f)(s, g)
	beacon := at(g, 9900*ms, 150*ms, 869_525_000, highest)
	beacon.Beacon = true
	if v := s.Check(0, beacon); v.Reason != Conflict {
		t.Errorf("a beacon over a frame: %q", v.Reason)
	}
	beacon.Start, beacon.HostStart = 10_000_000, radio.HostTime(10*time.Second)
	if slot, v := s.Commit(0, beacon); slot == nil {
		t.Errorf("a beacon behind a frame: %q", v.Reason)
	}
}

// What a frame is for is told in words, each another one.
func TestFor(t *testing.T) {
	var words []string
	for _, tt := range []struct {
		join, item bool
		want       What
	}{{false, false, Network}, {false, true, Item}, {true, false, JoinAccept}, {true, true, JoinAccept}} {
		want := Why{"app1/dev1", "RX2", tt.want}
		if got := For("app1/dev1", "RX2", tt.join, tt.item); got != want {
			t.Errorf("join %t, item %t: %+v, want %+v", tt.join, tt.item, got, want)
		}
	}
	for w := Unknown; w <= Item; w++ {
		if s := w.String(); s == "" || slices.Contains(words, s) {
			t.Errorf("%d is %q", w, s)
		} else {
			words = append(words, s)
		}
	}
}

// Hours that nobody takes do not add up without end: the oldest go, and those that stay are
// in order, also where the sub-bands are counted one after the other.
func TestHoursBound(t *testing.T) {
	s, g := New(), testGateway(t, "EU_863_870")
	const n = 2 * maxHours
	for i := range n {
		start := time.Duration(i)*time.Hour - 29*time.Minute
		for _, f := range []radio.Frequency{869_525_000, 868_100_000} {
			start += 30 * time.Minute
			e := at(g, start, 100*ms, f, radio.PriorityLow)
			if slot, v := s.Commit(radio.HostTime(start-time.Second), e); slot == nil {
				t.Fatal(v)
			}
		}
	}
	hours := s.Hours(g.EUI, radio.HostTime(n*time.Hour))
	if len(hours) != maxHours || hours[0].Number != n-maxHours {
		t.Fatalf("%d hours from the %dth on", len(hours), hours[0].Number)
	}
	for i, h := range hours {
		got := show([]Hour{h})
		end := time.Duration(h.Number)*time.Hour + time.Minute + 100*ms
		want := fmt.Sprintf("%d: 868.0 MHz 1 100ms 100ms@%v 869.4 MHz 1 100ms 100ms@%v\n",
			n-maxHours+i, end+30*time.Minute, end)
		if got != want {
			t.Errorf("got %swant %s", got, want)
		}
	}
}
