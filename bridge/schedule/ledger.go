package schedule

import (
	"maps"
	"slices"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// hour is the period of a duty cycle, plus 1 s for the difference between the
// clocks of the host and the gateway.
const hour = time.Hour + time.Second

// ceilings limit each priority to a share of a sub-band's airtime, in percent, so
// that room is left for higher priorities. Source: The Things Stack v3.32.1,
// pkg/gatewayserver/scheduling.
var ceilings = [...]int64{
	radio.PriorityLowest: 40, radio.PriorityLow: 50, radio.PriorityBelowNormal: 60, radio.PriorityNormal: 70,
	radio.PriorityAboveNormal: 80, radio.PriorityHigh: 90, radio.PriorityHighest: 100,
}

// allowance returns the airtime of an hour that a priority may use in a sub-band.
func allowance(s region.SubBand, p radio.Priority) time.Duration {
	return time.Hour / 1000 * time.Duration(s.DutyCycle) * time.Duration(ceilings[p]) / 100
}

// span is a transmission in the ledger.
type span struct {
	start     radio.HostTime
	end       radio.HostTime
	counter   radio.ConcentratorTime // at its start
	frequency radio.Frequency        // 0: it was sent before the start
	priority  radio.Priority
	why       Why
}

// ledger holds the past and planned transmissions of a gateway in order of time.
// The key is the lower edge of the sub-band.
type ledger map[radio.Frequency][]*span

func (l ledger) spend(band radio.Frequency, start radio.HostTime, airtime time.Duration) *span {
	s := &span{start: start, end: start.Add(airtime)}
	spans := l[band]
	i := len(spans)
	for i > 0 && spans[i-1].start > start {
		i--
	}
	l[band] = slices.Insert(spans, i, s)
	return s
}

func (l ledger) giveBack(band radio.Frequency, s *span) {
	l[band] = slices.DeleteFunc(l[band], func(o *span) bool { return o == s })
}

// prune removes the spans that ended more than an hour ago.
func (l ledger) prune(now radio.HostTime) {
	for band, spans := range l {
		n := 0
		for n < len(spans) && spans[n].end.Add(hour) < now {
			n++
		}
		if n > 0 {
			l[band] = slices.Delete(spans, 0, n)
		}
	}
}

// used returns the highest airtime of any hour that contains an emission, without
// the emission itself. It checks the hour that ends with the emission, and the
// hours that end with each later span.
func (l ledger) used(band radio.Frequency, start radio.HostTime, airtime time.Duration) time.Duration {
	end := start.Add(airtime)
	fullest := l.between(band, end.Add(-hour), end)
	for _, s := range l[band] {
		if s.end > end && s.end.Add(-hour) < end {
			fullest = max(fullest, l.between(band, s.end.Add(-hour), s.end))
		}
	}
	return fullest
}

// between returns the airtime between two times.
func (l ledger) between(band radio.Frequency, from, to radio.HostTime) (sum time.Duration) {
	for _, s := range l[band] {
		if a, b := max(s.start, from), min(s.end, to); a < b {
			sum += b.Sub(a)
		}
	}
	return sum
}

// Bands returns the keys of a map by sub-band, in ascending order.
func Bands[V any](byBand map[radio.Frequency]V) []radio.Frequency {
	return slices.Sorted(maps.Keys(byBand))
}
