package schedule

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// Why is what an emission was for.
type Why struct {
	Device string // application/device
	Window string // "RX1" and the like
	What   What
}

// For returns what a frame in a window of a device is for.
func For(device, window string, join, item bool) Why {
	why := Why{Device: device, Window: window, What: Network}
	switch {
	case join:
		why.What = JoinAccept
	case item:
		why.What = Item
	}
	return why
}

// What is the sort of a frame.
type What uint8

// Sorts of frames.
const (
	Unknown    What = iota // sent before the start
	JoinAccept             // lets a device in
	Network                // what the network owes: acknowledgements and MAC commands
	Item                   // what an application has asked for
	Foreign                // what another network has asked for
)

var whatNames = [...]string{
	Unknown: "unknown", JoinAccept: "join-accept", Network: "network", Item: "application", Foreign: "other network",
}

// String returns a word.
func (w What) String() string { return whatNames[w] }

// Sent is an emission in the ledger of a gateway.
type Sent struct {
	SubBand   radio.Frequency // its lower edge
	Frequency radio.Frequency // 0: sent before the start, nobody knows when; so it counts as sent at the start
	Start     radio.HostTime
	Counter   radio.ConcentratorTime // the same, as the gateway's counter shows it
	Airtime   time.Duration
	Priority  radio.Priority
	Why       Why
}

// Sent returns what a gateway has sent in the last hour and is to send, in the order
// of time. There cannot be many: each takes its time on the air, and gap.
func (s *Scheduler) Sent(g *gateway.Gateway, now radio.HostTime) []Sent {
	t := s.timeline(g.EUI)
	t.prune(now)
	var out []Sent
	for _, band := range Bands(t.ledger) {
		for _, e := range t.ledger[band] {
			out = append(out, Sent{band, e.frequency, e.start, e.counter, e.end.Sub(e.start), e.priority, e.why})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Start < out[j].Start })
	return out
}

// Hour is what a gateway has sent in one hour of the host's clock.
type Hour struct {
	Number int64 // of the hours since the host's clock began
	Bands  []BandHour
}

// BandHour is what a gateway has sent in one hour in a sub-band.
type BandHour struct {
	Low       radio.Frequency // edge of the sub-band
	Emissions uint32
	Airtime   time.Duration
	// Worst is the airtime of the fullest rolling hour that ends in this hour: the
	// sum of all emissions between its end and an hour before.
	Worst   time.Duration
	WorstAt radio.HostTime // its end
}

// countAfter is how long after its end an emission counts in its hour: until then
// a gateway may still say that it did not take place.
const countAfter = 10 * time.Second

// maxHours bounds the hours that nobody has taken.
const maxHours = 48

// hours sums up what was sent, hour by hour. Only the ends of emissions are looked
// at: there is no fuller rolling hour than the fullest of those that end with one.
type hours struct {
	upTo    map[radio.Frequency]radio.HostTime // by sub-band: the end of the last emission that is counted
	changed []Hour                             // since Take, oldest first; the last one may go on
	taken   bool                               // the last one, as it is
}

// count counts the emissions that are over.
func (h *hours) count(l ledger, now radio.HostTime) {
	for band, spans := range l {
		last, known := h.upTo[band]
		first := len(spans)
		for first > 0 && (!known || spans[first-1].end > last) {
			first--
		}
		for _, s := range spans[first:] {
			if s.end.Add(countAfter) > now {
				break
			}
			h.add(band, s, l.between(band, s.end.Add(-time.Hour), s.end))
		}
	}
}

// add counts an emission; worst is the airtime of the hour that ends with it.
func (h *hours) add(band radio.Frequency, s *span, worst time.Duration) {
	if h.upTo == nil {
		h.upTo = map[radio.Frequency]radio.HostTime{}
	}
	h.upTo[band] = s.end
	if s.frequency == 0 {
		return // not sent in an hour of this clock
	}
	b := h.hour(int64(s.end) / int64(time.Hour)).band(band)
	b.Emissions++
	b.Airtime += s.end.Sub(s.start)
	if worst > b.Worst {
		b.Worst, b.WorstAt = worst, s.end
	}
}

// hour returns an hour that emissions are added to. Sub-bands are counted one after
// the other, so that it need not be the last one.
func (h *hours) hour(number int64) *Hour {
	i, found := slices.BinarySearchFunc(h.changed, number, func(o Hour, n int64) int { return cmp.Compare(o.Number, n) })
	if !found {
		if len(h.changed) >= maxHours && i > 0 {
			h.changed = slices.Delete(h.changed, 0, 1)
			i--
		}
		h.changed = slices.Insert(h.changed, i, Hour{Number: number})
	}
	h.taken = false
	return &h.changed[i]
}

// band returns the part of a sub-band.
func (o *Hour) band(low radio.Frequency) *BandHour {
	i, found := slices.BinarySearchFunc(o.Bands, low, func(b BandHour, f radio.Frequency) int {
		return cmp.Compare(b.Low, f)
	})
	if !found {
		o.Bands = slices.Insert(o.Bands, i, BandHour{Low: low})
	}
	return &o.Bands[i]
}

// Hours returns the hours of a gateway that have changed since TakeHours, oldest first.
func (s *Scheduler) Hours(eui radio.EUI64, now radio.HostTime) []Hour {
	t := s.timeline(eui)
	t.prune(now)
	h := &t.hours
	if h.taken || len(h.changed) == 0 {
		return nil
	}
	out := make([]Hour, len(h.changed))
	for i, o := range h.changed {
		out[i] = Hour{o.Number, slices.Clone(o.Bands)}
	}
	return out
}

// TakeHours is Hours, and takes them for known. An hour that goes on comes again when
// it has changed.
func (s *Scheduler) TakeHours(eui radio.EUI64, now radio.HostTime) []Hour {
	out := s.Hours(eui, now)
	if h := &s.timeline(eui).hours; len(out) > 0 {
		h.changed, h.taken = slices.Delete(h.changed, 0, len(h.changed)-1), true
	}
	return out
}
