package core

import (
	"errors"
	"fmt"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// pushed takes what an application wants to send. Nothing is told before it is
// stored: then the queue changes, the application hears down/queued, and its
// client gets the PUBACK.
func (c *Core) pushed(p Pushed) {
	d := c.opts.Devices.Device(p.Device)
	items := make([]*session.Item, len(p.Items))
	for i := range p.Items {
		it := p.Items[i]
		it.PushedAt = c.now.at(c.now.Host)
		if len(it.FRMPayload) > 0 {
			it.Decoded = nil // FRMPayload wins, and the other could be long
		}
		it.CorrelationIDs = v3.JoinIDs(it.CorrelationIDs, c.correlationID(v3.ApplicationDownlink))
		items[i] = &it
	}
	refusal := p.Err
	if refusal == nil {
		refusal = c.refusal(d, p, items)
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
	if len(c.kept) >= maxUnstored {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", p.Device, errUnstored)})
		return
	}
	c.coming[d] = c.coming[d].plus(load(items))
	c.keep(func(err error) { c.queued(p, d, items, err) }, records...)
}

var (
	errClassBC = errors.New("class_b_c is of Class B and C, which are not served by this version")
	errDecoded = errors.New("payload formatters, which decoded_payload needs, are not served by this version")
)

// refusal says why a push cannot be taken, or returns nil. One bad item fails
// the whole push.
func (c *Core) refusal(d *session.Device, p Pushed, items []*session.Item) *v3.Error {
	switch {
	case d == nil:
		return v3.DeviceNotFound(p.Device)
	case len(items) == 0:
		return nil
	case d.Unserved() != nil:
		return v3.NotServed(d.Unserved())
	case d.Session == nil && d.Pending == nil:
		return v3.NoDeviceSession()
	}
	plan, err := d.FrequencyPlan()
	if err != nil {
		return v3.NotServed(err)
	}
	for _, it := range items {
		switch maxFRMPayload := plan.MaxDownlinkPayload(); {
		case it.ClassBC != nil && !it.ClassBC.AbsoluteTime.IsZero() && c.now.Wall.Known() && it.ClassBC.AbsoluteTime.Before(c.now.Wall.Time):
			return v3.DownlinkExpired()
		case it.ClassBC != nil:
			return v3.NotServed(errClassBC)
		case len(it.FRMPayload) == 0:
			return v3.NotServed(errDecoded)
		case len(it.FRMPayload) > maxFRMPayload:
			return v3.ApplicationDownlinkTooLong(len(it.FRMPayload), maxFRMPayload)
		}
	}
	return c.fullQueue(d, p.Replace, items)
}

// burden is how many items there are, and Item.Size of all of them.
type burden struct{ items, bytes int }

func load(items []*session.Item) burden {
	b := burden{items: len(items)}
	for _, it := range items {
		b.bytes += it.Size()
	}
	return b
}

func (b burden) plus(o burden) burden  { return burden{b.items + o.items, b.bytes + o.bytes} }
func (b burden) minus(o burden) burden { return burden{b.items - o.items, b.bytes - o.bytes} }

// fullQueue refuses items that the queue of the device, or all queues together,
// have no room for. What is on its way to the store counts.
func (c *Core) fullQueue(d *session.Device, replace bool, items []*session.Item) *v3.Error {
	device := load(items).plus(c.coming[d])
	all := device.bytes + c.opts.Devices.QueueBytes()
	for other, coming := range c.coming {
		if other != d {
			all += coming.bytes
		}
	}
	queue := burden{d.Queue.Len(), d.Queue.Bytes()}
	if replace {
		all -= queue.bytes
	} else {
		device = device.plus(queue)
	}
	switch {
	case device.items > session.MaxQueue:
		return v3.QueueFull()
	case device.bytes > session.MaxQueueBytes:
		return v3.QueueTooLong(session.MaxQueueBytes)
	case all > session.MaxQueuesBytes:
		return v3.QueuesTooLong(session.MaxQueuesBytes)
	}
	return nil
}

// refusePush publishes a down/failed for each item of a push, or one for a push
// of which nothing could be read, where the topic names a device that can be.
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
		m := v3.Downlink{DeviceIDs: ids, CorrelationIDs: it.CorrelationIDs, ItemCorrelationIDs: it.CorrelationIDs, Item: it, Err: why}
		c.publishDownlink(v3.DownFailed, &m)
		c.report(event.Event{Kind: event.DownlinkFailed, Device: id, CorrelationIDs: it.CorrelationIDs, Err: why})
	}
}

// queued carries out a push that is stored.
func (c *Core) queued(p Pushed, d *session.Device, items []*session.Item, err error) {
	if c.coming[d] = c.coming[d].minus(load(items)); c.coming[d].items == 0 {
		delete(c.coming, d)
	}
	if err == nil && c.opts.Devices.Device(p.Device) != d {
		err = errors.New("the device was removed meanwhile")
		var undo []state.Record
		for _, it := range items {
			undo = append(undo, state.NoItemRecord(d, it.Seq))
		}
		c.do(Keep{Records: undo})
	}
	if err != nil {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: push for %v: %w", p.Device, err)})
		return
	}
	if p.Replace {
		c.replace(d)
	}
	var told [][]string
	for _, it := range items {
		told = append(told, it.CorrelationIDs)
		d.Queue.Add(it)
		ids := v3.IDs(d)
		ids.HasDevAddr = false
		c.publishDownlink(v3.DownQueued, &v3.Downlink{DeviceIDs: ids, CorrelationIDs: it.CorrelationIDs, ItemCorrelationIDs: it.CorrelationIDs, Item: it})
		c.report(event.Event{Kind: event.DownlinkQueued, Device: d.ID, CorrelationIDs: it.CorrelationIDs})
	}
	c.do(Answer{Ticket: p.Ticket, CorrelationIDs: told})
	if x := c.opportunities[d]; x != nil {
		c.hold(x)
	}
}

// replace empties the queue. An item that is on its way out is sent all the
// same, but nothing of it is waited for or kept.
func (c *Core) replace(d *session.Device) {
	var records []state.Record
	for _, it := range d.Queue.Clear() {
		records = append(records, state.NoItemRecord(d, it.Seq))
	}
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			records = append(records, state.NoItemRecord(d, t.item.Seq))
			t.item = nil
		}
	}
	if len(records) > 0 {
		c.do(Keep{Records: records})
	}
}
