package core

import (
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/classb"
	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/radio"
)

// attempt is one try of a transmission on one gateway in one window.
//
//	planned --(lead before the window)--> handed --(TxAck, or no answer)--> accepted
//	   | |                                  |
//	   | |                                  +--(the gateway refuses it)---> refused
//	   | +--(the gateway's counter begins anew, or it is taken out)-------> refused
//	   +--(its transmission is cancelled)---------------------------------> released
//
// After a refusal its transmission gets another attempt, if there is another path
// or window.
type attempt struct {
	state  attemptState
	id     uint64 // of its Downlink
	window int
	path   int
	slot   *schedule.Slot
	power  radio.Decibel  // that the gateway was asked to send with
	result radio.TxResult // with refused
}

type attemptState uint8

const (
	planned attemptState = iota
	handed               // to the gateway's driver
	accepted
	refused
	released
)

// plan makes an attempt in window w by path i, which was checked, and hands it over
// when its time has come: at once, but to a gateway that may have no queue of its
// own.
func (c *Core) plan(t *transmission, w, i int) {
	x := t.opportunity
	e := x.emission(w, i, len(t.phy), t.priority)
	e.Why = schedule.For(x.device.Key(), x.Windows[w].Name, x.join != nil, t.down.Item != nil)
	slot, _ := c.schedule.Commit(c.now.Host, e)
	c.airtimePlanned(e.Gateway, e.HostStart.Add(e.Airtime))
	if d := x.device; isQuiet(d) {
		c.listener(d).Sent(e.HostStart.Add(e.Airtime), t.down.Item != nil && t.down.Item.Confirmed)
	}
	c.lastID++
	t.attempts = append(t.attempts, attempt{id: c.lastID, window: w, path: i, slot: slot})
	c.attempts[c.lastID] = t
	at := e.HostStart.Add(-e.Gateway.Lead())
	if e.Gateway.Answers && !c.opts.Leases || at <= c.now.Host {
		c.handOver(t)
		return
	}
	c.agenda.Add(at, duty{kind: toHandOver, attempt: c.lastID})
}

// handOver gives the frame to the gateway's driver.
func (c *Core) handOver(t *transmission) {
	x, a := t.opportunity, t.last()
	path, win := &x.Paths[a.path], &x.Windows[a.window]
	e := x.emission(a.window, a.path, len(t.phy), t.priority)
	a.state, a.power = handed, path.Gateway.MaxPower(win.Frequency)
	x.record.HandOver(e.HostStart.Sub(c.now.Host))
	c.do(Transmit{radio.Downlink{
		ID: a.id, Gateway: path.Gateway.EUI, Antenna: path.Antenna, PHYPayload: t.phy,
		Frequency: win.Frequency, DataRate: win.DataRate, Power: a.power, Time: e.Start, GPS: x.gps,
	}, e.HostStart.Add(e.Airtime)})
	c.report(x.record.Event(event.DownlinkScheduled, t.ids))
	answered := e.HostStart.Add(e.Airtime + answerGrace + path.Gateway.RoundTrip())
	c.agenda.Add(answered, duty{kind: toConfirm, attempt: a.id})
}

// answerGrace is how long after its end an attempt may still be refused. One that
// was not is taken for sent: a missing answer is not a refusal.
const answerGrace = 200 * time.Millisecond

// acked takes a gateway's answer.
func (c *Core) acked(a radio.TxAck) {
	why := c.beacons.Acked(c.schedule, a)
	if g := c.opts.Gateways.Gateway(a.Gateway); g != nil {
		if a.Result != radio.TxNoAck && a.Result != radio.TxNoPath {
			g.Answered(a.RoundTrip)
			g.LastAck = a.At
		}
		c.beaconRefused(g, why)
	}
	if r, ok := c.foreign.Acked(c.schedule, a); ok {
		c.do(Replied(r))
	}
	t := c.attempts[a.ID]
	switch {
	case t == nil: // over long ago
	case a.Result == radio.TxOK:
		c.sent(t)
	case a.Result != radio.TxNoAck:
		c.refused(t, a.Result, a.Fault)
	}
}

