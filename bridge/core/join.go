package core

import (
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/joins"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// joining is the part of an opportunity that only joins have.
type joining struct {
	session    *session.Session // that the device gets
	gateway    string           // that has heard the request first
	noChannels bool             // the plan has channels for a CFList, and the window has no room for it
}

// joinRequest takes a join-request: a copy of one that is known, or a new one.
func (c *Core) joinRequest(g *gateway.Gateway, up *radio.Uplink) {
	if r := c.receptionOf(up.PHYPayload); r != nil {
		c.heardAgain(g, r, up)
		return
	}
	req, err := joins.Parse(up.PHYPayload)
	if err != nil {
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
		return
	}
	no := req.Check(c.opts.Devices, session.SourceOf(up), c.now.Host)
	if no == nil {
		no = c.busyFor(req.Device)
	} else if no.Why == event.JoinUsedNonce {
		c.rememberJoin(req.Device, nil, up)
	}
	if no != nil {
		c.refuseJoin(g, req, no.Why, no.Err)
		return
	}
	d := req.Device
	windows, err := mac.Windows(d, nil, req.Plan).After(req.Plan, up.Frequency, up.DataRate)
	if err != nil {
		c.refuseJoin(g, req, event.JoinUnserved, err)
		return
	}
	x := &opportunity{device: d, start: up.Received, windows: windows, uplink: answered{rate: up.DataRate}}
	c.join(g, x, req, up)
}

// busyFor refuses a join of a device while the store does not keep up, or its owner changes
// the device.
func (c *Core) busyFor(d *session.Device) *joins.Refusal {
	switch {
	case len(c.onStored) >= maxUnstored:
		return &joins.Refusal{Why: event.JoinNotStored, Err: errUnstored}
	case c.provisions.Holds(d):
		return &joins.Refusal{Why: event.JoinNotStored, Err: errChanging}
	}
	return nil
}

var errChanging = errors.New("its owner is changing the device at this moment")

// longJoinAccept is the size of a join-accept with a CFList, in bytes.
const longJoinAccept = 33

// refuseJoin reports that a join-request is not answered.
func (c *Core) refuseJoin(g *gateway.Gateway, req *joins.Request, why event.JoinRefusal, err error) {
	c.countRefusal(why)
	e := req.Event(event.JoinRefused)
	e.Word, e.Gateway, e.Err, e.Hint = string(why), g.ID, err, event.HintJoin(why, req.Device)
	c.report(e)
}

func (c *Core) countRefusal(why event.JoinRefusal) {
	c.stats.JoinsRefused++
	c.stats.Refusals[why]++
}

// join makes the session and holds a place for the join-accept. If there is no place,
// nothing of the device changes, and no nonce is used.
func (c *Core) join(g *gateway.Gateway, x *opportunity, req *joins.Request, up *radio.Uplink) {
	addr, ok := c.opts.Devices.NewDevAddr(c.opts.Entropy, c.opts.DevAddrs)
	if !ok {
		c.refuseJoin(g, req, event.JoinNoAddress, errors.New("no DevAddr is free"))
		return
	}
	noCFList := !x.fits(x.firstOpen(), longJoinAccept)
	j, err := mac.Join(x.device, &req.JoinRequest, req.Plan, mac.JoinParameters{
		NetID: c.opts.Encoder.NetID, DevAddr: addr, RX1Delay: uint8(c.opts.RX1Delay / time.Second),
		KeyID: c.names.SessionKeyID(c.now.Wall.Time), NoCFList: noCFList,
	})
	if err != nil {
		c.refuseJoin(g, req, event.JoinUnserved, err)
		return
	}
	list := req.Plan.CFList()
	x.ready = j.JoinAccept
	x.join = &joining{
		session: j.Session, gateway: g.ID, noChannels: noCFList && len(list.Frequencies)+len(list.Masks) > 0,
	}
	x.ids = c.uplinkIDs(up)
	c.overtaken(x.device)
	c.open(x, up)
	if x.slot == nil {
		x.record = c.newDecision(x)
		x.each(c.now.Host, x.window, func(w, i int) bool {
			c.weigh(x, w, i, len(x.ready), radio.PriorityHighest, false)
			return false
		})
		c.unsent(x)
		return
	}
	x.state = unstored
	j.Use(x.device, req.DevNonce)
	c.opts.Devices.Offer(x.device, j.Session)
	m, _ := j.Session.Reserve(x.device.Version)
	c.rememberJoin(x.device, x, up)
	records, _, err := c.takeRecords(x.device)
	if err != nil {
		c.joinStored(g, x, req, m, err)
		return
	}
	c.commit(func(err error) { c.joinStored(g, x, req, m, err) }, records...)
}

// rememberJoin remembers a join-request whose MIC is right, so that its copies are
// known. x is nil if it is not answered.
func (c *Core) rememberJoin(d *session.Device, x *opportunity, up *radio.Uplink) {
	r := c.remember(string(up.PHYPayload), up, c.rx1Delay(d, nil))
	r.joins, r.opportunity = d, x
	if x != nil {
		x.reception = r
	}
}

// joinUnsent reports that no gateway could send a join-accept.
func (c *Core) joinUnsent(x *opportunity) {
	c.countRefusal(event.JoinNoWindow)
	d := x.device
	c.report(event.Event{
		Kind: event.JoinRefused, Word: string(event.JoinNoWindow), Gateway: x.join.gateway,
		Device: d.ID, DevEUI: d.DevEUI, JoinEUI: d.JoinEUI, HasEUIs: true,
		Hint: event.HintJoin(event.JoinNoWindow, d), Decision: x.record, CorrelationIDs: x.ids,
	})
}

// joinStored goes on with a join when its nonces are in the store, or cannot be.
func (c *Core) joinStored(g *gateway.Gateway, x *opportunity, req *joins.Request, m session.Marks, err error) {
	x.join.session.Reserved(m, err == nil)
	if err != nil {
		c.cancel(x)
		c.refuseJoin(g, req, event.JoinNotStored, err)
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
	ids := v3.IDs(x.device)
	ids.DevAddr, ids.HasDevAddr = x.join.session.DevAddr, true
	payload := c.opts.Encoder.AppendJoin(make([]byte, 0, 512), &v3.JoinAccept{
		DeviceIDs: ids, CorrelationIDs: x.ids, SessionKeyID: x.join.session.KeyID,
		ReceivedAt: c.now.at(c.now.Host), FrameReceivedAt: c.now.at(x.start),
	})
	c.publishMessage(x.device.ID, v3.Join, payload, v3.Undecoded{})
	c.report(event.Event{
		Kind: event.JoinAccepted, Gateway: t.last().slot.Gateway.ID, Device: x.device.ID,
		DevAddr: x.join.session.DevAddr, HasDevAddr: true, DevEUI: x.device.DevEUI, JoinEUI: x.device.JoinEUI,
		HasEUIs: true, CorrelationIDs: t.ids,
	})
	if x.join.noChannels {
		w := &x.windows[x.firstOpen()]
		c.report(event.Event{
			Kind: event.JoinWithoutChannels, Gateway: t.last().slot.Gateway.ID, Device: x.device.ID, CorrelationIDs: t.ids,
			Err: fmt.Errorf("with the plan's channels it has %d bytes, and %v carries %d within the dwell time",
				longJoinAccept, w.DataRate, w.MaxMACPayload+phyOverhead),
			Hint: event.HintNoChannels,
		})
	}
}
