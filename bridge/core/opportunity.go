package core

import (
	"errors"
	"math"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/joins"
	"lorawand/bridge/mac"
	"lorawand/bridge/reach"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// opportunity is a chance to be heard by a device: the windows in which it listens,
// and the paths to it. An uplink makes one; an item for a device that listens at all
// times makes one (classc.go). A device has at most one that is not over.
//
//	a join-request             any other
//	     |                         |
//	     v                         v
//	 unstored ---(stored)-------> open --(a frame is sent)---> used
//	     |                         ^ |
//	     | decision point          | +--(the last window is past, nothing can be
//	     v                         |     sent, a later uplink, the session ends)
//	  overdue ---(stored)----------+ |
//	                                 +-----------------------> missed
//
// From the start on the smallest frame that is due is held in the plan of a
// gateway. At the decision point, shortly before a window, that place is released
// and filled with all that is to be sent by then. If there is nothing, the next
// window is decided on at a decision point of its own.
type opportunity struct {
	state   opportunityState
	device  *session.Device
	session *session.Session // nil: the frame is not in a session
	ids     []string         // correlation ids of what has made it
	uplink  answered         // zero where no uplink has made it
	join    *joins.Offer     // nil: no join-request has made it
	ready   []byte           // PHYPayload that is to be sent; nil: it is made at the decision point

	reach.Chances

	window   int            // that is decided on next
	decideAt radio.HostTime // its decision point
	idle     bool           // nothing is to be sent: nothing has to wake for the decision point
	slot     *schedule.Slot // held until then; nil: nothing is due, or there is no room
	record   *event.Decision

	reception *reception // that brings more paths; nil: there is none

	always bool           // the device listens at all times: no uplink has made it, and its one window has no begin
	item   *session.Item  // that it was made for
	at     radio.HostTime // when the item is to be sent; 0: as soon as can be
	waits  bool           // its time is not near yet: at the decision point another one is made
	ping   bool           // the window is a ping slot, of Class B
	gps    radio.GPSTime  // its begin; 0: no gateway knows GPS time
	group  int            // of a multicast frame: the place of the group of gateways
	first  *transmission  // the same frame by an earlier group; nil: there is none
	beside *opportunity   // windows after an uplink that are still to come, and take over again; nil: none
}

type opportunityState uint8

const (
	open     opportunityState = iota // until the decision point of its last window
	unstored                         // its nonces are on their way to the store
	overdue                          // the same, and the decision point is past
	used
	missed
)

// answered is the uplink that a downlink answers.
type answered struct {
	fCnt    uint32
	rate    radio.DataRate
	end     radio.GPSTime // 0 where it is not known
	answers mac.Owed      // that are due
}

// isOver reports whether nothing more will be sent.
func (x *opportunity) isOver() bool { return x.state == used || x.state == missed }

// open begins an opportunity.
func (c *Core) open(x *opportunity, up *radio.Uplink) {
	c.opportunities[x.device] = x
	x.addPath(c.gateway(up.Gateway), up)
	if err := x.Windows[0].Err; errors.Is(err, region.ErrFrequency) {
		c.report(event.Event{
			Kind: event.RX1Unknown, Gateway: c.gateway(up.Gateway).ID, Device: x.device.ID, FCnt: x.uplink.fCnt,
			CorrelationIDs: x.ids, Err: err, Hint: event.HintRX1Unknown,
		})
	}
	c.hold(x)
}

// cancel ends an opportunity that was not used.
func (c *Core) cancel(x *opportunity) {
	c.schedule.Release(x.slot)
	x.slot = nil
	c.close(x, missed)
	x.leave()
	c.wake(x.device)
}

// cancelOpportunities ends what a device could be heard in.
func (c *Core) cancelOpportunities(d *session.Device) {
	for x := c.opportunities[d]; x != nil; x = c.opportunities[d] {
		c.cancel(x)
	}
}

// close ends an opportunity.
func (c *Core) close(x *opportunity, as opportunityState) {
	x.state = as
	if c.opportunities[x.device] == x {
		delete(c.opportunities, x.device)
		if x.beside != nil && !x.beside.isOver() {
			c.opportunities[x.device] = x.beside
		}
	}
	if isQuiet(x.device) && !x.always && x.join == nil {
		c.listener(x.device).Heard(x.Paths)
	}
}

// leave tells the reception that more paths are of no use.
func (x *opportunity) leave() {
	if x.reception != nil {
		x.reception.opportunity = nil
	}
}

// endOfTime is later than any time of a counter.
const endOfTime = radio.ConcentratorTime(math.MaxInt64)

// addPath notes that a gateway has heard the uplink.
func (x *opportunity) addPath(g *gateway.Gateway, up *radio.Uplink) { x.Add(g, up, !x.isOver()) }

// losePaths notes that what is known of a gateway's counter before a time does not
// hold any more.
func (x *opportunity) losePaths(g *gateway.Gateway, before radio.ConcentratorTime) {
	x.Lose(g, before)
	if x.slot != nil && x.slot.Gateway == g && x.slot.Start < before {
		x.slot = nil
	}
}

// emission is the emission of size bytes in window w by path i.
func (x *opportunity) emission(w, i, size int, p radio.Priority) schedule.Emission {
	e := x.Emission(w, i, size, p)
	e.Answer = !x.always
	return e
}

// circumstances are what answers to MAC commands tell.
func (x *opportunity) circumstances() mac.Circumstances {
	best, gateways := gateway.Heard(x.Paths)
	return mac.Circumstances{
		Margin: mac.Margin(x.uplink.rate, best), Gateways: uint8(min(gateways, 255)), Time: x.uplink.end,
	}
}

// correlationIDs returns the correlation ids of all that leads to a transmission.
func (x *opportunity) correlationIDs(it *session.Item, more ...string) []string {
	ids := v3.JoinIDs(x.ids, more...)
	if it != nil {
		ids = v3.JoinIDs(ids, it.CorrelationIDs...)
	}
	return ids
}
