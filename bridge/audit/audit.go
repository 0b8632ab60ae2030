// Package audit checks what a gateway has sent against the rules that hold for it: the
// duty cycle of every rolling hour, dwell time, and one transmission at a time. It is
// written by other means than the scheduler's and knows nothing of it, so that it is a
// second opinion.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/order"
	"lorawand/radio"
)

// Emission is a transmission of a gateway.
type Emission struct {
	Start     time.Duration // as the host sees it: hours count by it
	Counter   time.Duration // the same by the counter of the gateway, by which it sends: two must not meet by it
	Airtime   time.Duration
	Frequency radio.Frequency
	// Unplaced is airtime of a sub-band of which nobody knows when it was spent: it
	// counts where it stands, and overlaps nothing.
	Unplaced bool
}

func (e *Emission) end() time.Duration { return e.Start + e.Airtime }

// SubBand is a range of frequencies with what may be sent there in an hour.
type SubBand struct {
	Low, High radio.Frequency // from Low up to, not including, High
	Hour      time.Duration   // airtime in any hour; time.Hour or more: no limit
}

// Rules are what holds for a gateway.
type Rules struct {
	SubBands []SubBand
	Dwell    time.Duration // longest transmission; 0: no limit
	Gap      time.Duration // between two transmissions
}

// Result is what was found.
type Result struct {
	Worst  []Worst // by sub-band of the rules
	Faults []string
}

// Worst is the fullest rolling hour of a sub-band.
type Worst struct {
	Airtime time.Duration
	End     time.Duration
}

// maxFaults bounds what is told.
const maxFaults = 100

func (r *Result) fault(format string, args ...any) {
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// Check checks the emissions of one gateway.
func Check(emissions []Emission, rules Rules) Result {
	var out Result
	sorted := slices.Clone(emissions)
	order.By(sorted, func(a, b Emission) int { return cmp.Compare(a.Counter, b.Counter) })
	out.oneAtATime(sorted, rules)
	order.By(sorted, func(a, b Emission) int { return cmp.Compare(a.Start, b.Start) })
	bands := make([][]Emission, len(rules.SubBands))
	for _, e := range sorted {
		i := slices.IndexFunc(rules.SubBands, func(s SubBand) bool { return s.Low <= e.Frequency && e.Frequency < s.High })
		if i < 0 {
			out.fault("%v, at %v: nothing may be sent on this frequency", e.Frequency, e.Start)
			continue
		}
		bands[i] = append(bands[i], e)
	}
	for i, s := range rules.SubBands {
		w := worst(bands[i])
		out.Worst = append(out.Worst, w)
		if w.Airtime > s.Hour {
			out.fault("%v-%v: %v in the hour that ends at %v, at most %v", s.Low, s.High, w.Airtime, w.End, s.Hour)
		}
	}
	return out
}

// oneAtATime looks at each transmission and the one before it.
func (r *Result) oneAtATime(sorted []Emission, rules Rules) {
	busy, first := time.Duration(0), true // until when
	for i := range sorted {
		e := &sorted[i]
		if e.Unplaced {
			continue
		}
		if rules.Dwell > 0 && e.Airtime > rules.Dwell {
			r.fault("%v, at %v: %v on the air, at most %v", e.Frequency, e.Start, e.Airtime, rules.Dwell)
		}
		if !first && e.Counter < busy+rules.Gap {
			r.fault("%v, at %v: the one before ends at %v", e.Frequency, e.Counter, busy)
		}
		busy, first = max(busy, e.Counter+e.Airtime), false
	}
}

// worst returns the fullest hour: one that ends with an emission, or begins with one.
//
// spent(t) is the airtime before t. It grows by each emission evenly from its begin to
// its end, so an hour's is the difference of two of its values, and that is largest
// where the hour ends with an emission or begins with one.
func worst(sorted []Emission) (w Worst) {
	ends := slices.Clone(sorted)
	order.By(ends, func(a, b Emission) int { return cmp.Compare(a.end(), b.end()) })
	before := make([]time.Duration, len(ends)+1) // of the first n that have ended
	for i, e := range ends {
		before[i+1] = before[i] + e.Airtime
	}
	longest := time.Duration(0)
	for _, e := range sorted {
		longest = max(longest, e.Airtime)
	}
	spent := func(t time.Duration) time.Duration {
		over, _ := slices.BinarySearchFunc(ends, t, func(e Emission, t time.Duration) int { return cmp.Compare(e.end(), t) })
		sum := before[over]
		first, _ := slices.BinarySearchFunc(sorted, t-longest, func(e Emission, t time.Duration) int {
			return cmp.Compare(e.Start, t)
		})
		for _, e := range sorted[first:] {
			if e.Start >= t {
				break
			}
			if e.end() >= t { // those that have ended before are in the sum
				sum += t - e.Start
			}
		}
		return sum
	}
	for _, e := range sorted {
		for _, end := range [...]time.Duration{e.end(), e.Start + time.Hour} {
			if a := spent(end) - spent(end-time.Hour); a > w.Airtime {
				w = Worst{a, end}
			}
		}
	}
	return w
}
