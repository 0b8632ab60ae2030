// Package schedule decides whether a gateway can send at a given time. It knows the
// past and planned transmissions of each gateway, the duty cycle of its sub-bands
// over every hour, the dwell time, and the margins that gateways need. Its answer
// is a Verdict: the reason against a transmission, and by how much.
//
// It does no I/O, takes no lock and reads no clock: the owner of a Scheduler passes
// the time.
package schedule

import (
	"cmp"
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Emission is a proposed transmission.
type Emission struct {
	Gateway   *gateway.Gateway
	Start     radio.ConcentratorTime // of the gateway
	HostStart radio.HostTime         // Start by the clock of the host
	Airtime   time.Duration
	Frequency radio.Frequency
	Priority  radio.Priority
	Fallback  bool // RX2: while it is only held, it gives way to an RX1 of the same priority
	Why       Why  // is kept with what was sent
	Beacon    bool // of Class B: its time is kept free for it
	Answer    bool // in a window after an uplink: the time behind a beacon is not kept free of it
}

func (e *Emission) end() radio.ConcentratorTime { return e.Start.Add(e.Airtime) }

func (e *Emission) hostEnd() radio.HostTime { return e.HostStart.Add(e.Airtime) }

// Reason is the reason against an emission.
type Reason uint8

// Reasons against an emission. This package finds those before Size; its callers
// find the others, so that all reasons are in one list.
const (
	None      Reason = iota
	Offline          // the gateway is not connected
	NoSubBand        // nothing may be sent on this frequency
	DwellTime        // longer than the frequency plan allows
	TooLate          // begins too soon for the gateway
	Conflict         // the gateway sends another frame at that time
	DutyCycle        // the priority has used up its share of the sub-band's hour
	Size             // longer than the data rate can carry
	NoLease          // another machine may have taken the place of this one
	NoPath           // the driver could not hand it over
	Refused          // the gateway has refused it
	NoCounter        // no frame counter is reserved, because the store cannot be written
)

var reasonNames = [...]string{
	None: "", Offline: "gateway_offline", NoSubBand: "no_sub_band", DwellTime: "dwell_time", TooLate: "too_late",
	Conflict:  "conflict",
	DutyCycle: "duty_cycle", Size: "size", NoPath: "no_path", Refused: "refused", NoCounter: "no_counter",
	NoLease: "no_lease",
}

// FaultLease is the Fault of a TxAck with TxNoPath for a frame that would be sent beyond a lease.
const FaultLease = "the lease of this machine ends before the frame does"

// String returns the reason as a word, "" for None.
func (r Reason) String() string { return reasonNames[r] }

// Verdict is the answer to an Emission.
type Verdict struct {
	Reason  Reason
	Lead    time.Duration  // from now to the start
	SubBand region.SubBand // zero with NoSubBand
	Used    time.Duration  // airtime in the fullest hour around the emission, without the emission
	Allowed time.Duration  // airtime that this priority may use in an hour; 0: unlimited
	Limit   time.Duration  // with DwellTime: the longest airtime allowed
}

// OK reports whether the emission is possible.
func (v *Verdict) OK() bool { return v.Reason == None }

// gap is the pause that the reference's queue needs between two transmissions, so
// that programming the second one does not meet the first (TX_START_DELAY +
// TX_MARGIN_DELAY + TX_JIT_DELAY of jitqueue.c).
const gap = 43 * time.Millisecond

// Slot is a place in a gateway's plan.
type Slot struct {
	Emission
	held  bool // may still be displaced
	spent *span
	band  radio.Frequency
}

// timeline has the planned and past transmissions of one gateway.
type timeline struct {
	slots  []*Slot // by Start
	ledger ledger
	hours  hours
}

// Scheduler plans the transmissions of all gateways. It belongs to one goroutine.
type Scheduler struct {
	gateways map[radio.EUI64]*timeline
}

// New returns a Scheduler without plans.
func New() *Scheduler { return &Scheduler{gateways: map[radio.EUI64]*timeline{}} }

func (s *Scheduler) timeline(eui radio.EUI64) *timeline {
	t := s.gateways[eui]
	if t == nil {
		t = &timeline{ledger: ledger{}}
		s.gateways[eui] = t
	}
	return t
}

// Check says whether an emission is possible. It ignores held slots that would give
// way to the emission.
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
	case t.conflicts(&e), e.meetsBeacon() > 0:
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
	t.pass(&e)
	if wait := e.meetsBeacon(); wait > 0 {
		e.later(wait)
		t.pass(&e)
	}
	return e
}

