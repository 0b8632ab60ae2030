package core

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// transmission is a frame on its way out: planned, handed to a gateway, and
// perhaps refused and tried again by another way. Its bytes never change.
type transmission struct {
	x    *exchange
	phy  []byte
	down mac.Downlink
	fCnt uint32

	id       uint64 // of the Downlink at hand; a new one with each try
	window   int
	way      int
	tried    []attempt
	slot     *schedule.Slot
	refusal  radio.TxResult // the last one
	fault    string         // with TxNoPath: why
	power    radio.Decibel  // that the gateway was asked to send with
	lowered  int            // times that a lower one was asked for
	priority radio.Priority
	handed   bool
	replaced bool     // its item was replaced meanwhile
	name     string   // "ns:transmission:…"
	ids      []string // correlation ids of all that has led to it, sorted
}

type attempt struct{ window, way int }

// hasItem reports whether the frame carries an item that is still wanted.
func (t *transmission) hasItem() bool { return t.down.Item != nil && !t.replaced }

// powerReference is the gain of a half-wave dipole in hundredths of a dBi.
// Limits are EIRP, and what gateways are told is ERP less the antenna's gain:
// as The Things Stack has it, and a gain of 0 means.
const powerReference = 215

// send plans a content for good. It reports false where no frame can be made.
func (c *Core) send(x *exchange, ct *content, w, i int) bool {
	t := &transmission{x: x, down: ct.down, window: w, way: i, priority: ct.priority, name: c.correlationID(v3.Transmission)}
	if x.join != nil {
		t.phy = x.join.accept
	} else {
		var ok bool
		if t.phy, t.fCnt, ok = c.frameOf(x, &ct.down); !ok {
			x.record.Last().Verdict.Reason = schedule.NoCounter
			return false
		}
		c.reserve(x.device, x.session)
	}
	if ct.down.Item != nil {
		x.device.Queue.Take()
	}
	t.ids = x.allIDs(t.down.Item, t.name)
	x.record.Choose(event.Content(&ct.down, x.join != nil), len(t.phy), t.fCnt)
	x.over = true
	if c.exchanges[x.device] == x {
		delete(c.exchanges, x.device)
	}
	c.inFlight[x.device] = append(c.inFlight[x.device], t)
	c.plan(t)
	return true
}

// plan takes the way that t names, which was checked, and hands the frame over
// when its time has come: at once, but to a gateway that may have no queue of
// its own.
func (c *Core) plan(t *transmission) {
	x := t.x
	e := x.emission(t.window, t.way, len(t.phy), t.priority)
	t.slot, _ = c.schedule.Commit(c.now.Host, e)
	c.keepLedger(e.Gateway)
	t.tried = append(t.tried, attempt{t.window, t.way})
	t.handed = false
	c.lastID++
	t.id = c.lastID
	c.transmissions[t.id] = t
	at := e.HostStart.Add(-e.Gateway.Lead())
	if e.Gateway.Answers || at <= c.now.Host {
		c.handOver(t)
		return
	}
	c.agenda.add(entry{at: at, duty: toHandOver, id: t.id})
}

// handOver gives the frame to the gateway's driver.
func (c *Core) handOver(t *transmission) {
	x, way, win := t.x, &t.x.ways[t.way], &t.x.windows[t.window]
	e := x.emission(t.window, t.way, len(t.phy), t.priority)
	t.handed, t.power = true, c.power(way.gateway, win.frequency)
	x.record.HandOver(e.HostStart.Sub(c.now.Host))
	c.do(Transmit{radio.Downlink{
		ID: t.id, Gateway: way.gateway.EUI, Antenna: way.antenna, PHYPayload: t.phy, Frequency: win.frequency, DataRate: win.rate,
		Power: t.power, Time: e.Start,
	}})
	c.reportDecision(event.DownlinkScheduled, x.record, t.ids)
	c.agenda.add(entry{at: e.HostStart.Add(e.Airtime + answerGrace + way.gateway.RoundTrip()), duty: toConfirm, id: t.id})
}

// answerGrace is how long after its end a transmission may still be refused.
// One that was not is taken for sent: a missing answer is not a refusal.
const answerGrace = 200 * time.Millisecond

// power is what a gateway is told to send with on a frequency.
func (c *Core) power(g *gateway.Gateway, f radio.Frequency) radio.Decibel {
	sub, err := g.Plan.SubBand(f)
	if err != nil {
		return 0 // not reached: the scheduler refuses such a frequency
	}
	return g.Power(sub.MaxEIRP - powerReference - g.AntennaGain)
}

