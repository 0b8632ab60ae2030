package core

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// exchange is an uplink with the receive windows that it has opened. It stays
// open until something is sent in one of them or the last decision point is
// past; a later uplink of the device ends it.
//
// At first the smallest frame that does the duty is held in the gateway's plan.
// At the decision point, shortly before a window, that place is given back and
// filled with all that there is by then.
type exchange struct {
	device  *session.Device
	session *session.Session // nil with a join-request
	join    *joining         // nil with data
	fCnt    uint32
	rate    radio.DataRate
	heard   radio.HostTime // arrival
	ids     []string       // correlation ids of the uplink
	owed    mac.Owed
	time    radio.GPSTime // end of the uplink; 0 where it is not known

	ways    []way    // best first
	one     [1]way   // room for ways: nearly always there is one
	blocked []string // gateways that have heard it too and have no way back, with the reason
	windows [2]window
	next    int // the window that is decided on next
	slot    *schedule.Slot
	decide  radio.HostTime // when
	over    bool           // sent, given up, or superseded
	record  *event.Decision

	reception *reception // that gives it more ways
}

// way is a gateway through which an exchange can be answered.
type way struct {
	gateway *gateway.Gateway
	antenna uint8
	time    radio.ConcentratorTime // end of the uplink
	ended   radio.HostTime         // the same, as the host sees it
	signal  radio.Decibel
	snr     radio.Decibel
	void    bool // the gateway's counter has begun anew since
}

// window is a receive window.
type window struct {
	name      string
	delay     time.Duration // from the end of the uplink to its opening
	frequency radio.Frequency
	rate      radio.DataRate
	most      int // MACPayload, bytes
	closed    bool
	why       error // with closed
}

// windowsOf returns the windows that a device opens after an uplink.
func windowsOf(plan *region.Plan, r mac.Receive, up *radio.Uplink) ([2]window, error) {
	var out [2]window
	dr, err := plan.UplinkDataRate(up.DataRate)
	if err != nil {
		return out, err
	}
	// Without an RX1 that both sides agree on there is still RX2.
	rx1, noRX1 := plan.RX1(up.Frequency, dr, r.RX1DROffset)
	if noRX1 != nil {
		rx1 = r.RX2
	}
	for i, w := range [2]region.Window{rx1, r.RX2} {
		rate, err := plan.DataRate(w.DataRate)
		if err != nil {
			return out, err
		}
		most, err := plan.DownlinkMaxMACPayload(w.DataRate)
		if err != nil {
			return out, err
		}
		out[i] = window{name: [...]string{"RX1", "RX2"}[i], delay: r.Delay + time.Duration(i)*plan.Delays().Between, frequency: w.Frequency, rate: rate, most: most}
	}
	out[0].closed, out[0].why = noRX1 != nil, noRX1
	return out, nil
}

// open begins an exchange. What the device had before is overtaken.
func (c *Core) open(x *exchange, up *radio.Uplink) {
	c.exchanges[x.device] = x
	x.addWay(c.gateway(up.Gateway), up)
	if err := x.windows[0].why; errors.Is(err, region.ErrFrequency) {
		c.report(event.Event{
			Kind: event.RX1Unknown, Gateway: c.gateway(up.Gateway).ID, Device: x.device.ID, FCnt: x.fCnt, CorrelationIDs: x.ids, Err: err,
			Hint: event.HintRX1Unknown,
		})
	}
	c.arrange(x)
}

// end gives up what is held for an exchange.
func (c *Core) end(x *exchange) {
	c.schedule.Release(x.slot)
	x.slot, x.over = nil, true
	x.leave()
	if c.exchanges[x.device] == x {
		delete(c.exchanges, x.device)
	}
}

// leave has the reception forget the exchange: more ways are of no use.
func (x *exchange) leave() {
	if x.reception != nil {
		x.reception.exchange = nil
	}
}

