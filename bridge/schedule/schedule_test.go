package schedule

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
	"lorawand/radio/region"
)

const ms = time.Millisecond

func testGateway(t *testing.T, plan string) *gateway.Gateway {
	t.Helper()
	p, err := region.Lookup(plan)
	if err != nil {
		t.Fatal(err)
	}
	return &gateway.Gateway{ID: "gw", EUI: radio.EUI64{1}, Plan: p, EnforceDutyCycle: true, Online: true, Local: true}
}

// at is an emission that begins at a time of both clocks, which agree here.
func at(g *gateway.Gateway, start, airtime time.Duration, f radio.Frequency, p radio.Priority) Emission {
	return Emission{
		Gateway: g, Start: radio.ConcentratorTime(start / time.Microsecond), HostStart: radio.HostTime(start),
		Airtime: airtime, Frequency: f, Priority: p,
	}
}

func TestCheck(t *testing.T) {
	const rx1, rx2, highest = radio.Frequency(868_100_000), radio.Frequency(869_525_000), radio.PriorityHighest
	const hour = 36 * time.Second // what the sub-band of rx1 allows in an hour
	tests := []struct {
		name string
		prep func(*Scheduler, *gateway.Gateway)

		start, airtime time.Duration
		frequency      radio.Frequency
		priority       radio.Priority

		want Reason
	}{
		{"good", nil, time.Second, 50 * ms, rx1, highest, None},
		{
			"not connected", func(_ *Scheduler, g *gateway.Gateway) { g.Online = false },
			time.Second, 50 * ms, rx1, highest, Offline,
		},
		{"no sub-band", nil, time.Second, 50 * ms, 868_650_000, highest, NoSubBand},
		{"75 ms ahead", nil, 75 * ms, 50 * ms, rx1, highest, None},
		{"74 ms ahead", nil, 74 * ms, 50 * ms, rx1, highest, TooLate},
		{"in the past", nil, -time.Second, 50 * ms, rx1, highest, TooLate},
		{"over another one", commit(time.Second, 100*ms, rx2), 950 * ms, 60 * ms, rx1, highest, Conflict},
		{"42 ms behind another one", commit(time.Second, 100*ms, rx2), 1142 * ms, 50 * ms, rx1, highest, Conflict},
		{"43 ms behind another one", commit(time.Second, 100*ms, rx2), 1143 * ms, 50 * ms, rx1, highest, None},
		{"42 ms before another one", commit(time.Second, 100*ms, rx2), 908 * ms, 50 * ms, rx1, highest, Conflict},
		{"43 ms before another one", commit(time.Second, 100*ms, rx2), 907 * ms, 50 * ms, rx1, highest, None},
		{"the hour is full", commit(time.Second, hour, rx1), time.Minute, ms, rx1, highest, DutyCycle},
		{"the hour is just not full", commit(time.Second, hour-50*ms, rx1), time.Minute, 50 * ms, rx1, highest, None},
		{"another sub-band", commit(time.Second, hour, rx1), time.Minute, 50 * ms, rx2, highest, None},
		{"lowest may use 40 %", commit(time.Second, hour*4/10, rx1), time.Minute, ms, rx1, radio.PriorityLowest, DutyCycle},
		{"high may use 90 %", commit(time.Second, hour*4/10, rx1), time.Minute, ms, rx1, radio.PriorityHigh, None},
		{
			"not enforced",
			func(s *Scheduler, g *gateway.Gateway) {
				commit(time.Second, hour, rx1)(s, g)
				g.EnforceDutyCycle = false
			},
			time.Minute, ms, rx1, highest, None,
		},
		{"the counter has begun anew", func(s *Scheduler, g *gateway.Gateway) {
			commit(time.Second, 100*ms, rx2)(s, g)
			s.Forget(g, 1<<62)
		}, time.Second, 60 * ms, rx1, highest, None},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, g := New(), testGateway(t, "EU_863_870")
			if tt.prep != nil {
				tt.prep(s, g)
			}
			if v := s.Check(0, at(g, tt.start, tt.airtime, tt.frequency, tt.priority)); v.Reason != tt.want {
				t.Errorf("%v %+v, want %v", v.Reason, v, tt.want)
			}
		})
	}
}

func commit(start, airtime time.Duration, f radio.Frequency) func(*Scheduler, *gateway.Gateway) {
	return func(s *Scheduler, g *gateway.Gateway) {
		e := at(g, start, airtime, f, radio.PriorityHighest)
		if slot, v := s.Commit(0, e); slot == nil {
			panic(fmt.Sprint(v))
		}
	}
}

func TestDwellTime(t *testing.T) {
	s, g := New(), testGateway(t, "AS_920_923")
	limit := g.Plan.DwellTime()
	if limit == 0 {
		t.Fatal("the plan has no dwell time")
	}
	f := g.Plan.BandRX2().Frequency
	if v := s.Check(0, at(g, time.Second, limit, f, radio.PriorityHighest)); v.Reason == DwellTime {
		t.Errorf("%+v", v)
	}
	if v := s.Check(0, at(g, time.Second, limit+1, f, radio.PriorityHighest)); v.Reason != DwellTime || v.Limit != limit {
		t.Errorf("%+v", v)
	}
}

