package core

import (
	"errors"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/joins"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// joinRequest takes a join-request or rejoin-request: a copy of one that is known, or a new one.
func (c *Core) joinRequest(g *gateway.Gateway, up *radio.Uplink) {
	if r := c.receptionOf(up.PHYPayload); r != nil {
		c.heardAgain(g, r, up)
		return
	}
	req, err := joins.Parse(up.PHYPayload, g.ID)
	if err != nil {
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
		return
	}
	no := req.Check(c.opts.Devices, session.SourceOf(up), c.now.Host)
	if no == nil {
		no = joins.Busy(c.full(), c.provisions.Holds(req.Device))
	} else if no.Known() {
		c.rememberJoin(req.Device, nil, up)
	}
	if no == nil {
		no = c.join(req, up)
	}
	if no != nil {
		c.refuseJoin(req, no.Why, no.Err)
	}
}

// refuseJoin reports that a join-request is not answered.
func (c *Core) refuseJoin(req *joins.Request, why event.JoinRefusal, err error) {
	c.stats.CountRefusal(why)
	c.report(req.Refused(why, err))
}

// join makes the session and holds a place for the join-accept. If there is no place,
// nothing of the device changes, and no nonce is used.
func (c *Core) join(req *joins.Request, up *radio.Uplink) *joins.Refusal {
	windows, no := req.Windows(up)
	if no != nil {
		return no
	}
	addr, ok := joins.NewDevAddr(c.opts.Devices, c.opts.Entropy, c.opts.DevAddrs)
	if !ok {
		return &joins.Refusal{Why: event.JoinNoAddress, Err: errors.New("no DevAddr is free")}
	}
	offer, no := req.Offer(windows, mac.JoinParameters{
		NetID: c.opts.Encoder.NetID, DevAddr: addr, RX1Delay: uint8(c.opts.RX1Delay / time.Second),
		KeyID: c.names.SessionKeyID(c.now.Wall.Time),
	})
	if no != nil {
		return no
	}
	x := &opportunity{device: req.Device, uplink: answered{rate: up.DataRate}}
	x.Start, x.Windows = up.Received, windows
	x.ready, x.join = offer.JoinAccept, offer
	x.ids = c.uplinkIDs(up)
	c.overtaken(x.device)
	c.open(x, up)
	if x.slot == nil {
		x.record = c.newDecision(x)
		x.Each(c.now.Host, x.window, func(w, i int) bool {
			c.weigh(x, w, i, len(x.ready), radio.PriorityHighest, false)
			return false
		})
		c.unsent(x)
		return nil
	}
	x.state = unstored
	if s := req.Session; s != nil && s != x.device.Session {
		c.takeUp(x.device, s, x.ids) // the device is in a session that it was offered before
	}
	offer.Use(c.opts.Devices)
	m, _ := offer.Joined.Session.Reserve(x.device.Version)
	c.rememberJoin(x.device, x, up)
	records, _, err := c.takeRecords(x.device)
	if err != nil {
		c.joinStored(x, m, err)
	} else {
		c.commit(func(err error) { c.joinStored(x, m, err) }, records...)
	}
	return nil
}

// rememberJoin remembers a join-request whose MIC is right, so that its copies are
// known. x is nil if it is not answered.
func (c *Core) rememberJoin(d *session.Device, x *opportunity, up *radio.Uplink) {
	r := c.remember(string(up.PHYPayload), up, mac.RX1Delay(d, nil))
	r.joins, r.opportunity = d, x
	if x != nil {
		x.reception = r
	}
}

// joinUnsent reports that no gateway could send a join-accept.
func (c *Core) joinUnsent(x *opportunity) {
	c.stats.CountRefusal(event.JoinNoWindow)
	e := x.join.Refused(event.JoinNoWindow, nil)
	e.Decision, e.CorrelationIDs = x.record, x.ids
	c.report(e)
}

// joinStored goes on with a join when its nonces are in the store, or cannot be.
func (c *Core) joinStored(x *opportunity, m session.Marks, err error) {
	x.join.Joined.Session.Reserved(m, err == nil)
	if err != nil {
		c.cancel(x)
		c.refuseJoin(x.join.Request, event.JoinNotStored, err)
		return
	}
	if c.opts.Devices.Device(x.device.ID) != x.device {
		c.cancel(x) // the device was removed meanwhile
		return
	}
	switch x.state {
	case unstored:
		x.state = open
	case overdue:
		x.state = open
		c.decide(x)
	}
}

// joined publishes that a device has joined, when a gateway has taken the join-accept.
// A join-accept that every gateway refuses reaches no device.
func (c *Core) joined(t *transmission) {
	x := t.opportunity
	c.stats.Joins++
	payload := x.join.Message(&c.opts.Encoder, x.ids, c.now.at(c.now.Host), c.now.at(x.Start))
	c.publishMessage(x.device.ID, v3.Join, payload, v3.Undecoded{})
	for _, e := range x.join.Accepted(t.last().slot.Gateway.ID, t.ids) {
		c.report(e)
	}
}
