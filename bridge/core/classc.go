package core

import (
	"cmp"
	"slices"

	"lorawand/bridge/classb"
	"lorawand/bridge/classc"
	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Opportunities without an uplink: a device that listens at all times, or in ping slots, can
// be sent to whenever nothing else is under way for it. Its windows after an uplink go first:
// while they are open they take what waits.

// isQuiet reports whether a device can listen without having sent: it is of Class B or C.
func isQuiet(d *session.Device) bool { return d.ClassC || d.ClassB }

// listener returns what is known of a device of Class B or C.
func (c *Core) listener(d *session.Device) *classc.Listener {
	l := c.listeners[d]
	if l == nil {
		l = new(classc.Listener)
		c.listeners[d] = l
	}
	return l
}

// wake has offer look at a device when this input is dealt with.
func (c *Core) wake(d *session.Device) {
	if it := d.Queue.Head(); isQuiet(d) || it != nil && it.ClassBC != nil {
		c.woken = append(c.woken, d)
	}
}

// offerAll offers what waits for devices that were woken.
func (c *Core) offerAll() {
	for i := 0; i < len(c.woken); i++ {
		c.offer(c.woken[i])
	}
	c.woken = c.woken[:0]
}

// offer makes an opportunity if an item waits for a device that listens without having sent.
func (c *Core) offer(d *session.Device) {
	if c.opts.Devices.Device(d.ID) != d {
		return
	}
	if !classb.Listens(d) {
		c.awaitListening(d)
		return
	}
	open := c.opportunities[d]
	if open != nil && open.outdated() {
		c.cancel(open)
		open = c.opportunities[d]
	}
	if open != nil && c.times(open) != classc.Beside {
		return // its windows take the item, or go first
	}
	x := &opportunity{device: d, session: d.Session, window: 1, always: true, beside: open}
	x.Start = c.now.Host
	l, it := c.listener(d), c.eligible(x)
	if l.Waits(c.now.Host, it != nil); it == nil {
		return
	}
	plan, err := d.PlanIn(d.Session)
	if err != nil {
		return // not reached: a device without a plan is not served
	}
	x.item = it
	at, then := c.now.Host, c.timeOf(it)
	x.waits, x.ping = then > at.Add(classc.Soon+classc.Again), !d.Listens()
	switch {
	case x.waits:
		at = at.Add(classc.Again) // the calendar may be set meanwhile
	case x.ping:
		at, err = c.toPingSlot(x)
	default:
		x.Windows, err = mac.Windows(d, d.Session, plan).Always(plan)
		if x.at = then; x.at != 0 {
			at = x.at.Add(-classc.Soon)
		}
	}
	if err != nil {
		c.report(event.Event{Kind: event.WindowsUnknown, Device: d.ID, Err: err})
		c.unsendable(x, d.Queue.Take(), v3.NotServed(err))
		c.wake(d)
		return
	}
	c.opportunities[d] = x
	c.reserve(d, d.Session)
	c.decideLater(x, at)
}

// awaitListening fails items that are not for Class A if their device has not listened in time.
func (c *Core) awaitListening(d *session.Device) {
	l, x := c.listener(d), &opportunity{device: d, session: cmp.Or(d.Session, d.Pending)}
	for {
		until, why := classb.Awaits(d, l, c.now.Host, c.timeOf)
		if until > c.now.Host {
			if l.LooksAt(c.now.Host, until) {
				c.agenda.Add(until, duty{kind: toOffer, device: d})
			}
			return
		}
		if why == nil {
			return
		}
		c.unsendable(x, d.Queue.Take(), why)
		if open := c.opportunities[d]; open != nil {
			c.hold(open)
		}
	}
}

// toPingSlot sets the next ping slot in which an item can be sent, and returns the decision
// point. Without a gateway that knows GPS time there is none, and the next look is later.
func (c *Core) toPingSlot(x *opportunity) (at radio.HostTime, err error) {
	plan, err := x.device.PlanIn(x.session)
	if err != nil {
		return c.now.Host.Add(classc.Again), err // not reached: see offer
	}
	paths, _ := c.pathsTo(x, x.item)
	from := max(c.listener(x.device).NotBefore(c.now.Host), c.timeOf(x.item))
	slot, ok, err := classb.Next(x.device, plan, paths, c.now.Host, from)
	if x.Windows = slot.Windows; ok {
		x.at, x.gps = slot.Host, slot.GPS
		return x.at.Add(-classc.Soon), nil
	}
	if err == nil {
		x.Windows, err = mac.PingSlot(x.device, x.session, plan, 0)
	}
	return c.now.Host.Add(classc.Again), err
}

// nextPingSlot goes on with the ping slot behind one that could not be had, for as long as the
// item may wait.
func (c *Core) nextPingSlot(x *opportunity, it *session.Item) {
	l := c.listener(x.device)
	if x.at > c.now.Host.Add(classc.Soon) {
		c.decideLater(x, x.at.Add(-classc.Soon))
		return
	}
	if _, known := c.pathsTo(x, it); c.now.Host >= c.deadline(x, it) || !known {
		c.expire(x, it)
		return
	}
	l.Passed(x.at)
	if x.group == 0 {
		c.cancel(x)
		return
	}
	at, _ := c.toPingSlot(x) // other groups of gateways have had the frame
	c.decideLater(x, at)
}

// deadline returns until when it is tried to send an item.
func (c *Core) deadline(x *opportunity, it *session.Item) radio.HostTime {
	at := c.listener(x.device).Deadline(it)
	if x.gps != 0 {
		at = max(at, c.timeOf(it)).Add(classb.Patience(x.device))
	}
	return at
}

// timeOf returns when an item is to be sent, or 0.
func (c *Core) timeOf(it *session.Item) radio.HostTime {
	return classc.Time(it, c.now.Host, c.now.Wall)
}

// times returns how the time of the item that is next lies to the windows after an uplink.
func (c *Core) times(x *opportunity) classc.Place {
	it := x.device.Queue.Head()
	if x.always || x.join != nil || it == nil || !x.device.Listens() {
		return classc.Elsewhere
	}
	d := mac.Downlink{Item: it}
	rx1, airtime := x.Start.Add(x.Windows[0].Delay), x.Windows[1].Airtime(d.Size())
	return classc.PlaceOf(it, x.Paths, c.timeOf(it), airtime, rx1, !x.uplink.answers.IsZero())
}

// outdated reports whether another item has taken the place of the one that the
// opportunity was made for, which says by which gateways and when it is to be sent.
func (x *opportunity) outdated() bool {
	return x.always && x.first == nil && x.item != x.device.Queue.Head()
}

// decideLater sets the decision point of an opportunity.
func (c *Core) decideLater(x *opportunity, at radio.HostTime) {
	x.decideAt = max(at, c.now.Host)
	c.agenda.Add(x.decideAt, duty{kind: toDecide, opportunity: x})
}

// aim looks for the paths by which a payload can be sent, and the next free slot of each.
func (c *Core) aim(x *opportunity, o *payloadOption) {
	x.Paths, _ = c.pathsTo(x, o.down.Item)
	c.aimPaths(x, o.size, o.priority)
}

// pathsTo returns the paths by which an item is tried: see classc.Listener.
func (c *Core) pathsTo(x *opportunity, it *session.Item) ([]gateway.Path, bool) {
	group := x.group
	if !x.device.Multicast {
		group = -1
	}
	return c.listener(x.device).Paths(c.opts.Gateways, it, group)
}

// nextGroup has the next group of gateways send a multicast frame, if there is one. first
// is the same frame by an earlier group; nil: it was sent by none.
func (c *Core) nextGroup(x *opportunity, it *session.Item, first *transmission) bool {
	if !x.device.Multicast || x.group+1 >= len(classc.Groups(it)) || c.opportunities[x.device] != nil {
		return false
	}
	next := &opportunity{
		device: x.device, session: x.session, window: 1, always: true, at: x.at, item: it, group: x.group + 1, first: first,
		ping: x.ping,
	}
	next.Start, next.Windows = c.now.Host, x.Windows
	c.opportunities[x.device] = next
	at := x.at.Add(-classc.Soon)
	if x.ping { // the same slot is that of the group before
		at, _ = c.toPingSlot(next)
	}
	c.decideLater(next, at)
	return true
}

// aimPaths looks for the next free slot of each path.
func (c *Core) aimPaths(x *opportunity, size int, p radio.Priority) {
	hears := c.listener(x.device).Hears(c.now.Host)
	for i := range x.Paths {
		if classc.Aim(&x.Paths[i], x.ping, x.gps, x.at, hears, c.now.Host) {
			e := c.schedule.Free(c.now.Host, x.emission(1, i, size, p))
			x.Paths[i].Start.Counter, x.Paths[i].Start.Host = e.Start, e.HostStart
		}
	}
}

// later waits for a slot that is not near yet, which it holds, or for the next try. When
// an item has waited for too long it has failed.
func (c *Core) later(x *opportunity, o *payloadOption) {
	it := o.down.Item
	switch {
	case c.foreign.Unleased: // whoever may send has the item too: here it does not fail
		c.listener(x.device).Rests(c.now.Host)
		c.decideLater(x, c.now.Host.Add(classc.Again))
		return
	case x.ping:
		c.nextPingSlot(x, it)
		return
	}
	deadline, next := c.listener(x.device).Deadline(it), c.now.Host.Add(classc.Again)
	if x.at != 0 {
		deadline = x.at
	}
	for i := range x.Paths {
		begin := x.Begin(1, i)
		if x.Paths[i].Lost || begin <= c.now.Host.Add(classc.Soon) || begin > deadline {
			continue
		}
		if x.slot, _ = c.schedule.Hold(c.now.Host, x.emission(1, i, o.size, o.priority)); x.slot != nil {
			next = min(next, begin.Add(-classc.Soon))
			break
		}
	}
	_, known := c.pathsTo(x, it)
	if c.now.Host >= deadline || !known {
		c.expire(x, it)
		return
	}
	c.decideLater(x, min(next, deadline))
}

// expire fails an item for which there was no free slot in time.
func (c *Core) expire(x *opportunity, it *session.Item) {
	why := classc.Failure(x.record, x.at != 0 && !x.ping)
	if _, known := c.pathsTo(x, it); known && x.ping && x.gps == 0 {
		why = v3.NoGPSTime()
	}
	ids := c.failUnsent(x, it, &v3.Downlink{Transmission: true, Err: c.names.Error(why)}, why)
	c.reportUnsent(x, ids)
	c.cancel(x)
	if !c.nextGroup(x, it, x.first) && x.first == nil {
		x.device.Queue.Take()
		c.do(Commit{Records: state.DeleteItems(x.device, it), Told: true})
	}
}

// repeatAt has a transmission whose gateways were silent sent once more: the same bytes, so that
// a device that has heard it drops them. It reports whether there is time.
func (c *Core) repeatAt(t *transmission, at radio.HostTime) bool {
	if c.now.Host >= t.until {
		return false
	}
	c.agenda.Add(at, duty{kind: toRepeat, transmission: t})
	return true
}

func (c *Core) repeatLater(t *transmission) bool { return c.repeatAt(t, c.now.Host.Add(classc.Again)) }

// keepsForRepeat keeps a transmission that a silent gateway may have sent: in another frame
// the device would take its item for a new one. The windows after an uplink go first.
func (c *Core) keepsForRepeat(t *transmission) bool {
	a := t.last()
	silent := slices.ContainsFunc(t.attempts, func(a attempt) bool { return a.result == radio.TxNoAck })
	switch {
	case !t.opportunity.always || !t.hasItem() || t.item.Confirmed || t.opportunity.at != 0 && !t.opportunity.ping:
		return false
	case a.state == handed:
		return a.slot.Gateway.Answers // else nothing tells that it was not sent
	case !silent || c.now.Host >= t.until:
		return false
	case a.state == planned:
		c.schedule.Release(a.slot)
		delete(c.attempts, a.id)
		a.state, a.result = refused, radio.TxNoAck
		return c.repeatLater(t)
	}
	return true
}

// dropRepeats cancels what waits to be sent once more if windows after an uplink have an
// answer: its counter is above, and the device does not take a lower one any more.
func (c *Core) dropRepeats(x *opportunity) {
	if x.uplink.answers.IsZero() {
		return
	}
	for _, t := range slices.Clone(c.inFlight[x.device]) {
		if t.opportunity.always && t.last().state == refused {
			c.cancelTransmission(t)
		}
	}
}

// repeat sends a transmission once more, by whichever gateway can.
func (c *Core) repeat(t *transmission) {
	x := t.opportunity
	if t.state != underWay || t.last().state != refused {
		return
	}
	if !classb.ListensIn(x.device, x.session) || t.superseded() {
		c.cancelTransmission(t) // the device has got a later counter meanwhile, or another session
		return
	}
	if c.opportunities[x.device] != nil && c.repeatLater(t) {
		return
	}
	if t.hasItem() {
		x.Paths, _ = c.pathsTo(x, t.item)
	}
	if x.ping && x.at <= c.now.Host { // that slot has passed
		if at, _ := c.toPingSlot(x); at > c.now.Host && c.repeatAt(t, at) {
			return
		}
	}
	c.aimPaths(x, len(t.phy), t.priority)
	if !x.Each(c.now.Host, 1, func(w, i int) bool {
		v := c.weigh(x, w, i, len(t.phy), t.priority, t.hasItem())
		if v.OK() {
			c.plan(t, w, i)
		}
		return v.OK()
	}) {
		c.failed(t)
	}
}

// awaitAck sets the time at which a downlink that waits for its acknowledgement counts as
// not acknowledged, in Class B and C: its device may never send anything.
func (c *Core) awaitAck(d *session.Device, sent radio.HostTime) {
	if it := d.Queue.Awaiting(); it != nil && isQuiet(d) {
		c.agenda.Add(sent.Add(classb.Timeout(d)), duty{kind: toNack, device: d, attempt: uint64(it.SentFCnt)})
	}
}

// unacknowledged has a downlink count as not acknowledged.
func (c *Core) unacknowledged(d *session.Device, fCnt uint32) {
	it := d.Queue.Awaiting()
	if it == nil || it.SentFCnt != fCnt || c.opts.Devices.Device(d.ID) != d {
		return
	}
	if !classb.Listens(d) {
		c.awaitAck(d, c.now.Host.Add(classc.Again)) // it may listen again
		return
	}
	c.settleConfirmed(d, d.Session, false, nil)
}