// A hold stands in the way of its equals, gives way to what is more important,
// and spends nothing.
func TestHold(t *testing.T) {
	const f = radio.Frequency(868_100_000)
	s, g := New(), testGateway(t, "EU_863_870")
	low := at(g, time.Second, 100*ms, f, radio.PriorityLow)
	held, v := s.Hold(0, low)
	if held == nil {
		t.Fatalf("%+v", v)
	}
	if u := s.Usage(g, 0); len(u) != 0 {
		t.Errorf("a hold has spent %+v", u)
	}
	if v := s.Check(0, at(g, time.Second, 100*ms, f, radio.PriorityLow)); v.Reason != Conflict {
		t.Errorf("an equal: %v", v.Reason)
	}
	slot, v := s.Commit(0, at(g, 1050*ms, 100*ms, f, radio.PriorityHigh))
	if slot == nil {
		t.Fatalf("what is more important: %+v", v)
	}
	s.Release(held) // displaced already
	if v := s.Check(0, low); v.Reason != Conflict {
		t.Errorf("the displaced one: %v", v.Reason)
	}
	s.Release(slot)
	if v := s.Check(0, low); !v.OK() || v.Used != 0 {
		t.Errorf("after the release: %+v", v)
	}
	s.Release(nil)
	for range 2 {
		if held, v = s.Hold(0, low); held == nil {
			t.Fatalf("held once more: %+v", v)
		}
		s.Release(held)
	}
}

func TestUsage(t *testing.T) {
	s, g := New(), testGateway(t, "EU_863_870")
	commit(time.Second, 2*time.Second, 868_100_000)(s, g)
	commit(10*time.Second, 3*time.Second, 868_500_000)(s, g)
	commit(20*time.Second, 4*time.Second, 869_525_000)(s, g)
	if u := s.Usage(g, radio.HostTime(time.Minute)); len(u) != 2 || u[0].Used != 5*time.Second ||
		u[1].Used != 4*time.Second || u[1].SubBand.DutyCycle != 100 {
		t.Errorf("%+v", u)
	}
	for _, u := range s.Usage(g, radio.HostTime(3*time.Hour)) {
		if u.Used != 0 {
			t.Errorf("hours later: %+v", u)
		}
	}
}

// Whatever is asked for, in whatever order: nothing overlaps, and no hour has
// more than its duty cycle. That is checked by other means than the ledger's:
// every hour that begins or ends with a transmission, second by second.
func TestRandomCommits(t *testing.T) {
	type sent struct {
		start, end time.Duration
		band       radio.Frequency
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	s, g := New(), testGateway(t, "EU_863_870")
	frequencies := []radio.Frequency{868_100_000, 867_500_000, 869_525_000, 868_800_000}
	var all []sent
	refused := map[Reason]int{}
	for now := time.Duration(0); now < 5*time.Hour; now += time.Duration(rnd.Int64N(int64(4 * time.Second))) {
		start := now + 75*ms + time.Duration(rnd.Int64N(int64(15*time.Second)))
		airtime := 20*ms + time.Duration(rnd.Int64N(int64(2*time.Second)))
		e := at(g, start, airtime, frequencies[rnd.IntN(len(frequencies))], radio.Priority(rnd.IntN(7)))
		slot, v := s.Commit(radio.HostTime(now), e)
		if slot == nil {
			refused[v.Reason]++
			continue
		}
		if rnd.IntN(20) == 0 { // a gateway has refused it
			s.Release(slot)
			continue
		}
		all = append(all, sent{start, start + airtime, v.SubBand.Low})
	}
	if len(all) < 500 || refused[Conflict] < 100 || refused[DutyCycle] < 500 {
		t.Fatalf("%d sent, refused %v: that tests little", len(all), refused)
	}
	limits := map[radio.Frequency]time.Duration{}
	for _, f := range frequencies {
		sub, _ := g.Plan.SubBand(f)
		limits[sub.Low] = time.Hour / 1000 * time.Duration(sub.DutyCycle)
	}
	for i, a := range all {
		for _, b := range all[:i] {
			if a.start < b.end+42*ms && b.start < a.end+42*ms {
				t.Fatalf("%v overlaps %v", a, b)
			}
		}
		for _, from := range []time.Duration{a.start, a.end - time.Hour} {
			sum := time.Duration(0)
			for _, b := range all {
				if b.band == a.band {
					sum += max(min(b.end, from+time.Hour)-max(b.start, from), 0)
				}
			}
			if sum > limits[a.band] {
				t.Fatalf("%v sent in the hour from %v in the band at %v, at most %v", sum, from, a.band, limits[a.band])
			}
		}
	}
}
