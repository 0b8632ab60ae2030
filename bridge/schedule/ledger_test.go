package schedule

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

const testBand = radio.Frequency(868_000_000)

// spent is a ledger with transmissions of a band: begin and airtime, in s.
func spent(at ...[2]int) ledger {
	l := ledger{}
	for _, s := range at {
		l.spend(testBand, radio.HostTime(time.Duration(s[0])*time.Second), time.Duration(s[1])*time.Second)
	}
	return l
}

// used is the airtime in the fullest hour that holds an emission. An hour has
// 3601 s here.
func TestUsed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		l     ledger
		start int // s
		want  int // s
	}{
		//                                        emission e of 1 s
		{"nothing", spent(), 0, 0},
		{"just before", spent([2]int{0, 5}), 5, 5},                             // [.....]e
		{"an hour ago, all of it", spent([2]int{0, 5}), 3600, 5},               // [..... hour e]
		{"an hour ago, a part", spent([2]int{0, 5}), 3602, 3},                  // ..[... hour e]
		{"an hour ago, nothing", spent([2]int{0, 5}), 3606, 0},                 // .....[ hour e]
		{"afterwards", spent([2]int{10, 5}), 5, 5},                             // [e.....]
		{"afterwards, within the hour", spent([2]int{3000, 5}), 0, 5},          // [e hour .....]
		{"an hour later", spent([2]int{3601, 5}), 0, 0},                        // e[ hour .....]
		{"before and afterwards", spent([2]int{0, 5}, [2]int{100, 7}), 50, 12}, // [.....e.......]
		// Two hours hold it, and the fuller one counts.
		{"more before", spent([2]int{0, 9}, [2]int{7000, 2}), 3500, 9},
		{"more afterwards", spent([2]int{0, 2}, [2]int{7000, 9}), 3500, 9},
		{"out of order", spent([2]int{100, 7}, [2]int{0, 5}), 50, 12},
		{"two at once", spent([2]int{0, 5}, [2]int{0, 5}), 10, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := radio.HostTime(time.Duration(tt.start) * time.Second)
			if got := tt.l.used(testBand, start, time.Second); got != time.Duration(tt.want)*time.Second {
				t.Errorf("%v, want %d s", got, tt.want)
			}
			if got := tt.l.used(testBand+1, start, time.Second); got != 0 {
				t.Errorf("another band has %v", got)
			}
		})
	}
}

// Nothing that an hour can still count is forgotten.
func TestPrune(t *testing.T) {
	for _, tt := range []struct {
		now, want int
	}{{0, 3}, {3605, 3}, {3606, 3}, {3607, 2}, {3700, 2}, {3712, 1}, {9000, 0}} {
		l := spent([2]int{0, 5}, [2]int{100, 10}, [2]int{200, 1})
		now := radio.HostTime(time.Duration(tt.now) * time.Second)
		before := l.between(testBand, now.Add(-hour), now)
		l.prune(now)
		if got := len(l[testBand]); got != tt.want {
			t.Errorf("at %d s: %d are left, want %d", tt.now, got, tt.want)
		}
		if after := l.between(testBand, now.Add(-hour), now); after != before {
			t.Errorf("at %d s: %v of the last hour were %v", tt.now, after, before)
		}
	}
}

func TestGiveBack(t *testing.T) {
	l := spent([2]int{0, 5})
	s := l.spend(testBand, 0, 5*time.Second) // as long as the other one, and at its time
	l.giveBack(testBand, s)
	l.giveBack(testBand, s)
	if got := l.used(testBand, radio.HostTime(10*time.Second), time.Second); got != 5*time.Second {
		t.Errorf("%v are left, want 5s", got)
	}
}

// What a priority may use up of an hour, of a sub-band with 1 %.
func TestAllowance(t *testing.T) {
	want := []time.Duration{
		14_400 * ms, 18 * time.Second, 21_600 * ms, 25_200 * ms, 28_800 * ms, 32_400 * ms,
		36 * time.Second,
	}
	for p := radio.PriorityLowest; p <= radio.PriorityHighest; p++ {
		if got := allowance(region.SubBand{DutyCycle: 10}, p); got != want[p] {
			t.Errorf("priority %d: %v, want %v", p, got, want[p])
		}
	}
	if got := allowance(region.SubBand{DutyCycle: 1}, radio.PriorityHighest); got != 3600*ms {
		t.Errorf("of 0.1 %%: %v", got)
	}
}

