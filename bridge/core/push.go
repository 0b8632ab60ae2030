package core

import (
	"errors"
	"fmt"

	"lorawand/bridge/event"
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
		records = c.queueRecords(d)
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
	if len(c.onStored) >= maxUnstored {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", p.Device, errUnstored)})
		return
	}
	c.pendingPushes.Add(d, items)
	c.commit(func(err error) { c.pushStored(p, d, items, err) }, records...)
}

// refusePush publishes a down/failed for each item of a push. If no item could be read,
// it publishes one. It publishes nothing if no device can have the id.
func (c *Core) refusePush(id session.ID, d *session.Device, items []*session.Item, why *v3.Error) {
	if session.CheckID(id.Device) != nil {
		c.report(event.Event{Kind: event.DownlinkFailed, Device: id, Err: why})
		return
	}
	ids := v3.DeviceIDs{ID: id}
	if d != nil {
		ids = v3.IDs(d)
		ids.HasDevAddr = false
	}
	if len(items) == 0 {
		items = []*session.Item{{CorrelationIDs: []string{c.correlationID(v3.ApplicationDownlink)}}}
	}
	for _, it := range items {
		c.publishDownlink(v3.DownFailed, &v3.Downlink{
			DeviceIDs: ids, CorrelationIDs: it.CorrelationIDs, ItemCorrelationIDs: it.CorrelationIDs, Item: it, Err: why,
		})
		c.report(event.Event{Kind: event.DownlinkFailed, Device: id, CorrelationIDs: it.CorrelationIDs, Err: why})
	}
}

// pushStored carries out a push that is stored.
func (c *Core) pushStored(p Pushed, d *session.Device, items []*session.Item, err error) {
	c.pendingPushes.Done(d, items)
	if err == nil && c.opts.Devices.Device(p.Device) != d {
		err = errors.New("the device was removed meanwhile")
		c.do(Commit{Records: state.DeleteItems(d, items...)})
	}
	if err != nil {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", p.Device, err)})
		return
	}
	if p.Replace {
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
	c.do(Answer{Ticket: p.Ticket, CorrelationIDs: ids})
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
