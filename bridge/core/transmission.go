package core

import (
	"slices"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// transmission is one frame with its FCntDown. Its bytes never change: they may be
// sent in another window or by another gateway if an attempt is refused.
//
//	underWay --(an attempt is sent)-----------------------------------> sent
//	   | |  |
//	   | |  +--(every attempt is refused)-----------------------------> failed
//	   | |
//	   | +--(no gateway has it yet: a later uplink, the session ends)-> cancelled
//	   |
//	   +--(a gateway has it, and the session ends)--> detached --> sent, failed
type transmission struct {
	state       transmissionState
	opportunity *opportunity
	phy         []byte // PHYPayload
	down        mac.Downlink
	fCnt        uint32
	priority    radio.Priority
	ids         []string // correlation ids of all that has led to it, sorted

	// item is the item of the queue that the result is for. nil: there is none, or
	// it was replaced or deleted meanwhile. It is sent all the same.
	item *session.Item

	attempts []attempt  // the last one is at hand
	one      [1]attempt // room for attempts: nearly always there is one
	lowered  int        // attempts that asked for a lower power
	unleased bool       // the last attempt was refused because of the lease

	until radio.HostTime // to a device that listens at all times: until when silent gateways are tried again
}

type transmissionState uint8

const (
	underWay transmissionState = iota
	detached                   // nothing of its device waits for it any more
	sent
	failed
	cancelled
)

// hasItem reports whether there is an item that waits for the result.
func (t *transmission) hasItem() bool { return t.item != nil }

// superseded reports whether a frame with a later counter was made meanwhile: where the device has got
// that one, it takes this one for a replay. Groups of gateways send one frame, each in its own time.
func (t *transmission) superseded() bool {
	x := t.opportunity
	return x.ready == nil && x.first == nil && x.session.Superseded(x.device.Version, t.down.Item != nil, t.fCnt)
}

// last returns the attempt at hand.
func (t *transmission) last() *attempt { return &t.attempts[len(t.attempts)-1] }

// send makes a transmission for window w and path i. It returns false where no
// frame can be made.
func (c *Core) send(x *opportunity, o *payloadOption, w, i int) bool {
	t := &transmission{opportunity: x, down: o.down, item: o.down.Item, priority: o.priority, phy: x.ready}
	t.attempts = t.one[:0]
	id := c.correlationID(v3.Transmission)
	if x.first != nil {
		t.phy, t.fCnt = x.first.phy, x.first.fCnt
	} else if x.ready == nil {
		var ok bool
		if t.phy, t.fCnt, ok = o.down.Build(x.device, x.session, x.uplink.fCnt, x.circumstances()); !ok {
			x.record.Last().Verdict.Reason = schedule.NoCounter
			return false
		}
		c.reserve(x.device, x.session)
		c.asked(x, &o.down)
	}
	if t.hasItem() && x.first == nil {
		x.device.Queue.Take()
	}
	t.ids = x.correlationIDs(t.item, id)
	if x.always {
		t.until = c.deadline(x, t.item)
	}
	x.record.Choose(event.Content(&o.down, x.join != nil), len(t.phy), t.fCnt)
	c.close(x, used)
	x.device.History.Answered()
	c.inFlight[x.device] = append(c.inFlight[x.device], t)
	c.plan(t, w, i)
	return true
}

// finish ends a transmission.
func (c *Core) finish(t *transmission, as transmissionState) {
	delete(c.attempts, t.last().id)
	c.detach(t)
	t.state = as
	c.wake(t.opportunity.device)
}

// detach takes a transmission from its device. What its gateway answers is still
// reported.
func (c *Core) detach(t *transmission) {
	if t.state != underWay {
		return
	}
	t.state = detached
	d := t.opportunity.device
	t.opportunity.leave()
	c.inFlight[d] = slices.DeleteFunc(c.inFlight[d], func(o *transmission) bool { return o == t })
	if len(c.inFlight[d]) == 0 {
		delete(c.inFlight, d)
	}
}

// cancelTransmission cancels a frame that no gateway has yet, and puts its item
// back. One that a gateway has is sent all the same.
func (c *Core) cancelTransmission(t *transmission) {
	a := t.last()
	if a.state == planned || a.state == refused {
		a.state = released
		if a.result != radio.TxNoAck { // else it may have been sent
			c.schedule.Release(a.slot)
		}
		c.finish(t, cancelled)
		if t.hasItem() {
			t.opportunity.device.Queue.PutBack(t.item)
		}
		return
	}
	c.detach(t)
	if it := t.item; it != nil {
		t.item = nil
		c.do(Commit{Records: state.DeleteItems(t.opportunity.device, it)})
	}
}

// sent ends a transmission well.
func (c *Core) sent(t *transmission) {
	a, x, it := t.last(), t.opportunity, t.down.Item
	a.state = accepted
	end := a.slot.HostStart.Add(a.slot.Airtime)
	if x.always && isQuiet(x.device) {
		c.listener(x.device).Taken(end)
	}
	c.finish(t, sent)
	c.noteSent(t)
	c.stats.Sent[event.WindowOf(x.Windows[a.window].Name)]++
	c.report(event.Event{
		Kind: event.DownlinkSent, Gateway: a.slot.Gateway.ID, Device: x.device.ID, FCnt: t.fCnt, CorrelationIDs: t.ids,
	})
	if x.join != nil {
		c.joined(t)
	}
	if it == nil {
		return
	}
	c.nextGroup(x, it, t)
	ids := v3.JoinIDs(t.ids, c.correlationID(v3.GatewayTxAck))
	c.publishDownlink(v3.DownSent, t.message(ids, it))
	switch {
	case !t.hasItem() || x.first != nil: // its record is deleted
	case it.Confirmed:
		x.device.Queue.Await(it, t.fCnt)
		// Without a record the store has the item as one to be sent.
		if records, err := state.ItemRecords(x.device, it); err == nil {
			c.do(Commit{Records: records, Told: true})
		}
		c.awaitAck(x.device, max(c.now.Host, end))
	default:
		c.do(Commit{Records: state.DeleteItems(x.device, it), Told: true})
	}
}

// message is what is told of a transmission with an item.
func (t *transmission) message(ids []string, it *session.Item) *v3.Downlink {
	x := t.opportunity
	return &v3.Downlink{
		DeviceIDs: v3.IDs(x.device), CorrelationIDs: ids, ItemCorrelationIDs: ids, Item: it, FCnt: t.fCnt,
		SessionKeyID: x.session.KeyID, Priority: t.priority,
	}
}

// failed ends a transmission that every gateway has refused in every window. An
// item that a gateway has refused fails; one that has never left this host goes back
// to the head of the queue.
func (c *Core) failed(t *transmission) {
	x, it, result := t.opportunity, t.item, t.last().result
	silent := result == radio.TxNoPath || result == radio.TxNoAck
	if x.always && silent && it != nil && c.repeatLater(t) {
		return
	}
	c.finish(t, failed)
	c.reportUnsent(x, t.ids)
	if it == nil {
		return
	}
	err := v3.TransmissionFailed(result)
	switch {
	case silent && x.always && !c.foreign.Unleased && !t.unleased:
		err = v3.InvalidFixedPaths()
	case silent:
		x.device.Queue.PutBack(it)
		return
	}
	ids := v3.JoinIDs(t.ids, c.correlationID(v3.GatewayTxAck))
	m := t.message(ids, it)
	m.Transmission, m.Err = true, c.names.Error(err)
	c.publishDownlink(v3.DownFailed, m)
	c.do(Commit{Records: state.DeleteItems(x.device, it), Told: true})
	c.nextGroup(x, it, t)
}

// overtaken ends what is under way when an uplink comes: the device listens after
// its last one only.
func (c *Core) overtaken(d *session.Device) {
	c.cancelOpportunities(d)
	for _, t := range slices.Clone(c.inFlight[d]) {
		switch a := t.last(); {
		case c.keepsForRepeat(t):
		case a.state == planned || a.state == refused:
			c.cancelTransmission(t)
		case a.slot.HostStart <= c.now.Host:
			c.sent(t)
		default: // the gateway has it; if it is refused, no other attempt would be heard
			t.opportunity.Close()
		}
	}
}

// cancelAll cancels what is under way in a session that has ended.
func (c *Core) cancelAll(d *session.Device) {
	c.cancelOpportunities(d)
	for _, t := range slices.Clone(c.inFlight[d]) {
		c.cancelTransmission(t)
	}
	if c.opts.Devices.Device(d.ID) != d {
		delete(c.listeners, d)
	}
	for _, r := range c.remembered {
		if r.match.Device == d {
			delete(c.receptions, r.key)
		}
	}
}

// busy returns the devices for which something is planned, sorted by their ids.
func (c *Core) busy() []*session.Device {
	out := make([]*session.Device, 0, len(c.opportunities)+len(c.inFlight))
	for d := range c.opportunities {
		out = append(out, d)
	}
	for d := range c.inFlight {
		if c.opportunities[d] == nil {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *session.Device) int { return a.ID.Compare(b.ID) })
	return out
}

// noteSent notes in a session which of its counters was sent last. The store
// learns that with the session's next record; at once only if many counters had
// been skipped before: a host that crashes after each downlink would skip more and
// more, although the device hears it.
func (c *Core) noteSent(t *transmission) {
	d, s := t.opportunity.device, t.opportunity.session
	if s == nil || !s.Sent(d.Version, t.down.Item != nil, t.fCnt) {
		return
	}
	if c.opts.Devices.Device(d.ID) == d && d.Session == s {
		c.do(Commit{Records: []state.Record{state.CountersRecord(d, s.Marks())}})
	}
}
