package core

import (
	"slices"

	"lorawand/bridge/provision"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Provisioned is what the owner changes of the devices: all of it or, if there is a
// fault anywhere, nothing. It gets an Answer; the error is state.ProvisionFaults, or
// says why the change is not stored.
type Provisioned struct {
	Ticket uint64
	Put    []state.DevicePut
	Remove []session.ID
	Trial  bool // only check whether it could be done
}

func (Provisioned) input() {}

// provisioner returns what carries out Provisioned.
func (c *Core) provisioner() provision.Queue {
	return provision.Queue{Owner: provision.Owner{
		Past:   c.past,
		Store:  c.commit,
		Tell:   func(records ...state.Record) { c.do(Commit{Records: records}) },
		Answer: func(ticket uint64, err error) { c.do(Answer{Ticket: ticket, Err: err}) },
		Queued: func(d *session.Device) []state.Record { return state.DeleteItems(d, c.queuedItems(d)...) },
		Ended:  c.cancelAll,
		Served: c.wake,
	}}
}

// past is what devices have used.
func (c *Core) past() provision.Past {
	return provision.Past{Devices: c.opts.Devices, Tombstones: c.opts.Tombstones}
}

// queuedItems returns all items of a device that are not done.
func (c *Core) queuedItems(d *session.Device) []*session.Item {
	items := slices.Clone(d.Queue.Items())
	if it := d.Queue.Awaiting(); it != nil {
		items = append(items, it)
	}
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			items = append(items, t.item)
		}
	}
	return items
}
