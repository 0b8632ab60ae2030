package core

import (
	"errors"
	"fmt"
	"slices"

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

// errTwice is the reason for refusing a device that is named twice in one change.
var errTwice = errors.New("stands there twice")

// provisioned begins a Provisioned, or refuses it if too many wait.
func (c *Core) provisioned(p Provisioned) {
	if len(c.provisions) >= maxUnstored {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: devices: %w", errUnstored)})
		return
	}
	c.provisions = append(c.provisions, newProvisioning(p, c.opts.Devices))
	if len(c.provisions) == 1 {
		c.continueProvision()
	}
}

// queueRecords returns the records that delete all items of a device.
func (c *Core) queueRecords(d *session.Device) []state.Record {
	items := slices.Clone(d.Queue.Items())
	if it := d.Queue.Awaiting(); it != nil {
		items = append(items, it)
	}
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			items = append(items, t.item)
		}
	}
	return state.DeleteItems(d, items...)
}
