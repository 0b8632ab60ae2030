package schedule

import (
	"slices"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// Each priority may fill its share of each sub-band to the nanosecond; what is planned
// for another priority counts too.
func TestShares(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		name      string
		plan      string
		frequency radio.Frequency
		hour      time.Duration // what the sub-band allows; 0: all of the hour
	}{
		{"0.1 %", "EU_863_870", 868_800_000, 3600 * ms},
		{"1 %", "EU_863_870", 868_100_000, 36 * second},
		{"10 %", "EU_863_870", 869_525_000, 360 * second},
		{"no limit", "US_902_928_FSB_2", 923_300_000, 0},
	} {
		for p := radio.PriorityLowest; p <= radio.PriorityHighest; p++ {
			s, g := New(), testGateway(t, tt.plan)
			share := tt.hour * time.Duration(40+10*p) / 100
			used := share / 2
			commit(second, used+ms, tt.frequency)(s, g)
			left := share - used - ms
			if tt.hour == 0 {
				left = 30 * time.Minute
			}
			begin := 10 * time.Minute
			if v := s.Check(0, at(g, begin, left, tt.frequency, p)); !v.OK() || v.Allowed != share || v.Used != used+ms {
				t.Errorf("%s, priority %v: all that is left: %v %+v, want %v allowed", tt.name, p, v.Reason, v, share)
			}
			want := DutyCycle
			if tt.hour == 0 {
				want = None
			}
			if v := s.Check(0, at(g, begin, left+1, tt.frequency, p)); v.Reason != want {
				t.Errorf("%s, priority %v: 1 ns more: %v, want %v", tt.name, p, v.Reason, want)
			}
		}
	}
}

// Only a plan with a limit to dwell time refuses a long emission for it, and not one that
// is just as long as the limit.
func TestDwellTimeOfPlans(t *testing.T) {
	const limit = 400 * ms
	for _, tt := range []struct {
		plan      string
		frequency radio.Frequency
		limited   bool
	}{
		{"AS_920_923", 923_200_000, true},
		{"AS_923_925", 923_200_000, true},
		{"EU_863_870", 868_100_000, false},
		{"EU_433", 433_175_000, false},
		{"IN_865_867", 866_550_000, false},
		{"US_902_928_FSB_2", 923_300_000, false},
	} {
		g := testGateway(t, tt.plan)
		g.EnforceDutyCycle = false
		for _, airtime := range []time.Duration{ms, limit, limit + 1, 3 * time.Second} {
			v := New().Check(0, at(g, time.Second, airtime, tt.frequency, radio.PriorityLowest))
			refused := tt.limited && airtime > limit
			if (v.Reason == DwellTime) != refused || !refused && !v.OK() || refused && v.Limit != limit {
				t.Errorf("%s, %v of airtime: %q, limit %v", tt.plan, airtime, v.Reason, v.Limit)
			}
		}
	}
}

// A slot is in the way of another on any frequency, and up to gap before and behind it,
// whether it is held or planned, and of any length.
func TestConflicts(t *testing.T) {
	const f, rx2 = radio.Frequency(868_100_000), radio.Frequency(869_525_000)
	for _, tt := range []struct {
		name           string
		start, airtime time.Duration
		want           Reason
	}{
		{"the same", 2000 * ms, 100 * ms, Conflict},
		{"within", 2040 * ms, 20 * ms, Conflict},
		{"around", 1500 * ms, 1500 * ms, Conflict},
		{"over its begin", 1950 * ms, 100 * ms, Conflict},
		{"over its end", 2050 * ms, 100 * ms, Conflict},
		{"1 µs too close before it", 1857*ms + time.Microsecond, 100 * ms, Conflict},
		{"the gap before it", 1857 * ms, 100 * ms, None},
		{"1 µs too close behind it", 2143*ms - time.Microsecond, 100 * ms, Conflict},
		{"the gap behind it", 2143 * ms, 100 * ms, None},
		{"of no length", 2050 * ms, 0, Conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, held := range []bool{false, true} {
				s, g := New(), testGateway(t, "EU_863_870")
				first := at(g, 2000*ms, 100*ms, rx2, radio.PriorityNormal)
				plan := s.Commit
				if held {
					plan = s.Hold
				}
				if slot, v := plan(0, first); slot == nil {
					t.Fatal(v)
				}
				e := at(g, tt.start, tt.airtime, f, radio.PriorityNormal)
				if slot, v := s.Hold(0, e); v.Reason != tt.want || (slot == nil) != (tt.want != None) {
					t.Errorf("held first %t: %q, want %q", held, v.Reason, tt.want)
				}
				if slots := s.timeline(g.EUI).slots; (len(slots) == 1) != (tt.want != None) {
					t.Errorf("held first %t: %d slots", held, len(slots))
				}
			}
		})
	}
}