// acked takes a gateway's answer.
func (c *Core) acked(a radio.TxAck) {
	if g := c.opts.Gateways.Gateway(a.Gateway); g != nil && a.Result != radio.TxNoAck && a.Result != radio.TxNoPath {
		g.Answered(a.RoundTrip)
		g.LastAck = a.At
	}
	t := c.transmissions[a.ID]
	switch {
	case t == nil: // over long ago
	case a.Result == radio.TxOK:
		c.sent(t)
	case a.Result != radio.TxNoAck:
		t.fault = a.Fault
		c.refused(t, a.Result)
	}
}

// sent ends a transmission well.
func (c *Core) sent(t *transmission) {
	c.forget(t)
	c.noteSent(t)
	c.stats.Sent[t.window]++
	it := t.down.Item
	c.report(event.Event{Kind: event.DownlinkSent, Gateway: t.slot.Gateway.ID, Device: t.x.device.ID, FCnt: t.fCnt, CorrelationIDs: t.ids})
	if t.x.join != nil {
		c.joined(t)
	}
	if it == nil {
		return
	}
	ids := appendSorted(t.ids, c.correlationID(v3.GatewayTxAck))
	c.publishDownlink(v3.DownSent, &v3.Downlink{
		DeviceIDs: v3.IDs(t.x.device), CorrelationIDs: ids, ItemCorrelationIDs: ids, Item: it, FCnt: t.fCnt,
		SessionKeyID: t.x.session.KeyID, Priority: t.priority,
	})
	switch {
	case t.replaced: // its record is gone
	case it.Confirmed:
		t.x.device.Queue.Await(it, t.fCnt)
		// Without a record the store has the item as one to be sent.
		if records, err := state.ItemRecords(t.x.device, it); err == nil {
			c.do(Keep{Records: records})
		}
	default:
		c.do(Keep{Records: []state.Record{state.NoItemRecord(t.x.device, it.Seq)}})
	}
}

// refused tries the next way: the same bytes in the same window by another
// gateway, or in RX2 while that is ahead.
func (c *Core) refused(t *transmission, why radio.TxResult) {
	x := t.x
	c.stats.Refused[t.window][min(why, radio.TxNoPath)]++
	c.schedule.Release(t.slot)
	delete(c.transmissions, t.id)
	t.refusal = why
	reason := schedule.Refused
	if why == radio.TxNoPath {
		reason = schedule.NoPath
	}
	x.record.Refuse(reason, why, t.fault)
	if why == radio.TxPower && c.lower(t) {
		return
	}
	again := x.each(c.now.Host, t.window, func(w, i int) bool {
		if slices.Contains(t.tried, attempt{w, i}) {
			return false
		}
		v := c.weigh(x, w, i, len(t.phy), t.priority, t.down.Item != nil)
		t.window, t.way = w, i
		return v.OK()
	})
	if again {
		c.plan(t)
	} else {
		c.failed(t)
	}
}

// maxLowered is how often one transmission asks for a lower power: what is
// remembered of the gateway leads the next one on.
const maxLowered = 4

// lower asks for the next lower power in the same window, where one that the
// gateway refuses was not known to be so. It reports whether there is still time.
func (c *Core) lower(t *transmission) bool {
	x, g := t.x, t.x.ways[t.way].gateway
	if !g.RefusesPower(t.power) {
		return false
	}
	next := g.Power(t.power)
	hint := event.HintLowerPower
	if next == t.power {
		hint = event.HintNoLowerPower
	}
	err := fmt.Errorf("TX_POWER at %v dBm", t.power)
	c.report(event.Event{Kind: event.GatewayPower, Gateway: g.ID, CorrelationIDs: t.ids, Err: err, Hint: hint})
	if next == t.power || t.lowered >= maxLowered || x.ways[t.way].void {
		return false
	}
	if v := c.weigh(x, t.window, t.way, len(t.phy), t.priority, t.down.Item != nil); !v.OK() {
		return false
	}
	t.lowered++
	c.plan(t)
	return true
}

// failed ends a transmission that every way was refused to. What a gateway has
// refused is not tried again; what never left this host goes back to the head
// of the queue.
func (c *Core) failed(t *transmission) {
	x, it := t.x, t.down.Item
	c.forget(t)
	c.stats.Unsent++
	if x.join != nil {
		c.joinUnsent(x)
	} else {
		c.reportDecision(event.DownlinkUnsent, x.record, t.ids)
	}
	if !t.hasItem() {
		return
	}
	if t.refusal == radio.TxNoPath {
		x.device.Queue.PutBack(it)
		return
	}
	ids := appendSorted(t.ids, c.correlationID(v3.GatewayTxAck))
	c.publishDownlink(v3.DownFailed, &v3.Downlink{
		DeviceIDs: v3.IDs(x.device), CorrelationIDs: ids, ItemCorrelationIDs: ids, Item: it, FCnt: t.fCnt,
		SessionKeyID: x.session.KeyID, Transmission: true, Priority: t.priority, Err: c.failure(v3.TransmissionFailed(t.refusal)),
	})
	c.do(Keep{Records: []state.Record{state.NoItemRecord(x.device, it.Seq)}})
}

