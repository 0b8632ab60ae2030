// Package schedule decides whether a gateway can send at a time: it knows what
// each gateway has planned and has sent, the duty cycle of its sub-bands over
// every hour, dwell time, and the margins that gateways need. Its answers are
// data: a Verdict says what speaks against a transmission, and by how much.
//
// It does no I/O, takes no lock and reads no clock: whoever owns a Scheduler
// hands in the time.
package schedule

import (
	"cmp"
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Emission is a transmission that somebody wants.
type Emission struct {
	Gateway   *gateway.Gateway
	Start     radio.ConcentratorTime // of the gateway
	HostStart radio.HostTime         // the same, as the host sees it
	Airtime   time.Duration
	Frequency radio.Frequency
	Priority  radio.Priority
	Fallback  bool // RX2: while it is only held it gives way to an RX1 of its own priority
	Why       Why  // is kept with what was sent
}

func (e *Emission) end() radio.ConcentratorTime { return e.Start.Add(e.Airtime) }

func (e *Emission) hostEnd() radio.HostTime { return e.HostStart.Add(e.Airtime) }

// Reason is why an emission is not possible.
type Reason uint8

// Reasons. None is good news. Those from Size on are not found here but by
// those who ask, so that one list says all.
const (
	None      Reason = iota
	Offline          // the gateway is not connected
	NoSubBand        // nothing may be sent on this frequency
	DwellTime        // longer than the frequency plan allows
	TooLate          // begins too soon for the gateway
	Conflict         // the gateway sends something else at that time
	DutyCycle        // the sub-band's hour is used up, for this priority
	Size             // longer than the data rate can carry
	NoPath           // the driver could not hand it over
	Refused          // the gateway has refused it
	NoCounter        // no frame counter is reserved: the store cannot be written
)

var reasonNames = [...]string{
	None: "", Offline: "gateway_offline", NoSubBand: "no_sub_band", DwellTime: "dwell_time", TooLate: "too_late",
	Conflict:  "conflict",
	DutyCycle: "duty_cycle", Size: "size", NoPath: "no_path", Refused: "refused", NoCounter: "no_counter",
}

// String returns the reason as a word, "" for None.
func (r Reason) String() string { return reasonNames[r] }

// Verdict is the answer to an Emission.
type Verdict struct {
	Reason  Reason
	Lead    time.Duration  // from now to the begin
	SubBand region.SubBand // zero with NoSubBand
	Used    time.Duration  // airtime in the fullest hour around the emission, without it
	Allowed time.Duration  // airtime that this priority may use in an hour; 0 where nothing limits it
	Limit   time.Duration  // with DwellTime: the longest that is allowed
}

// OK reports whether the emission is possible.
func (v *Verdict) OK() bool { return v.Reason == None }

// gap is the time off the air that the reference's queue wants between two
// transmissions: programming the second one must not meet the first
// (TX_START_DELAY + TX_MARGIN_DELAY + TX_JIT_DELAY of jitqueue.c).
const gap = 43 * time.Millisecond

// Slot is a place in a gateway's plan.
type Slot struct {
	Emission
	held  bool // may still be displaced
	spent *span
	band  radio.Frequency
}

// timeline is one gateway's plan and what it has sent.
type timeline struct {
	slots  []*Slot // by Start
	ledger ledger
	hours  hours
}

// Scheduler plans for all gateways. It belongs to one goroutine.
type Scheduler struct {
	gateways map[radio.EUI64]*timeline
}

// New returns a Scheduler that has planned nothing.
func New() *Scheduler { return &Scheduler{gateways: map[radio.EUI64]*timeline{}} }

func (s *Scheduler) timeline(eui radio.EUI64) *timeline {
	t := s.gateways[eui]
	if t == nil {
		t = &timeline{ledger: ledger{}}
		s.gateways[eui] = t
	}
	return t
}

// Check says whether an emission is possible. Slots that are held and give way
// to it do not stand in its way.
func (s *Scheduler) Check(now radio.HostTime, e Emission) Verdict {
	t := s.timeline(e.Gateway.EUI)
	t.prune(now)
	v := Verdict{Lead: e.HostStart.Sub(now)}
	sub, err := e.Gateway.Plan.SubBand(e.Frequency)
	if err != nil {
		v.Reason = NoSubBand
		return v
	}
	v.SubBand = sub
	if sub.DutyCycle < 1000 {
		v.Allowed = allowance(sub, e.Priority)
	}
	v.Used = t.ledger.used(sub.Low, e.HostStart, e.Airtime)
	dwell := e.Gateway.Plan.DwellTime()
	switch {
	case !e.Gateway.Online:
		v.Reason = Offline
	case dwell > 0 && e.Airtime > dwell:
		v.Reason, v.Limit = DwellTime, dwell
	case v.Lead < e.Gateway.Latest():
		v.Reason = TooLate
	case t.conflicts(&e):
		v.Reason = Conflict
	case v.Allowed > 0 && e.Gateway.EnforceDutyCycle && v.Used+e.Airtime > v.Allowed:
		v.Reason = DutyCycle
	}
	return v
}

// Free returns an emission moved to the first time from its own on at which nothing
// stands in its way. It has to be checked all the same.
func (s *Scheduler) Free(now radio.HostTime, e Emission) Emission {
	t := s.timeline(e.Gateway.EUI)
	t.prune(now)
	for _, o := range t.slots { // by their begin: what was passed cannot stand in the way again
		if overlaps(&o.Emission, &e) && !o.givesWay(&e) {
			later := o.end().Add(gap) - e.Start
			e.Start += later
			e.HostStart = e.HostStart.Add(time.Duration(later) * time.Microsecond)
		}
	}
	return e
}

// Hold keeps a place for an emission that may still change: it stands in the
// way of others of the same or a lower priority, and spends no duty cycle. What
// gives way to it is displaced. The Slot is nil unless the Verdict is good.
func (s *Scheduler) Hold(now radio.HostTime, e Emission) (*Slot, Verdict) {
	v := s.Check(now, e)
	if !v.OK() {
		return nil, v
	}
	t := s.timeline(e.Gateway.EUI)
	t.displace(&e)
	return t.add(&Slot{Emission: e, held: true, band: v.SubBand.Low}), v
}

// Commit plans an emission for good: it spends duty cycle, and what was held
// in its place is displaced. The Slot is nil unless the Verdict is good.
func (s *Scheduler) Commit(now radio.HostTime, e Emission) (*Slot, Verdict) {
	v := s.Check(now, e)
	if !v.OK() {
		return nil, v
	}
	t := s.timeline(e.Gateway.EUI)
	t.displace(&e)
	slot := t.add(&Slot{Emission: e, band: v.SubBand.Low})
	slot.spent = t.ledger.spend(slot.band, e.HostStart, e.Airtime)
	slot.spent.counter, slot.spent.frequency, slot.spent.priority, slot.spent.why = e.Start, e.Frequency, e.Priority, e.Why
	return slot, v
}

// Release gives a place back: one that was held, or one whose transmission does
// not take place. nil is no place.
func (s *Scheduler) Release(slot *Slot) {
	if slot == nil {
		return
	}
	t := s.timeline(slot.Gateway.EUI)
	t.slots = slices.DeleteFunc(t.slots, func(o *Slot) bool { return o == slot })
	if slot.spent != nil {
		t.ledger.giveBack(slot.band, slot.spent)
	}
}

// Forget drops what a gateway has planned before a time, with which its counter
// has begun anew. What it has spent stays spent.
func (s *Scheduler) Forget(g *gateway.Gateway, since radio.ConcentratorTime) {
	t := s.timeline(g.EUI)
	t.slots = slices.DeleteFunc(t.slots, func(o *Slot) bool { return o.Start < since })
}

// Usage is what a gateway has sent in a sub-band in the last hour.
type Usage struct {
	SubBand region.SubBand
	Used    time.Duration
}

// Usage returns what a gateway has sent, by sub-band.
func (s *Scheduler) Usage(g *gateway.Gateway, now radio.HostTime) []Usage {
	t := s.timeline(g.EUI)
	t.prune(now)
	var out []Usage
	for _, low := range Bands(t.ledger) {
		if sub, err := g.Plan.SubBand(low); err == nil {
			out = append(out, Usage{sub, t.ledger.between(low, now.Add(-hour), now)})
		}
	}
	return out
}

// Spent returns the airtime of a gateway in the last hour and of what is
// planned, by the lower edge of the sub-band.
func (s *Scheduler) Spent(gateway radio.EUI64, now radio.HostTime) map[radio.Frequency]time.Duration {
	t := s.timeline(gateway)
	t.prune(now)
	out := map[radio.Frequency]time.Duration{}
	for band := range t.ledger {
		out[band] = t.ledger.between(band, now.Add(-hour), now.Add(hour))
	}
	return out
}

// Restore has a gateway have spent airtime before the host's clock began.
// Nobody knows how long before, so it counts as just now.
func (s *Scheduler) Restore(eui radio.EUI64, spent map[radio.Frequency]time.Duration) {
	t := s.timeline(eui)
	for band, airtime := range spent {
		t.ledger.spend(band, radio.HostTime(-airtime), airtime)
	}
}

// displace drops what gives way to e, which was checked.
func (t *timeline) displace(e *Emission) {
	t.slots = slices.DeleteFunc(t.slots, func(o *Slot) bool { return o.held && overlaps(&o.Emission, e) })
}

func (t *timeline) add(slot *Slot) *Slot {
	i, _ := slices.BinarySearchFunc(t.slots, slot, func(a, b *Slot) int { return cmp.Compare(a.Start, b.Start) })
	t.slots = slices.Insert(t.slots, i, slot)
	return slot
}

// conflicts reports whether something stands in the way of e.
func (t *timeline) conflicts(e *Emission) bool {
	return slices.ContainsFunc(t.slots, func(o *Slot) bool {
		return overlaps(&o.Emission, e) && !o.givesWay(e)
	})
}

// givesWay reports whether a slot is only held, and for something less
// important. RX2 is often slow, and would keep many an RX1 from being used.
func (o *Slot) givesWay(e *Emission) bool {
	return o.held && (o.Priority < e.Priority || o.Priority == e.Priority && o.Fallback && !e.Fallback)
}

func overlaps(a, b *Emission) bool {
	return a.Start < b.end().Add(gap) && b.Start < a.end().Add(gap)
}

// keepPast is how long a slot is kept after its end: its clock is an estimate.
const keepPast = 2 * time.Second

func (t *timeline) prune(now radio.HostTime) {
	past := func(o *Slot) bool { return o.hostEnd().Add(keepPast) < now }
	if len(t.slots) > 0 && past(t.slots[0]) {
		t.slots = slices.DeleteFunc(t.slots, past)
	}
	t.hours.count(t.ledger, now)
	t.ledger.prune(now)
}