// pass moves an emission behind the slots that stand in its way.
func (t *timeline) pass(e *Emission) {
	for _, o := range t.slots { // by their begin: what was passed cannot stand in the way again
		if overlaps(&o.Emission, e) && !o.givesWay(e) {
			e.later(o.end().Add(gap).Sub(e.Start))
		}
	}
}

func (e *Emission) later(d time.Duration) {
	e.Start, e.HostStart = e.Start.Add(d), e.HostStart.Add(d)
}

// meetsBeacon returns how much later an emission can begin because of a beacon; 0: it meets none.
func (e *Emission) meetsBeacon() time.Duration {
	if e.Beacon {
		return 0
	}
	return e.Gateway.BeaconWait(e.Start, e.Airtime, gap, e.Answer)
}

// Hold reserves a slot for an emission that may still change. The slot blocks
// emissions of the same or a lower priority, and spends no duty cycle. Slots that
// give way to it are displaced. The Slot is nil unless the Verdict is OK.
func (s *Scheduler) Hold(now radio.HostTime, e Emission) (*Slot, Verdict) {
	v := s.Check(now, e)
	if !v.OK() {
		return nil, v
	}
	t := s.timeline(e.Gateway.EUI)
	t.displace(&e)
	return t.add(&Slot{Emission: e, held: true, band: v.SubBand.Low}), v
}

// Commit plans an emission for good: it spends duty cycle, and held slots that give
// way are displaced. The Slot is nil unless the Verdict is OK.
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

// Release frees a slot that was held, or whose transmission does not take place. It
// ignores nil.
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

// Forget drops the plans of a gateway from before a time at which its counter
// started again. The airtime stays spent.
func (s *Scheduler) Forget(g *gateway.Gateway, since radio.ConcentratorTime) {
	t := s.timeline(g.EUI)
	t.slots = slices.DeleteFunc(t.slots, func(o *Slot) bool { return o.Start < since })
}

// Usage is the airtime of a gateway in a sub-band in the last hour.
type Usage struct {
	SubBand region.SubBand
	Used    time.Duration
}

// Usage returns the airtime of a gateway in each sub-band.
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

// Spent returns the past and planned airtime of a gateway within an hour, by the
// lower edge of the sub-band.
func (s *Scheduler) Spent(gateway radio.EUI64, now radio.HostTime) map[radio.Frequency]time.Duration {
	t := s.timeline(gateway)
	t.prune(now)
	out := map[radio.Frequency]time.Duration{}
	for band := range t.ledger {
		out[band] = t.ledger.between(band, now.Add(-hour), now.Add(hour))
	}
	return out
}

// Restore adds airtime that a gateway spent before the host's clock started. Its
// age is unknown, so it counts as spent just now.
func (s *Scheduler) Restore(eui radio.EUI64, spent map[radio.Frequency]time.Duration) {
	t := s.timeline(eui)
	for band, airtime := range spent {
		t.ledger.spend(band, radio.HostTime(-airtime), airtime)
	}
}

// displace drops the slots that give way to e, which was checked before.
func (t *timeline) displace(e *Emission) {
	t.slots = slices.DeleteFunc(t.slots, func(o *Slot) bool { return o.held && overlaps(&o.Emission, e) })
}

func (t *timeline) add(slot *Slot) *Slot {
	i, _ := slices.BinarySearchFunc(t.slots, slot, func(a, b *Slot) int { return cmp.Compare(a.Start, b.Start) })
	t.slots = slices.Insert(t.slots, i, slot)
	return slot
}

// conflicts reports whether a slot stands in the way of e.
func (t *timeline) conflicts(e *Emission) bool {
	return slices.ContainsFunc(t.slots, func(o *Slot) bool {
		return overlaps(&o.Emission, e) && !o.givesWay(e)
	})
}

// givesWay reports whether a slot is only held, and for an emission less important
// than e. An RX2 gives way to an RX1 because RX2 is often slow and would block many
// of them.
func (o *Slot) givesWay(e *Emission) bool {
	return o.held && (o.Priority < e.Priority || o.Priority == e.Priority && o.Fallback && !e.Fallback)
}

func overlaps(a, b *Emission) bool {
	return a.Start < b.end().Add(gap) && b.Start < a.end().Add(gap)
}

// keepPast is how long a slot is kept after its end, because its clock is an
// estimate.
const keepPast = 2 * time.Second

func (t *timeline) prune(now radio.HostTime) {
	past := func(o *Slot) bool { return o.hostEnd().Add(keepPast) < now }
	if len(t.slots) > 0 && past(t.slots[0]) {
		t.slots = slices.DeleteFunc(t.slots, past)
	}
	t.hours.count(t.ledger, now)
	t.ledger.prune(now)
}