// addWay notes that a gateway has heard the uplink, unless it has no way back.
// Once something is sent, ways are tried in the order in which they come: what is
// tried already is known by its place among them.
func (x *exchange) addWay(g *gateway.Gateway, up *radio.Uplink) {
	if up.NoPath != "" && len(x.blocked) < event.MaxOptions {
		x.blocked = append(x.blocked, "gateway "+g.ID+" cannot answer: "+up.NoPath)
	}
	for i := range up.Receptions {
		r := &up.Receptions[i]
		if r.NoDownlink {
			continue
		}
		if x.ways == nil {
			x.ways = x.one[:0]
		}
		x.ways = append(x.ways, way{
			gateway: g, antenna: r.Antenna, time: up.Time, ended: up.Ended, signal: r.Signal(), snr: snrOf(r),
		})
	}
	if x.over {
		return
	}
	slices.SortStableFunc(x.ways, func(a, b way) int { return cmp.Compare(b.signal, a.signal) })
}

// snrOf is the SNR that a margin may be promised by: without one there is none.
func snrOf(r *radio.Reception) radio.Decibel {
	const none = radio.Decibel(-1_000_00)
	if !r.Knows(radio.FieldSNR) {
		return none
	}
	return r.SNR
}

// forEver is later than any time.
const forEver = radio.ConcentratorTime(math.MaxInt64)

// void notes that a gateway's counter has begun anew with a time.
func (x *exchange) void(g *gateway.Gateway, since radio.ConcentratorTime) {
	for i := range x.ways {
		w := &x.ways[i]
		w.void = w.void || w.gateway == g && w.time < since
	}
	if x.slot != nil && x.slot.Gateway == g && x.slot.Start < since {
		x.slot = nil
	}
}

// each calls f for every window and way from window first on, best first, until
// it returns true.
func (x *exchange) each(now radio.HostTime, first int, f func(w, i int) bool) bool {
	for w := first; w < len(x.windows); w++ {
		for _, hurried := range [...]bool{false, true} {
			for i := range x.ways {
				if !x.windows[w].closed && !x.ways[i].void && x.hurried(now, w, i) == hurried && f(w, i) {
					return true
				}
			}
		}
	}
	return false
}

// hurried reports whether less than half of its lead is left to a gateway: that
// of a copy which has come late. Another one is surer, although its signal is
// weaker: it has heard the device too.
func (x *exchange) hurried(now radio.HostTime, w, i int) bool {
	way := &x.ways[i]
	return way.ended.Add(x.windows[w].delay).Sub(now) < way.gateway.Lead()/2
}

// emission is the transmission of size bytes in window w by way i.
func (x *exchange) emission(w, i, size int, p radio.Priority) schedule.Emission {
	win, way := &x.windows[w], &x.ways[i]
	airtime, err := radio.TimeOnAir(radio.Packet{DataRate: win.rate, Size: size, NoCRC: win.rate.Modulation == radio.LoRa})
	if err != nil {
		airtime = time.Minute // of a data rate that is in no table: nothing can take it
	}
	return schedule.Emission{
		Gateway: way.gateway, Start: way.time.Add(win.delay), HostStart: way.ended.Add(win.delay),
		Airtime: airtime, Frequency: win.frequency, Priority: p, Fallback: w > 0,
	}
}

// joinLead is how long before its window a join-accept is handed over: early
// enough for any network, and late enough that a storm of joins does not fill
// the queue of a gateway, which takes 32 (JIT_QUEUE_MAX of sx1302_hal 2.1.0).
const joinLead = 2 * time.Second

