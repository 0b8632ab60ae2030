package core

import (
	"fmt"
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

// provisionStep is how many devices of a Provisioned one step deals with: frames
// are served between, and must not wait for long on a slow CPU.
const provisionStep = 32

// provisioning is a Provisioned on its way. Nothing changes before it is stored:
//
//	checking --(a fault, or a trial)---------> answered
//	   | each device against what the registry would be; its records are made
//	   v
//	storing ---(the store has failed)--------> answered
//	   | one commit: a crash finds nothing of it, or all
//	   v
//	applying --------------------------------> answered
//
// checking and applying take provisionStep devices a step. What else happens to a
// device goes on: while checking its records are made again, see outdate; from
// storing until it is applied the store must not be told of its old form, see
// provisioningOf.
type provisioning struct {
	*provision.Change
	ticket uint64
	trial  bool
	state  provisionState
	next   int // the device at hand: in Put, or behind these in Remove

	// late are devices that have changed since storing began.
	late map[*session.Device]bool
}

type provisionState uint8

const (
	checking provisionState = iota
	storing
	applying
)

// past is what devices have used.
func (c *Core) past() provision.Past {
	return provision.Past{Devices: c.opts.Devices, Tombstones: c.opts.Tombstones}
}

// provisioned begins a Provisioned, or refuses it if too many wait.
func (c *Core) provisioned(p Provisioned) {
	if len(c.provisions) >= maxUnstored {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: devices: %w", errUnstored)})
		return
	}
	c.provisions = append(c.provisions, &provisioning{
		Change: provision.New(p.Put, p.Remove, c.past()), ticket: p.Ticket, trial: p.Trial, late: map[*session.Device]bool{},
	})
	if len(c.provisions) == 1 {
		c.continueProvision()
	}
}

// continueProvision goes on with the Provisioned at hand, for one step.
func (c *Core) continueProvision() {
	if len(c.provisions) == 0 {
		return
	}
	p := c.provisions[0]
	for n := 0; n < provisionStep && p.state != storing && p.next < p.Len(); n++ {
		if p.state == checking {
			p.Check(p.next)
		} else {
			c.apply(p, p.next)
		}
		p.next++
	}
	switch {
	case p.next < p.Len() || p.state == storing:
	case p.state == applying:
		c.provisionDone(nil)
	case len(p.Faults) > 0:
		c.provisionDone(p.Faults)
	case p.trial || p.Len() == 0:
		c.provisionDone(nil)
	default:
		c.storeProvision(p)
	}
}

// provisioningNow reports whether a step is to follow at once.
func (c *Core) provisioningNow() bool {
	return len(c.provisions) > 0 && c.provisions[0].state != storing
}

// provisionDone answers, and turns to the next one.
func (c *Core) provisionDone(err error) {
	c.do(Answer{Ticket: c.provisions[0].ticket, Err: err})
	c.provisions[0] = nil
	if c.provisions = c.provisions[1:]; len(c.provisions) > 0 {
		c.provisions[0].Restart()
	}
}

// outdate notes that a device is not any more what it was when it was checked.
func (c *Core) outdate(d *session.Device) {
	if len(c.provisions) > 0 && c.provisions[0].state == checking {
		c.provisions[0].Outdate(d.ID)
	}
}

// provisioningOf returns the Provisioned that is to have the store's only word on a
// device now, or nil.
func (c *Core) provisioningOf(d *session.Device) *provisioning {
	if len(c.provisions) == 0 || c.provisions[0].state == checking {
		return nil
	}
	p := c.provisions[0]
	if i, ok := p.Index(d.ID); ok && (p.state == storing || i >= p.next) {
		return p
	}
	return nil
}

// storeProvision hands all of it to the store at once.
func (c *Core) storeProvision(p *provisioning) {
	records, err := p.Records(c.queueRecords)
	if err != nil {
		c.provisionDone(err)
		return
	}
	p.state, p.next = storing, 0
	c.commit(c.provisionStored, records...)
}

// provisionStored goes on when all of it is in the store, or cannot be.
func (c *Core) provisionStored(err error) {
	p := c.provisions[0]
	if err == nil {
		p.state = applying
		c.continueProvision()
		return
	}
	for d := range p.late {
		d.Changed()
	}
	c.provisionDone(fmt.Errorf("bridge: devices: %w", err))
}

// apply carries out what is in the store.
func (c *Core) apply(p *provisioning, i int) {
	done := p.Apply(i, p.late[c.opts.Devices.Device(p.ID(i))], c.queueRecords)
	if len(done.Records) > 0 {
		c.do(Commit{Records: done.Records})
	}
	if done.Ended != nil {
		c.cancelAll(done.Ended)
	}
	if d := c.opts.Devices.Device(p.ID(i)); d != nil {
		c.wake(d)
	} else {
		delete(c.listeners, done.Ended)
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
