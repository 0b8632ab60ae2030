package core

import (
	"errors"
	"fmt"

	"lorawand/bridge/event"
	"lorawand/bridge/pushes"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// pushed takes what an application wants to send. Nobody is told before it is stored.
// Then the queue changes, down/queued is published, and the client gets the PUBACK.
func (c *Core) pushed(p Pushed) {
	d := c.opts.Devices.Device(p.Device)
	items := make([]*session.Item, len(p.Items))
	for i := range p.Items {
		it := p.Items[i]
		it.PushedAt, it.Arrived = c.now.at(c.now.Host), c.now.Host
		it.CorrelationIDs = v3.JoinIDs(it.CorrelationIDs, c.correlationID(v3.ApplicationDownlink))
		items[i] = &it
	}
	refusal := p.Err
	if refusal == nil {
		refusal = c.pendingPushes.Refusal(c.opts.Devices, p.Device, items, p.Replace, c.now.at(c.now.Host))
	}
	if refusal != nil {
		c.refusePush(p.Device, d, items, c.names.Error(refusal))
		c.do(Answer{Ticket: p.Ticket, Err: refusal})
		return
	}
	var records []state.Record
	if p.Replace {
		records = state.DeleteItems(d, c.queuedItems(d)...)
		c.do(Commit{Due: true}) // else what was sent just before would come back after a crash
	}
	for _, it := range items {
		it.Seq = d.Queue.NextSeq()
	}
	added, err := state.ItemRecords(d, items...)
	if err != nil {
		c.do(Answer{Ticket: p.Ticket, Err: err})
		return
	}
	if records = append(records, added...); len(records) == 0 {
		c.do(Answer{Ticket: p.Ticket})
		return
	}
	if err := c.full(); err != nil {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", p.Device, err)})
		return
	}
	w := &pushes.Push{Ticket: p.Ticket, Device: d, Replace: p.Replace, Items: items}
	c.pendingPushes.Add(w)
	c.commit(func(err error) { c.pushStored(w, err) }, records...)
}

var errWithdrawn = errors.New("it was not stored in time")

// withdraw gives up a push that waits for the store: what its client is told to have failed
// must not be queued, since the client repeats it.
func (c *Core) withdraw(ticket uint64) {
	if w := c.pendingPushes.Withdraw(ticket); w != nil {
		c.do(Answer{Ticket: ticket, Err: fmt.Errorf("bridge: push for %v: %w", w.Device.ID, errWithdrawn)})
	}
}

// undoPush takes a push that is stored, but not wanted any more, out of the store.
func (c *Core) undoPush(w *pushes.Push) {
	var queued []*session.Item
	if c.opts.Devices.Device(w.Device.ID) == w.Device {
		queued = c.queuedItems(w.Device)
	}
	if records := w.Undo(queued); len(records) > 0 {
		c.do(Commit{Records: records})
	}
}

// refusePush publishes a down/failed for each item of a push, or one. It publishes nothing if no device
// can have the id.
func (c *Core) refusePush(id session.ID, d *session.Device, items []*session.Item, why *v3.Error) {
	if session.CheckID(id.Device) != nil {
		c.report(event.Event{Kind: event.DownlinkFailed, Device: id, Err: why})
		return
	}
	for _, m := range pushes.Refused(id, d, items, why, &c.names, c.now.Wall.Time) {
		c.publishDownlink(v3.DownFailed, &m)
		c.report(event.Event{Kind: event.DownlinkFailed, Device: id, CorrelationIDs: m.CorrelationIDs, Err: why})
	}
}

// pushStored carries out a push that is stored.
func (c *Core) pushStored(w *pushes.Push, err error) {
	d, items := w.Device, w.Items
	c.pendingPushes.Done(w)
	if err == nil && (w.Withdrawn || c.opts.Devices.Device(d.ID) != d) {
		c.undoPush(w)
		err = errors.New("the device was removed meanwhile")
	}
	if w.Withdrawn {
		return // its client has its answer
	}
	if err != nil {
		c.do(Answer{Ticket: w.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", d.ID, err)})
		return
	}
	if w.Replace {
		c.replace(d)
	}
	var ids [][]string
	for _, it := range items {
		ids = append(ids, it.CorrelationIDs)
		deviceIDs := v3.IDs(d)
		deviceIDs.HasDevAddr = false
		c.publishDownlink(v3.DownQueued, &v3.Downlink{
			DeviceIDs: deviceIDs, CorrelationIDs: it.CorrelationIDs, ItemCorrelationIDs: it.CorrelationIDs, Item: it,
		})
		c.report(event.Event{Kind: event.DownlinkQueued, Device: d.ID, CorrelationIDs: it.CorrelationIDs})
		it.Decoded, it.DecodedWarnings = nil, nil // they could be long
		d.Queue.Add(it)
	}
	c.do(Answer{Ticket: w.Ticket, CorrelationIDs: ids})
	if x := c.opportunities[d]; x != nil {
		c.hold(x)
	}
	c.wake(d)
}

// replace empties the queue. An item that is under way is sent all the same, but it is
// not in the store any more, and its acknowledgement is not waited for.
func (c *Core) replace(d *session.Device) {
	items := d.Queue.Clear()
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			items = append(items, t.item)
			t.item = nil
		}
	}
	if len(items) > 0 {
		c.do(Commit{Records: state.DeleteItems(d, items...)})
	}
}