// refused ends the attempt at hand and makes the next one: the same bytes in the
// same window by another gateway, or in RX2 while that is ahead. fault says why
// there was no path; "" where that is not known.
func (c *Core) refused(t *transmission, why radio.TxResult, fault string) {
	x, a := t.opportunity, t.last()
	c.stats.Refused[event.WindowOf(x.Windows[a.window].Name)][min(why, radio.TxNoPath)]++
	if why != radio.TxNoAck { // else it may have been sent
		c.schedule.Release(a.slot)
	}
	delete(c.attempts, a.id)
	a.state, a.result = refused, why
	reason := schedule.Refused
	if why == radio.TxNoPath || why == radio.TxNoAck {
		reason = schedule.NoPath
	}
	x.record.Refuse(reason, why, fault)
	if t.unleased = fault == schedule.FaultLease; t.unleased && x.always {
		c.listener(x.device).Rests(c.now.Host)
		t.until = c.deadline(x, t.item)
	}
	superseded := t.superseded()
	if !superseded && why == radio.TxPower && c.lowerPower(t) {
		return
	}
	if x.always {
		if superseded || !classb.ListensIn(x.device, x.session) {
			c.cancelTransmission(t) // the item goes out with another counter, or waits
			return
		}
		if c.opportunities[x.device] != nil && x.at == 0 && t.hasItem() && t.state == underWay && c.repeatLater(t) {
			return // the windows after an uplink go first
		}
		c.aimPaths(t.opportunity, len(t.phy), t.priority)
	}
	again := !superseded && x.Each(c.now.Host, a.window, func(w, i int) bool {
		if slices.ContainsFunc(t.attempts, func(a attempt) bool { return a.window == w && a.path == i }) {
			return false
		}
		v := c.weigh(x, w, i, len(t.phy), t.priority, t.down.Item != nil)
		if v.OK() {
			c.plan(t, w, i)
		}
		return v.OK()
	})
	if !again {
		c.failed(t)
	}
}

// maxLowered is how often one transmission asks for a lower power: the gateway
// remembers what it refuses, and the next transmission begins there.
const maxLowered = 4

// lowerPower tries the next lower power in the same window, if it is new that the
// gateway refuses this one. It reports whether there is still time.
func (c *Core) lowerPower(t *transmission) bool {
	x, a := t.opportunity, t.last()
	path := &x.Paths[a.path]
	g := path.Gateway
	if !g.RefusesPower(a.power) {
		return false
	}
	next := g.Power(a.power)
	hint := event.HintLowerPower
	if next == a.power {
		hint = event.HintNoLowerPower
	}
	err := fmt.Errorf("TX_POWER at %v dBm", a.power)
	c.report(event.Event{Kind: event.GatewayPower, Gateway: g.ID, CorrelationIDs: t.ids, Err: err, Hint: hint})
	if next == a.power || t.lowered >= maxLowered || path.Lost {
		return false
	}
	if v := c.weigh(x, a.window, a.path, len(t.phy), t.priority, t.down.Item != nil); !v.OK() {
		return false
	}
	t.lowered++
	c.plan(t, a.window, a.path)
	return true
}

// losePaths has everything that is under way do without a gateway: what is known of
// its counter before a time does not hold any more. gone says which attempts come to
// nothing with it.
func (c *Core) losePaths(g *gateway.Gateway, before radio.ConcentratorTime, gone func(*attempt) bool) {
	for _, d := range c.busy() {
		for x := c.opportunities[d]; x != nil; x = x.beside {
			if x.slot != nil && x.slot.Gateway == g {
				c.schedule.Release(x.slot)
			}
			x.losePaths(g, before)
			c.hold(x)
		}
		for _, t := range slices.Clone(c.inFlight[d]) {
			t.opportunity.losePaths(g, before)
			if a := t.last(); a.state != refused && a.slot.Gateway == g && gone(a) {
				c.refused(t, radio.TxNoPath, "")
			}
		}
	}
}