// arrange holds a place for what is owed or queued now, and arms the timer for
// the decision point. It is called again when that changes.
func (c *Core) arrange(x *exchange) {
	usable := func(w way) bool { return !w.void && (x.slot == nil || w.gateway == x.slot.Gateway) }
	c.schedule.Release(x.slot)
	x.slot = nil
	if x.over {
		return
	}
	if size, priority, ok := c.smallest(x); ok {
		c.reserve(x.device, x.session)
		x.slot = c.hold(x, size, priority)
	}
	at := x.heard.Add(x.windows[x.next].delay) // without a way back: to tell that nothing could be sent
	if i := slices.IndexFunc(x.ways, usable); i >= 0 {
		at = c.decisionPoint(x, &x.ways[i])
	}
	if at != x.decide {
		x.decide = at
		c.agenda.add(entry{at: at, duty: toDecide, exchange: x})
	}
}

// decisionPoint is when the window at hand must be decided on, if w is the way.
func (c *Core) decisionPoint(x *exchange, w *way) radio.HostTime {
	at := w.ended.Add(x.windows[x.next].delay - w.gateway.Lead())
	if x.join != nil && w.gateway.Answers {
		// Nothing can ride along, so it need not wait for the last moment.
		at = min(at, max(x.heard.Add(c.opts.Deduplication), w.ended.Add(x.windows[0].delay-joinLead)))
	}
	return at
}

// smallest returns the smallest frame that does the duty. ok is false while
// there is none.
func (c *Core) smallest(x *exchange) (size int, p radio.Priority, ok bool) {
	if x.join != nil {
		return len(x.join.accept), radio.PriorityHighest, true
	}
	d := mac.Downlink{Owed: x.owed}
	if x.owed.IsZero() {
		if d.Item = c.eligible(x.device); d.Item == nil {
			return 0, 0, false
		}
	}
	return d.Size(), d.Priority(), true
}

func (c *Core) hold(x *exchange, size int, p radio.Priority) *schedule.Slot {
	var slot *schedule.Slot
	x.each(c.now.Host, x.next, func(w, i int) bool {
		if x.fits(w, size) {
			slot, _ = c.schedule.Hold(c.now.Host, x.emission(w, i, size, p))
		}
		return slot != nil
	})
	return slot
}

// decideOn is the decision point of an exchange.
func (c *Core) decideOn(x *exchange) {
	if x.join != nil && !x.join.stored {
		x.join.due = true
		return
	}
	c.schedule.Release(x.slot)
	x.slot = nil
	contents := c.contents(x)
	if len(contents) == 0 {
		c.later(x)
		return
	}
	if x.record == nil {
		x.record = c.newDecision(x)
	}
	for i := range contents {
		if c.try(x, &contents[i], true) {
			return
		}
	}
	if x.next+1 < len(x.windows) && x.join == nil {
		c.later(x)
		return
	}
	c.unsent(x)
}

// later moves on to the next window, or gives up after the last.
func (c *Core) later(x *exchange) {
	if x.next++; x.next >= len(x.windows) {
		c.end(x)
		return
	}
	x.decide = 0
	c.arrange(x)
}

// content is something that an exchange could be answered with.
type content struct {
	down     mac.Downlink
	size     int // PHYPayload, bytes
	priority radio.Priority
}

// contents returns what the exchange could be answered with, best first: all
// that is owed and queued; else what is owed, alone. Items that no window of
// this uplink can carry fail.
func (c *Core) contents(x *exchange) (out []content) {
	if x.join != nil {
		return []content{{size: len(x.join.accept), priority: radio.PriorityHighest}}
	}
	q := &x.device.Queue
	most := max(x.windows[0].most, x.windows[1].most)
	for it := q.Head(); it != nil; it = q.Head() {
		alone := mac.Downlink{Item: it}
		if alone.MACPayloadSize() <= most {
			break
		}
		c.tooLong(x, q.Take(), most)
	}
	add := func(d mac.Downlink) { out = append(out, content{d, d.Size(), d.Priority()}) }
	if it := c.eligible(x.device); it != nil {
		add(mac.Downlink{Owed: x.owed, Item: it, Pending: q.Len() > 1})
	}
	if !x.owed.IsZero() {
		add(mac.Downlink{Owed: x.owed, Pending: q.Len() > 0})
	}
	return out
}

