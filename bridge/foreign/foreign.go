// Package foreign has what the core does for other networks, to which frames are handed on:
// it tells their frames from those of our devices, and finds places for their downlinks
// among ours.
//
// One rule decides a conflict between networks: a downlink of another network gets only
// what is free when it is asked for. Places that are held for our devices count as taken,
// and a place that it was given stays its own: our next downlink moves to its next window.
// So that our devices always have the larger share of a sub-band, it may use what the
// lowest priority may use.
package foreign

import (
	"errors"
	"maps"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// IsOwn reports whether a frame says that one of our devices has sent it: by its DevAddr, or
// by its DevEUI where it joins. It does not wait for the MIC: a frame of a device of ours
// that cannot be read for some reason is no other network's business.
func IsOwn(devices *session.Registry, phy []byte) bool {
	h, ok := frame.HeadOf(phy)
	switch {
	case !ok:
		return false
	case h.Type.Data():
		return devices.InUse(h.DevAddr)
	}
	return len(devices.ByDevEUI(h.DevEUI)) > 0
}

// Request is a downlink that another network wants a gateway to send. Time of the Downlink
// is the 32-bit counter of the gateway, as it was told with an uplink.
type Request struct {
	Ticket   uint64 // returned in each Result
	Network  string // who asks, for people
	Downlink radio.Downlink
	EIRP     bool // Power of the Downlink is the EIRP, with the gain of the antenna in it
}

// Result is what has become of a Request. A Request that is planned has two: the first says
// so, and the last tells the answer of the gateway.
type Result struct {
	Ticket  uint64
	Planned bool           // the first of two
	Answer  radio.TxResult // of the gateway, or why it was not planned
	Reason  string         // why it was not planned, as a word; "" if it was
	Lowered bool           // it is sent with less power than it was asked for
	Power   radio.Decibel  // with Lowered

	Network string // who has asked
	Gateway string // its id
}

const (
	// idBit is set in the ids of the downlinks of other networks, and in those of no others
	// but beacons, which have the bit above.
	idBit = 1 << 62
	// maxAhead is how far ahead a downlink may be planned. It is as far as the queue of our
	// own concentrators reaches; a frame that is further ahead has most likely a time of a
	// counter that has begun anew.
	maxAhead = 2 * time.Minute
	// maxWait is how long a frame without a time may wait for its place.
	maxWait = 2 * time.Second
	// sameCounter is how far the time of a downlink may move between planning it and handing it over.
	sameCounter = time.Second
	// forgetAfter is how long after its end a downlink without an answer is forgotten.
	forgetAfter = 30 * time.Second
)

// Frame is what is handed to the driver of a gateway.
type Frame struct {
	Downlink radio.Downlink
	Ends     radio.HostTime // when it has been sent
}

// Sender plans the downlinks of other networks. The zero value is ready. It belongs to one
// goroutine.
type Sender struct {
	Late     bool // downlinks are handed over as late as can be, also to gateways that have a queue
	Unleased bool // this machine may not send: another one may have taken its place

	last    uint64
	planned map[uint64]*downlink
}

// downlink is a Request that is planned.
type downlink struct {
	request Request
	frame   radio.Downlink
	slot    *schedule.Slot
	lowered bool
}

// Plan is the place of a downlink.
type Plan struct {
	ID      uint64         // of its frame
	At      radio.HostTime // when it is to be handed over
	End     radio.HostTime // of its frame
	Gateway *gateway.Gateway
	Result  Result // the first
}

// Plan finds a place for a downlink. ok is false if it has none; the Result is then the last.
// g is its gateway, nil if that is not known.
func (s *Sender) Plan(plan *schedule.Scheduler, g *gateway.Gateway, now radio.HostTime, r Request) (p Plan, ok bool) {
	s.forget(now)
	d := &downlink{request: r, frame: r.Downlink}
	p.Result = Result{Ticket: r.Ticket, Network: r.Network}
	if g != nil {
		p.Gateway, p.Result.Gateway = g, g.ID
	}
	if s.Unleased {
		p.Result.Answer, p.Result.Reason = radio.TxNoPath, schedule.NoLease.String()
		return p, false
	}
	if p.Result.Answer, p.Result.Reason = d.plan(plan, g, now); d.slot == nil {
		return p, false
	}
	s.last++
	d.frame.ID = idBit | s.last
	if s.planned == nil {
		s.planned = map[uint64]*downlink{}
	}
	s.planned[d.frame.ID] = d
	e := &d.slot.Emission
	p.ID, p.End, p.Result = d.frame.ID, e.HostStart.Add(e.Airtime), d.result(radio.TxOK)
	p.Result.Planned = true
	if p.At = now; !g.Answers || s.Late { // it may have no queue of its own
		p.At = e.HostStart.Add(-g.Lead())
	}
	return p, true
}

// plan takes a place for a downlink, or returns why there is none: the word for the network, and
// the reason for people.
func (d *downlink) plan(plan *schedule.Scheduler, g *gateway.Gateway, now radio.HostTime) (radio.TxResult, string) {
	if g == nil || !g.Online {
		return radio.TxNoPath, schedule.Offline.String()
	}
	f := &d.frame
	airtime, err := radio.TimeOnAir(f.Packet())
	if err != nil {
		return radio.TxFreq, "data_rate"
	}
	start, word := when(g, now, f)
	if word != radio.TxOK {
		return word, "clock"
	}
	e := schedule.Emission{
		Gateway: g, Start: start.Counter, HostStart: start.Host, Airtime: airtime, Frequency: f.Frequency,
		Priority: radio.PriorityLowest, Fallback: true, Answer: !f.Immediate && f.GPS == 0,
		Why: schedule.Why{Device: d.request.Network, Window: "forward", What: schedule.Foreign},
	}
	if f.Immediate {
		e = plan.Free(now, e)
	}
	switch ahead := e.HostStart.Sub(now); {
	case f.Immediate && ahead > g.Lead()+maxWait:
		return radio.TxCollisionPacket, schedule.Conflict.String()
	case ahead > maxAhead:
		return radio.TxTooEarly, "too_early"
	}
	slot, verdict := plan.Commit(now, e)
	if slot == nil {
		return wordFor(verdict.Reason, &e), verdict.Reason.String()
	}
	d.slot = slot
	f.Gateway, f.Time, f.Immediate = g.EUI, e.Start, false
	if d.request.EIRP {
		f.Power -= g.AntennaGain
	}
	if most := g.MaxPower(f.Frequency); f.Power > most {
		f.Power, d.lowered = most, true
	}
	return radio.TxOK, ""
}

// when returns the moment at which a downlink is to begin, or why that is not known.
func when(g *gateway.Gateway, now radio.HostTime, d *radio.Downlink) (m gateway.Moment, word radio.TxResult) {
	switch {
	case d.GPS != 0:
		m, ok := g.AtGPS(d.GPS)
		if !ok {
			return m, radio.TxGPSUnlocked
		}
		return m, radio.TxOK
	case !g.HasClock: // nothing was heard since its counter began: nobody can know a time of it
		return m, radio.TxTooLate
	case d.Immediate:
		host := now.Add(g.Lead())
		return gateway.Moment{Counter: g.Clock.CounterAt(host), Host: host}, radio.TxOK
	}
	is := g.Clock.CounterAt(now)
	ahead := time.Duration(int32(d.Time.Counter()-is.Counter())) * time.Microsecond
	return gateway.Moment{Counter: is.Add(ahead), Host: now.Add(ahead)}, radio.TxOK
}

// wordFor returns the word of the protocol for a reason. It has none for a duty cycle that is used
// up: COLLISION_PACKET has a network try its next window, as it should.
func wordFor(r schedule.Reason, e *schedule.Emission) radio.TxResult {
	switch r {
	case schedule.TooLate:
		return radio.TxTooLate
	case schedule.NoSubBand, schedule.DwellTime:
		return radio.TxFreq
	case schedule.Conflict:
		if e.Gateway.BeaconWait(e.Start, e.Airtime, 0, e.Answer) > 0 {
			return radio.TxCollisionBeacon
		}
		return radio.TxCollisionPacket
	case schedule.DutyCycle:
		return radio.TxCollisionPacket
	}
	return radio.TxNoPath
}

// HandOver returns the frame of a downlink for its gateway. ok is false if it is over, or if the
// counter of its gateway has begun anew meanwhile: its time is one of the old counter.
func (s *Sender) HandOver(id uint64) (f Frame, ok bool) {
	p := s.planned[id]
	if p == nil {
		return f, false
	}
	e, g := &p.slot.Emission, p.slot.Gateway
	ok = g.HasClock && g.Clock.CounterAt(e.HostStart).Sub(e.Start).Abs() < sameCounter
	return Frame{p.frame, e.HostStart.Add(e.Airtime)}, ok
}

// Acked takes the answer of a gateway. What was not sent has not used its airtime. ok is false if
// that is no downlink of another network.
func (s *Sender) Acked(plan *schedule.Scheduler, a radio.TxAck) (r Result, ok bool) {
	p := s.planned[a.ID]
	if p == nil {
		return r, false
	}
	delete(s.planned, a.ID)
	if a.Result != radio.TxOK && a.Result != radio.TxNoAck {
		plan.Release(p.slot)
	}
	return p.result(a.Result), true
}

func (p *downlink) result(answer radio.TxResult) Result {
	return Result{
		Ticket: p.request.Ticket, Answer: answer, Lowered: p.lowered, Power: p.frame.Power, Network: p.request.Network,
		Gateway: p.slot.Gateway.ID,
	}
}

// forget drops what no gateway has answered.
func (s *Sender) forget(now radio.HostTime) {
	maps.DeleteFunc(s.planned, func(_ uint64, p *downlink) bool {
		return p.slot.HostStart.Add(p.slot.Airtime+forgetAfter) < now
	})
}

// Event returns what people are told of it; ok is false for the first of two Results.
func (r *Result) Event() (e event.Event, ok bool) {
	e = event.Event{Kind: event.ForeignRefused, Gateway: r.Gateway, Address: r.Network, Word: r.Answer.String()}
	switch {
	case r.Planned:
		return e, false
	case r.Reason != "":
		e.Err = errors.New(r.Reason)
	case r.Answer == radio.TxOK || r.Answer == radio.TxNoAck:
		e.Kind, e.Word = event.ForeignSent, ""
	default:
		e.Err = errors.New("refused by the gateway")
	}
	return e, true
}
