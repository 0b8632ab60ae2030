// Package pushes says whether there is room for what an application pushes, with what is on
// its way to the store, and what has become of an item that was to be acknowledged.
package pushes

import (
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
)

// Pending are the pushes that wait for the store.
type Pending struct {
	all   map[uint64]*Push // by ticket
	loads map[*session.Device]session.Load
}

// NewPending returns an empty Pending.
func NewPending() Pending { return Pending{map[uint64]*Push{}, map[*session.Device]session.Load{}} }

// Push is a push that waits.
type Push struct {
	Ticket  uint64
	Device  *session.Device
	Replace bool
	Items   []*session.Item

	Withdrawn bool // its client has been told that it has failed
}

// Add notes that a push waits.
func (p *Pending) Add(w *Push) {
	p.all[w.Ticket] = w
	p.loads[w.Device] = p.loads[w.Device].Plus(session.LoadOf(w.Items))
}

// Done notes that it is stored, or will not be.
func (p *Pending) Done(w *Push) {
	delete(p.all, w.Ticket)
	if p.loads[w.Device] = p.loads[w.Device].Minus(session.LoadOf(w.Items)); p.loads[w.Device].Items == 0 {
		delete(p.loads, w.Device)
	}
}

// Withdraw marks a push as withdrawn, and returns it; nil: none waits, or it is marked already.
func (p *Pending) Withdraw(ticket uint64) *Push {
	w := p.all[ticket]
	if w == nil || w.Withdrawn {
		return nil
	}
	w.Withdrawn = true
	return w
}

// Len returns how many pushes wait.
func (p *Pending) Len() int { return len(p.all) }

// Undo returns the records that take a stored push out of the store. What a replace has deleted there is put
// back: queued, unless the device is gone.
func (w *Push) Undo(queued []*session.Item) []state.Record {
	records := state.DeleteItems(w.Device, w.Items...)
	if w.Replace {
		back, err := state.ItemRecords(w.Device, queued...)
		if err == nil { // else the store did not have them before either
			records = append(records, back...)
		}
	}
	return records
}

// Refused returns what is published of a push that is refused: a message for each item, and one if no item could
// be read. d is nil where there is no such device.
func Refused(id session.ID, d *session.Device, items []*session.Item, why *v3.Error, names *v3.Names, now time.Time) (
	out []v3.Downlink,
) {
	ids := v3.DeviceIDs{ID: id}
	if d != nil {
		ids = v3.IDs(d)
		ids.HasDevAddr = false
	}
	if len(items) == 0 {
		items = []*session.Item{{CorrelationIDs: []string{names.CorrelationID(v3.ApplicationDownlink, now)}}}
	}
	for _, it := range items {
		out = append(out, v3.Downlink{
			DeviceIDs: ids, CorrelationIDs: it.CorrelationIDs, ItemCorrelationIDs: it.CorrelationIDs, Item: it, Err: why,
		})
	}
	return out
}

// Refusal says why a push cannot be taken, or returns nil. Pushes that are on their way to the
// store count as queued. A replace that makes no queue longer needs no room among the others.
func (p *Pending) Refusal(
	all *session.Registry, id session.ID, items []*session.Item, replace bool, now time.Time,
) *v3.Error {
	d := all.Device(id)
	if err := v3.CheckItems(id, d, items, now); err != nil || len(items) == 0 {
		return err
	}
	device, queue := session.LoadOf(items).Plus(p.loads[d]), d.Queue.Fill()
	grown := device.Bytes
	if replace {
		grown -= queue.Bytes
	} else {
		device = device.Plus(queue)
	}
	if grown <= 0 {
		return v3.CheckRoom(device, 0, 0) // who has more than its share may still have less
	}
	own, bytes := all.QueueBytes(id.Application)
	for other, pending := range p.loads {
		if other == d {
			continue
		}
		if bytes += pending.Bytes; other.ID.Application == id.Application {
			own += pending.Bytes
		}
	}
	if own += grown; all.Applications() == 1 {
		own = 0 // nobody else needs room
	}
	return v3.CheckRoom(device, own, bytes+grown)
}