// eligible returns the item that is next, or nil. It has to wait until it is
// known what has become of the one before, and a confirmed one until that has
// its answer.
func (c *Core) eligible(d *session.Device) *session.Item {
	it := d.Queue.Head()
	if it == nil || it.Confirmed && d.Queue.Awaiting() != nil || slices.ContainsFunc(c.inFlight[d], (*transmission).hasItem) {
		return nil
	}
	return it
}

// try looks for the first window and the best way that can take a content, and
// sends it there unless it is only to be looked at. It reports whether it was
// sent.
func (c *Core) try(x *exchange, ct *content, send bool) bool {
	return x.each(c.now.Host, x.next, func(w, i int) bool {
		v := c.weigh(x, w, i, ct.size, ct.priority, ct.down.Item != nil)
		return v.OK() && send && c.send(x, ct, w, i)
	})
}

// weigh looks at one way to send, and records what it finds.
func (c *Core) weigh(x *exchange, w, i, size int, p radio.Priority, whole bool) schedule.Verdict {
	e := x.emission(w, i, size, p)
	v := c.schedule.Check(c.now.Host, e)
	if !x.fits(w, size) {
		v.Reason = schedule.Size
	}
	x.record.Consider(x.option(w, i, &e, v, whole))
	return v
}

// firstOpen is the first window that can be used.
func (x *exchange) firstOpen() int {
	if x.windows[0].closed {
		return 1
	}
	return 0
}

// fits reports whether window w can carry a PHYPayload of size bytes.
func (x *exchange) fits(w, size int) bool { return size-phyOverhead <= x.windows[w].most }

// phyOverhead is what a PHYPayload has beyond the MACPayload: MHDR and MIC.
const phyOverhead = 5

// unsent gives up: nothing could be sent in either window.
func (c *Core) unsent(x *exchange) {
	c.stats.Unsent++
	x.record.Blocked = x.blocked
	if x.join != nil {
		c.joinUnsent(x)
	} else {
		c.reportDecision(event.DownlinkUnsent, x.record, x.allIDs(x.device.Queue.Head()))
	}
	c.end(x)
}

// circumstances are what answers to MAC commands tell.
func (x *exchange) circumstances() mac.Circumstances {
	best := x.ways[0].snr
	var gateways []*gateway.Gateway
	for i := range x.ways {
		best = max(best, x.ways[i].snr)
		if !slices.Contains(gateways, x.ways[i].gateway) {
			gateways = append(gateways, x.ways[i].gateway)
		}
	}
	return mac.Circumstances{Margin: mac.Margin(x.rate, best), Gateways: uint8(min(len(gateways), 255)), Time: x.time}
}

// reserve sees to it that frame counters are reserved in the store before they
// run out.
func (c *Core) reserve(d *session.Device, s *session.Session) {
	if s == nil || c.holds(d) != nil {
		return
	}
	if m, due := s.Reserve(d.Version); due {
		c.outdate(d)
		c.keep(func(err error) { s.Reserved(m, err == nil) }, state.CountersRecord(d, s.Marks()))
	}
}

// frameOf builds a data frame with the next frame counter of its session. ok is
// false while no counter is reserved.
func (c *Core) frameOf(x *exchange, d *mac.Downlink) (phy []byte, fCnt uint32, ok bool) {
	fCnt, ok = x.session.NextFCntDown(x.device.Version, d.Item != nil)
	if !ok {
		return nil, 0, false
	}
	f := d.Frame(x.circumstances())
	f.DevAddr = x.session.DevAddr
	phy, err := x.session.Cipher(x.device.Version).BuildDownlink(f, fCnt, frame.Context{ConfFCnt: uint16(x.fCnt)})
	if err != nil {
		return nil, 0, false
	}
	if f.MType == frame.ConfirmedDown {
		x.session.Confirmed(x.device.Version, fCnt)
	}
	x.session.UseFCntDown(x.device.Version, d.Item != nil)
	return phy, fCnt, true
}