// What is held gives way to what is more important, and RX2 to an RX1 of its own
// importance.
func TestGivesWay(t *testing.T) {
	const low, high = radio.PriorityLow, radio.PriorityHigh
	for _, tt := range []struct {
		name         string
		held, wanted radio.Priority
		heldRX2, rx2 bool
		want         Reason
	}{
		{"more important", low, high, false, false, None},
		{"less important", high, low, false, false, Conflict},
		{"as important", low, low, false, false, Conflict},
		{"RX1 over RX2", low, low, true, false, None},
		{"RX2 over RX1", low, low, false, true, Conflict},
		{"RX2 over RX2", low, low, true, true, Conflict},
		{"a less important RX1 over RX2", high, low, true, false, Conflict},
		{"a more important RX2 over RX1", low, high, false, true, None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, g := New(), testGateway(t, "EU_863_870")
			h := at(g, time.Second, 100*ms, 868_100_000, tt.held)
			h.Fallback = tt.heldRX2
			held, v := s.Hold(0, h)
			if held == nil {
				t.Fatalf("%+v", v)
			}
			e := at(g, 1050*ms, 100*ms, 868_300_000, tt.wanted)
			e.Fallback = tt.rx2
			if v := s.Check(0, e); v.Reason != tt.want {
				t.Errorf("%v, want %v", v.Reason, tt.want)
			}
			slot, v := s.Commit(0, e)
			if (slot != nil) != (tt.want == None) {
				t.Errorf("committed: %+v", v)
			}
			// The place of what was displaced is free for nobody else.
			s.Release(held)
			if v := s.Check(0, h); v.OK() != (slot == nil) {
				t.Errorf("what was held: %v", v.Reason)
			}
			// Once committed nothing gives way.
			if slot != nil {
				if v := s.Check(0, at(g, 1050*ms, 50*ms, 868_300_000, radio.PriorityHighest)); v.Reason != Conflict {
					t.Errorf("over what is committed: %v", v.Reason)
				}
			}
		})
	}
}

// Where several things speak against an emission, the first of them is told.
func TestOrderOfReasons(t *testing.T) {
	s, g := New(), testGateway(t, "AS_920_923")
	f, dwell := g.Plan.BandRX2().Frequency, g.Plan.DwellTime()
	e := at(g, 0, dwell+1, 1, radio.PriorityLowest)
	g.Online = false
	for _, step := range []struct {
		want Reason
		mend func()
	}{
		{NoSubBand, func() { e.Frequency = f }},
		{Offline, func() { g.Online = true }},
		{DwellTime, func() { e.Airtime = dwell }},
		{TooLate, func() { e.HostStart, e.Start = radio.HostTime(time.Second), 1_000_000 }},
		{None, func() {}},
	} {
		if v := s.Check(0, e); v.Reason != step.want {
			t.Errorf("%v, want %v", v.Reason, step.want)
		}
		step.mend()
	}
}

// What was spent before a restart counts as spent just now.
func TestRestore(t *testing.T) {
	s, g := New(), testGateway(t, "EU_863_870")
	sub, err := g.Plan.SubBand(868_100_000)
	if err != nil {
		t.Fatal(err)
	}
	s.Restore(g.EUI, map[radio.Frequency]time.Duration{sub.Low: 30 * time.Second})
	for _, tt := range []struct {
		at, airtime time.Duration
		want        Reason
	}{
		{time.Second, 6 * time.Second, None},
		{time.Second, 6*time.Second + 1, DutyCycle},
		{50 * time.Minute, 6*time.Second + 1, DutyCycle},
		{time.Hour + 2*time.Second, 36 * time.Second, None}, // none of it is left
	} {
		if v := s.Check(radio.HostTime(tt.at-100*ms),
			at(g, tt.at, tt.airtime, 868_100_000, radio.PriorityHighest)); v.Reason != tt.want {
			t.Errorf("%v of airtime at %v: %v with %v used, want %v", tt.airtime, tt.at, v.Reason, v.Used, tt.want)
		}
	}
}

// The gateways have nothing to do with each other.
func TestGatewaysApart(t *testing.T) {
	s, a, b := New(), testGateway(t, "EU_863_870"), testGateway(t, "EU_863_870")
	b.EUI = radio.EUI64{2}
	commit(time.Second, 36*time.Second, 868_100_000)(s, a)
	if v := s.Check(0, at(b, time.Second, time.Second, 868_100_000, radio.PriorityHighest)); !v.OK() || v.Used != 0 {
		t.Errorf("%+v", v)
	}
	if u := s.Usage(b, radio.HostTime(time.Minute)); len(u) != 0 {
		t.Errorf("%+v", u)
	}
}

func TestReasonWords(t *testing.T) {
	var words []string
	for r := None; r <= NoCounter; r++ {
		if w := r.String(); (w == "") != (r == None) || slices.Contains(words, w) {
			t.Errorf("reason %d is %q", r, w)
		} else {
			words = append(words, w)
		}
	}
	if fmt.Sprint(Bands(map[radio.Frequency]int{3: 1, 1: 1, 2: 1})) != fmt.Sprint([]radio.Frequency{1, 2, 3}) {
		t.Error("Bands are not in order")
	}
}
