// Package pushes says whether there is room for what an application pushes, with what is on
// its way to the store, and what has become of an item that was to be acknowledged.
package pushes

import (
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Pending are the pushes that wait for the store.
type Pending map[*session.Device]session.Load

// Add notes that a push waits.
func (p Pending) Add(d *session.Device, items []*session.Item) {
	p[d] = p[d].Plus(session.LoadOf(items))
}

// Done notes that it is stored, or will not be.
func (p Pending) Done(d *session.Device, items []*session.Item) {
	if p[d] = p[d].Minus(session.LoadOf(items)); p[d].Items == 0 {
		delete(p, d)
	}
}

// Refusal says why a push cannot be taken, or returns nil. Pushes that are on their way to the
// store count as queued.
func (p Pending) Refusal(
	all *session.Registry, id session.ID, items []*session.Item, replace bool, now time.Time,
) *v3.Error {
	d := all.Device(id)
	if err := v3.CheckItems(id, d, items, now); err != nil || len(items) == 0 {
		return err
	}
	device := session.LoadOf(items).Plus(p[d])
	bytes := device.Bytes + all.QueueBytes()
	for other, pending := range p {
		if other != d {
			bytes += pending.Bytes
		}
	}
	queue := d.Queue.Fill()
	if replace {
		bytes -= queue.Bytes
	} else {
		device = device.Plus(queue)
	}
	return v3.CheckRoom(device, bytes)
}
