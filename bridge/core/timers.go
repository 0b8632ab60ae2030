package core

import (
	"math"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// duty is what is to be done at a time.
type duty struct {
	kind        dutyKind
	opportunity *opportunity // with toDecide
	attempt     uint64       // id, with toHandOver, toHandForeign and toConfirm; with toNack FCntDown

	transmission *transmission   // with toRepeat
	device       *session.Device // with toNack and toOffer
}

type dutyKind uint8

const (
	toDecide      dutyKind = iota // on the next window of an opportunity
	toHandOver                    // an attempt, to a gateway without a queue of its own
	toConfirm                     // that an attempt took place
	toRepeat                      // a transmission whose gateways were silent
	toNack                        // a downlink that a device of Class C has not acknowledged
	toOffer                       // look whether a device that items wait for listens
	toHandForeign                 // a downlink of another network
)

const endOfHostTime = radio.HostTime(math.MaxInt64)

// forgetting is how much later than it may a frame is forgotten at most, so that nothing has to
// wake for it where other things are to be done.
const forgetting = time.Second

// settle does what the time has come for, and arms the timer for what is next.
func (c *Core) settle() {
	for len(c.waiting) > 0 && (c.waiting[0].gathering == nil || c.waiting[0].deadline <= c.now.Host) {
		if c.waiting[0].gathering != nil {
			c.publish(c.waiting[0])
		}
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
	}
	for len(c.remembered) > 0 && c.remembered[0].heard.Expires() <= c.now.Host {
		c.evictOldest()
	}
	c.offerAll()
	for at, d, ok := c.agenda.Due(c.now.Host); ok; at, d, ok = c.agenda.Due(c.now.Host) {
		c.carryOut(at, d)
		c.offerAll()
	}
	c.airtimeLags(c.airtime.Due(c.now.Host, c.calendar))
	next := c.nextTime()
	if next != 0 && (c.armed == 0 || next < c.armed) {
		c.armed, c.arm.At = next, next
		c.do(&c.arm)
	}
}

// carryOut does what is on the agenda, if it is still wanted.
func (c *Core) carryOut(at radio.HostTime, d duty) {
	switch d.kind {
	case toDecide:
		if x := d.opportunity; !x.isOver() && x.decideAt == at {
			c.decide(x)
		}
		return
	case toRepeat:
		c.repeat(d.transmission)
		return
	case toNack:
		c.unacknowledged(d.device, uint32(d.attempt))
		return
	case toOffer:
		c.offer(d.device)
		return
	case toHandForeign:
		c.handForeign(d.attempt)
		return
	}
	t := c.attempts[d.attempt]
	switch {
	case t == nil: // it is over
	case d.kind == toHandOver && t.last().slot.HostStart <= c.now.Host: // this process was stopped meanwhile
		c.refused(t, radio.TxNoPath, "its time was over before it could be handed over")
	case d.kind == toHandOver:
		c.handOver(t)
	case t.opportunity.always && t.last().slot.Gateway.Answers:
		c.refused(t, radio.TxNoAck, "it does not answer")
	default:
		c.sent(t)
	}
}

// nextTime returns when there is something to do again, or 0.
func (c *Core) nextTime() radio.HostTime {
	next := endOfHostTime
	if at, ok := c.agenda.Next(); ok {
		next = at
	}
	if at := c.airtime.Next(); at != 0 {
		next = min(next, at)
	}
	if c.provisions.Waits() {
		next = c.now.Host
	}
	if len(c.waiting) > 0 {
		next = min(next, c.waiting[0].deadline)
	}
	if len(c.remembered) > 0 {
		next = min(next, c.remembered[0].heard.Expires().Add(forgetting))
	}
	if next == endOfHostTime {
		return 0
	}
	return max(next, c.now.Host, 1)
}