// More than one held slot gives way at once, or none: one that does not keeps the others.
func TestDisplaceSeveral(t *testing.T) {
	const f = radio.Frequency(868_100_000)
	for _, tt := range []struct {
		name   string
		second radio.Priority
		want   Reason
		left   []time.Duration // begins of the slots
	}{
		{"both are less important", radio.PriorityLow, None, []time.Duration{1000 * ms, 3000 * ms}},
		{"one is as important", radio.PriorityHigh, Conflict, []time.Duration{1000 * ms, 1500 * ms, 3000 * ms}},
	} {
		s, g := New(), testGateway(t, "EU_863_870")
		for start, p := range map[time.Duration]radio.Priority{
			1000 * ms: radio.PriorityLow, 1500 * ms: tt.second, 3000 * ms: radio.PriorityLowest,
		} {
			if slot, v := s.Hold(0, at(g, start, 100*ms, f, p)); slot == nil {
				t.Fatal(v)
			}
		}
		if _, v := s.Commit(0, at(g, 1000*ms, 600*ms, f, radio.PriorityHigh)); v.Reason != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, v.Reason, tt.want)
		}
		var left []time.Duration
		for _, slot := range s.timeline(g.EUI).slots {
			left = append(left, time.Duration(slot.HostStart))
		}
		if !slices.Equal(left, tt.left) {
			t.Errorf("%s: slots at %v, want %v", tt.name, left, tt.left)
		}
	}
}

// A slot that is released leaves its time and its airtime, once; no other slot goes with it.
func TestRelease(t *testing.T) {
	const f = radio.Frequency(868_100_000)
	first := func(g *gateway.Gateway) Emission { return at(g, time.Second, 20*time.Second, f, radio.PriorityHighest) }
	twin := func(g *gateway.Gateway) Emission { return at(g, time.Minute, 10*time.Second, f, radio.PriorityHighest) }
	for _, tt := range []struct {
		name string
		do   func(*Scheduler, *Slot)
		left time.Duration // of airtime, of both
		free bool          // the time of the first
	}{
		{"kept", func(*Scheduler, *Slot) {}, 30 * time.Second, false},
		{"nobody's", func(s *Scheduler, _ *Slot) { s.Release(nil) }, 30 * time.Second, false},
		{"released", func(s *Scheduler, slot *Slot) { s.Release(slot) }, 10 * time.Second, true},
		{"released twice", func(s *Scheduler, slot *Slot) { s.Release(slot); s.Release(slot) }, 10 * time.Second, true},
		{
			"forgotten, and released", func(s *Scheduler, slot *Slot) { s.Forget(slot.Gateway, 2_000_000); s.Release(slot) },
			10 * time.Second, true,
		},
		{"forgotten", func(s *Scheduler, slot *Slot) { s.Forget(slot.Gateway, 2_000_000) }, 30 * time.Second, false},
		{
			"one that was held", func(s *Scheduler, slot *Slot) {
				e := first(slot.Gateway)
				e.Start, e.HostStart = e.Start.Add(2*time.Minute), e.HostStart.Add(2*time.Minute)
				e.Airtime = ms
				held, _ := s.Hold(0, e)
				s.Release(held)
			}, 30 * time.Second, false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, g := New(), testGateway(t, "EU_863_870")
			slot, v := s.Commit(0, first(g))
			if slot == nil {
				t.Fatal(v)
			}
			if other, v := s.Commit(0, twin(g)); other == nil {
				t.Fatal(v)
			}
			tt.do(s, slot)
			if got := s.Spent(g.EUI, 0)[v.SubBand.Low]; got != tt.left {
				t.Errorf("%v of airtime, want %v", got, tt.left)
			}
			if v := s.Check(0, first(g)); v.OK() != tt.free {
				t.Errorf("its time: %q, free: %t", v.Reason, tt.free)
			}
			if v := s.Check(0, twin(g)); v.Reason != Conflict {
				t.Errorf("the time of another: %q", v.Reason)
			}
		})
	}
}
