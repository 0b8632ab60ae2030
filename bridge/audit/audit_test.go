package audit

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
)

const s = time.Second

var eu = Rules{
	SubBands: []SubBand{{868_000_000, 868_600_000, 36 * s}, {869_400_000, 869_650_000, 360 * s}},
	Gap:      40 * time.Millisecond,
}

// sent is an emission of which both clocks agree.
func sent(start, airtime time.Duration, f radio.Frequency) Emission {
	return Emission{Start: start, Counter: start, Airtime: airtime, Frequency: f}
}

// Each rule that is broken is found, and what keeps them all gives none.
func TestCheck(t *testing.T) {
	const f, g = radio.Frequency(868_100_000), radio.Frequency(869_525_000)
	dwell := eu
	dwell.Dwell = 400 * time.Millisecond
	for _, tt := range []struct {
		name  string
		rules Rules
		sent  []Emission
		want  string // "": no fault
		worst time.Duration
	}{
		{"nothing", eu, nil, "", 0},
		{"one", eu, []Emission{sent(0, s, f)}, "", s},
		{"an hour full", eu, []Emission{sent(0, 30*s, f), sent(3594*s, 6*s, f)}, "", 36 * s},
		{"an hour too full", eu, []Emission{sent(0, 30*s, f), sent(3593*s, 7*s, f)}, "at most 36s", 37 * s},
		{
			"the hours overlap, and none is too full", eu,
			[]Emission{sent(0, 30*s, f), sent(3600*s, 30*s, f)},
			"", 30 * s,
		},
		{"only the hour from the begin is too full", eu, []Emission{
			sent(0, 20*s, f), sent(3585*s, 30*s, f),
		}, "", 35 * s},
		{"another sub-band", eu, []Emission{sent(0, 36*s, f), sent(40*s, 300*s, g)}, "", 36 * s},
		{"out of order", eu, []Emission{sent(50*s, s, f), sent(0, s, f)}, "", 2 * s},
		{"two at once", eu, []Emission{sent(0, s, f), sent(s/2, s, g)}, "the one before ends", s},
		{"no gap", eu, []Emission{sent(0, s, f), sent(s, s, g)}, "the one before ends", s},
		{"within a long one", eu, []Emission{sent(0, 9*s, f), sent(2*s, s, g), sent(5*s, s, g)}, "at 5s", 9 * s},
		{"two at once, as the host sees it", eu, []Emission{
			{Start: 0, Counter: 0, Airtime: s, Frequency: f}, {Start: s, Counter: 2 * s, Airtime: s, Frequency: f},
		}, "", 2 * s},
		{"unplaced overlaps nothing", eu, []Emission{
			{Start: -9 * s, Airtime: 9 * s, Frequency: f, Unplaced: true}, sent(-5*s, s, f),
		}, "", 10 * s},
		{"too long", dwell, []Emission{sent(0, s, f)}, "at most 400ms", s},
		{"a frequency of nobody", eu, []Emission{sent(0, s, 868_650_000)}, "nothing may be sent", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Check(tt.sent, tt.rules)
			all := strings.Join(r.Faults, "\n")
			if (tt.want == "") != (all == "") || !strings.Contains(all, tt.want) {
				t.Errorf("faults %q, want %q", all, tt.want)
			}
			if r.Worst[0].Airtime != tt.worst {
				t.Errorf("worst %v, want %v", r.Worst[0].Airtime, tt.worst)
			}
		})
	}
}

// The fullest hour is that which is found by trying every second.
func TestWorst(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var all []Emission
		busy := make([]int, 3*3600)
		for at := 0; at < len(busy)-20; at += 1 + rnd.IntN(700) {
			n := 1 + rnd.IntN(15)
			all = append(all, sent(time.Duration(at)*s, time.Duration(n)*s, 868_100_000))
			for i := range n {
				busy[at+i]++
			}
			at += n
		}
		most, sum := 0, 0
		for i := range busy {
			if sum += busy[i]; i >= 3600 {
				sum -= busy[i-3600]
			}
			most = max(most, sum)
		}
		if w := worst(all); w.Airtime != time.Duration(most)*s {
			t.Fatalf("%v, want %d s, of %v", w.Airtime, most, all)
		}
	}
}
