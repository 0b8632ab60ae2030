package core

import (
	"slices"
	"time"

	"lorawand/bridge/classc"
	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// hold holds a place for what is due or queued now, and arms the timer for the
// decision point. It is called again when that changes.
func (c *Core) hold(x *opportunity) {
	usable := func(p gateway.Path) bool { return !p.Lost && (x.slot == nil || p.Gateway == x.slot.Gateway) }
	c.schedule.Release(x.slot)
	x.slot = nil
	if x.isOver() || x.always {
		return
	}
	size, priority, due := c.smallest(x)
	if due {
		c.reserve(x.device, x.session)
		x.slot = c.firstSlot(x, size, priority)
	}
	at := x.Start.Add(x.Windows[x.window].Delay) // without a path: to report that nothing could be sent
	if i := slices.IndexFunc(x.Paths, usable); i >= 0 {
		at = c.decisionPoint(x, i)
	}
	due = due || x.device.Queue.Len() > 0 || isQuiet(x.device)
	if at == x.decideAt && (!x.idle || !due) {
		return
	}
	x.decideAt, x.idle = at, !due
	c.agenda.AddIdle(at, x.idle, duty{kind: toDecide, opportunity: x})
}

// readyLead is how long before its window a frame that is ready is handed over:
// early enough for any network, and late enough that a storm of joins does not fill
// the queue of a gateway, which takes 32 (JIT_QUEUE_MAX of sx1302_hal 2.1.0).
const readyLead = 2 * time.Second

// decisionPoint is when the next window must be decided on if path i is taken.
func (c *Core) decisionPoint(x *opportunity, i int) radio.HostTime {
	g := x.Paths[i].Gateway
	at := x.Begin(x.window, i).Add(-g.Lead())
	if x.ready != nil && g.Answers && !c.opts.Leases {
		// Nothing can ride along, so it need not wait for the last moment.
		at = min(at, max(x.Start.Add(c.opts.Deduplication), x.Begin(0, i).Add(-readyLead)))
	}
	return at
}

// smallest returns the smallest frame that would do. ok is false while nothing is
// to be sent.
func (c *Core) smallest(x *opportunity) (size int, p radio.Priority, ok bool) {
	if x.ready != nil {
		return len(x.ready), radio.PriorityHighest, true
	}
	d := mac.Downlink{Owed: x.uplink.answers}
	if d.Owed.IsZero() {
		if d.Item = c.eligible(x); d.Item == nil {
			return 0, 0, false
		}
	}
	return d.Size(), d.Priority(), true
}

// firstSlot holds the first place that can be had, or returns nil.
func (c *Core) firstSlot(x *opportunity, size int, p radio.Priority) (slot *schedule.Slot) {
	x.Each(c.now.Host, x.window, func(w, i int) bool {
		if x.Fits(w, size) {
			slot, _ = c.schedule.Hold(c.now.Host, x.emission(w, i, size, p))
		}
		return slot != nil
	})
	return slot
}

// decide is the decision point of an opportunity.
func (c *Core) decide(x *opportunity) {
	if x.state == unstored || x.state == overdue {
		x.state = overdue
		return
	}
	if x.waits {
		c.cancel(x)
		return
	}
	c.schedule.Release(x.slot)
	x.slot = nil
	c.dropRepeats(x)
	options := c.payloadOptions(x)
	if x.outdated() {
		c.cancel(x)
		return
	}
	if len(options) == 0 {
		c.nextWindow(x)
		return
	}
	if x.record == nil {
		x.record = c.newDecision(x)
	}
	if x.always {
		c.aim(x, &options[0])
	}
	for i := range options {
		if c.trySend(x, &options[i]) {
			return
		}
	}
	if x.always {
		c.later(x, &options[0])
		return
	}
	if x.window+1 < len(x.Windows) && x.ready == nil {
		c.nextWindow(x)
		return
	}
	c.unsent(x)
}

// nextWindow moves on to the next window, or gives up after the last.
func (c *Core) nextWindow(x *opportunity) {
	if x.window++; x.window >= len(x.Windows) {
		c.cancel(x)
		return
	}
	x.decideAt = 0
	c.hold(x)
}

// payloadOption is something that could be sent.
type payloadOption struct {
	down     mac.Downlink
	size     int // PHYPayload, bytes
	priority radio.Priority
}

// payloadOptions returns what could be sent, best first: all answers that are due
// with an item of the queue; else the answers alone. Items that no window can carry
// fail.
func (c *Core) payloadOptions(x *opportunity) (out []payloadOption) {
	if x.ready != nil {
		return []payloadOption{{size: len(x.ready), priority: radio.PriorityHighest}}
	}
	if t := x.first; t != nil {
		return []payloadOption{{t.down, len(t.phy), t.priority}}
	}
	q := &x.device.Queue
	maxMACPayload := x.MaxMACPayload()
	for it := q.Head(); it != nil; it = q.Head() {
		why := classc.Unsendable(x.device, x.session, it, maxMACPayload)
		if why == nil {
			break
		}
		c.unsendable(x, q.Take(), why)
	}
	add := func(d mac.Downlink) { out = append(out, payloadOption{d, d.Size(), d.Priority()}) }
	if it := c.eligible(x); it != nil && !x.uplink.answers.Alone() {
		add(mac.Downlink{Owed: x.uplink.answers, Item: it, Pending: q.Len() > 1 && !x.always})
	}
	if !x.uplink.answers.IsZero() {
		add(mac.Downlink{Owed: x.uplink.answers, Pending: q.Len() > 0})
	}
	return out
}

// eligible returns the item that is next, or nil. It has to wait until the result
// of the one before is known, and a confirmed one until that is acknowledged. One that
// names gateways or a time is not for the windows after an uplink, unless RX1 is in its way.
func (c *Core) eligible(x *opportunity) *session.Item {
	d, it := x.device, x.device.Queue.Head()
	if it == nil || it.Confirmed && d.Queue.Awaiting() != nil {
		return nil
	}
	if it.ClassBC != nil && !x.always && c.times(x) != classc.InRX1 {
		return nil
	}
	if slices.ContainsFunc(c.inFlight[d], (*transmission).hasItem) {
		return nil
	}
	return it
}

// trySend sends in the first window and by the best path that can take a payload.
// It reports whether there is one. each goes on from RX1 into RX2: where no path
// takes the payload in RX1, it is tried in RX2.
func (c *Core) trySend(x *opportunity, o *payloadOption) bool {
	return x.Each(c.now.Host, x.window, func(w, i int) bool {
		if x.always && x.Begin(w, i) > c.now.Host.Add(classc.Soon) {
			return false
		}
		v := c.weigh(x, w, i, o.size, o.priority, o.down.Item != nil)
		return v.OK() && c.send(x, o, w, i)
	})
}

// weigh checks one window and path, and records what it finds.
func (c *Core) weigh(x *opportunity, w, i, size int, p radio.Priority, withItem bool) schedule.Verdict {
	e := x.emission(w, i, size, p)
	v := c.schedule.Check(c.now.Host, e)
	switch {
	case c.foreign.Unleased:
		v.Reason = schedule.NoLease
	case !x.Fits(w, size):
		v.Reason = schedule.Size
	case v.OK() && c.overtakes(x, w, i, withItem):
		v.Reason = schedule.Conflict
	}
	win := &x.Windows[w]
	x.record.Consider(event.Option{
		Window: win.Name, Gateway: e.Gateway.ID, Frequency: win.Frequency, DataRate: win.DataRate, Delay: win.Delay,
		Airtime: e.Airtime, Priority: p, WithItem: withItem, Verdict: v,
	})
	return v
}

// overtakes reports whether an answer in window w would be on the air before an item that a gateway
// has got already: the device would take that for a replay, as its counter is lower. With LoRaWAN
// 1.1 frames with an item have a counter of their own.
func (c *Core) overtakes(x *opportunity, w, i int, withItem bool) bool {
	l := c.listeners[x.device]
	if l == nil || x.always || x.join != nil || x.device.Version >= session.V1_1 && !withItem {
		return false
	}
	end := l.Ends()
	for _, t := range c.inFlight[x.device] {
		if a := t.last(); t.opportunity.always && a.state == handed {
			end = max(end, a.slot.HostStart.Add(a.slot.Airtime))
		}
	}
	return x.Begin(w, i) < end
}

// unsent gives up: nothing could be sent in any window.
func (c *Core) unsent(x *opportunity) {
	x.record.Blocked = x.Blocked
	c.reportUnsent(x, x.correlationIDs(x.device.Queue.Head()))
	c.cancel(x)
}

// reportUnsent counts and reports that nothing was sent.
func (c *Core) reportUnsent(x *opportunity, ids []string) {
	c.stats.Unsent++
	if x.join != nil {
		c.joinUnsent(x)
	} else {
		c.report(x.record.Event(event.DownlinkUnsent, ids))
	}
}

// reserve has frame counters reserved in the store before they run out.
func (c *Core) reserve(d *session.Device, s *session.Session) {
	if s == nil || c.provisions.Holds(d) {
		return
	}
	if m, due := s.Reserve(d.Version); due {
		c.provisions.Outdate(d)
		c.commit(func(err error) {
			s.Reserved(m, err == nil)
			if x := c.opportunities[d]; err == nil && x != nil && x.always {
				c.decideLater(x, c.now.Host) // it may have waited for that
			}
		}, state.CountersRecord(d, s.Marks()))
	}
}