func (c *Core) forget(t *transmission) {
	delete(c.transmissions, t.id)
	c.landed(t)
}

// landed takes a transmission out of what is on its way to its device.
func (c *Core) landed(t *transmission) {
	d := t.x.device
	t.x.leave()
	c.inFlight[d] = slices.DeleteFunc(c.inFlight[d], func(o *transmission) bool { return o == t })
	if len(c.inFlight[d]) == 0 {
		delete(c.inFlight, d)
	}
}

// overtaken ends what is not over when an uplink comes: the device listens
// after its last one only.
func (c *Core) overtaken(d *session.Device) {
	if x := c.exchanges[d]; x != nil {
		c.end(x)
	}
	for _, t := range slices.Clone(c.inFlight[d]) {
		switch {
		case !t.handed: // it waits for its time, and the device has moved on
			c.schedule.Release(t.slot)
			c.forget(t)
			if t.hasItem() {
				d.Queue.PutBack(t.down.Item)
			}
		case t.slot.HostStart <= c.now.Host:
			c.sent(t)
		default: // the gateway has it; if that refuses it, no other way will do
			t.x.windows[0].closed, t.x.windows[1].closed = true, true
		}
	}
}

// tooLong fails an item that no window of this uplink can carry.
func (c *Core) tooLong(x *exchange, it *session.Item, most int) {
	ids := x.allIDs(it)
	fCnt, _ := x.session.NextFCntDown(x.device.Version, true) // which it would have had
	c.publishDownlink(v3.DownFailed, &v3.Downlink{
		DeviceIDs: v3.IDs(x.device), CorrelationIDs: ids, ItemCorrelationIDs: it.CorrelationIDs, Item: it, FCnt: fCnt,
		SessionKeyID: x.session.KeyID, Err: c.failure(v3.ApplicationDownlinkTooLong(len(it.FRMPayload), most-emptyMACPayload)),
	})
	c.do(Keep{Records: []state.Record{state.NoItemRecord(x.device, it.Seq)}})
	c.report(event.Event{Kind: event.DownlinkFailed, Device: x.device.ID, CorrelationIDs: ids, Err: errTooLong})
}

// emptyMACPayload is FHDR without FOpts, and FPort.
const emptyMACPayload = 8

var errTooLong = errors.New("longer than the data rates of both windows allow")

// failure gives an error its correlation id, by which it is found in the log.
func (c *Core) failure(e *v3.Error) *v3.Error {
	var b [16]byte
	_, _ = io.ReadFull(c.opts.Entropy, b[:])
	e.CorrelationID = v3.ErrorCorrelationID(b)
	return e
}

// decided takes an uplink's word on the confirmed item that was sent before it.
func (c *Core) decided(d *session.Device, s *session.Session, ack bool, uplinkIDs []string) {
	it := d.Queue.Decided()
	if it == nil {
		return
	}
	fCnt, kind := it.SentFCnt, v3.DownAck
	ids := appendSorted(uplinkIDs, it.CorrelationIDs...)
	m := v3.Downlink{DeviceIDs: v3.IDs(d), CorrelationIDs: ids, ItemCorrelationIDs: it.CorrelationIDs, Item: it, FCnt: fCnt, SessionKeyID: s.KeyID}
	records := []state.Record{state.NoItemRecord(d, it.Seq)}
	if !ack {
		kind = v3.DownNack
		if it.Nacked() {
			it.Seq = d.Queue.NextSeq()
			d.Queue.Add(it)
			if again, err := state.ItemRecords(d, it); err == nil {
				records = append(records, again...)
			} else {
				records = nil // the store has the item under its old number
			}
		} else {
			failed := m
			failed.DeviceIDs.HasDevAddr = false
			failed.Err = c.failure(v3.MaxRetriesReached(it.Attempt - 1))
			c.publishDownlink(v3.DownFailed, &failed)
		}
	}
	c.publishDownlink(kind, &m)
	if len(records) > 0 {
		c.do(Keep{Records: records})
	}
	events := map[string]event.Kind{v3.DownAck: event.DownlinkAcked, v3.DownNack: event.DownlinkNacked}
	c.report(event.Event{Kind: events[kind], Device: d.ID, FCnt: fCnt, CorrelationIDs: ids})
}

// publishDownlink publishes a message about a downlink.
func (c *Core) publishDownlink(kind string, m *v3.Downlink) {
	m.ReceivedAt = c.now.at(c.now.Host)
	payload := c.opts.Encoder.AppendDownlink(make([]byte, 0, 768), kind, m)
	c.do(Publish{v3.Message{Application: m.DeviceIDs.ID.Application, Device: m.DeviceIDs.ID.Device, Suffix: kind, Payload: payload}})
}
