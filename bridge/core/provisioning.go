package core

import (
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

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
	Provisioned
	state   provisionState
	next    int // the device at hand: in Put, or behind these in Remove
	faults  state.ProvisionFaults
	plan    *session.Plan
	index   map[session.ID]int // of what was checked
	records []state.Record     // perDevice of each device, and then the downlinks of those that go
	stale   []int              // devices whose records are to be made again
	marks   map[session.ID]stagedMarks
	ends    []bool // of each in Put: something that leaves a tombstone ends with it

	// late are devices that have changed since storing began.
	late map[*session.Device]bool
}

// stagedMarks are those of the session in use in the records of a device.
type stagedMarks struct {
	session          *session.Session // a copy: by then another one may be in use
	device, counters session.Marks
}

type provisionState uint8

const (
	checking provisionState = iota
	storing
	applying
)

// perDevice are the records of each: the device, and its counters.
const perDevice = 2

func newProvisioning(p Provisioned, r *session.Registry) *provisioning {
	return &provisioning{
		Provisioned: p, plan: r.Plan(), index: map[session.ID]int{}, marks: map[session.ID]stagedMarks{},
		late: map[*session.Device]bool{}, ends: make([]bool, len(p.Put)),
	}
}

func (p *provisioning) len() int { return len(p.Put) + len(p.Remove) }

func (p *provisioning) id(i int) session.ID {
	if i < len(p.Put) {
		return p.Put[i].Device.ID
	}
	return p.Remove[i-len(p.Put)]
}

// continueProvision goes on with the Provisioned at hand, for one step.
func (c *Core) continueProvision() {
	if len(c.provisions) == 0 {
		return
	}
	p := c.provisions[0]
	for n := 0; n < provisionStep && p.state != storing && p.next < p.len(); n++ {
		if p.state == checking {
			c.check(p, p.next)
		} else {
			c.apply(p, p.next)
		}
		p.next++
	}
	switch {
	case p.next < p.len() || p.state == storing:
	case p.state == applying:
		c.provisionDone(nil)
	case len(p.faults) > 0:
		c.provisionDone(p.faults)
	case p.Trial || p.len() == 0:
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
	c.do(Answer{Ticket: c.provisions[0].Ticket, Err: err})
	c.provisions[0] = nil
	if c.provisions = c.provisions[1:]; len(c.provisions) > 0 {
		c.provisions[0].plan = c.opts.Devices.Plan() // which has changed since it came
	}
}

// check looks whether a device can be changed, and makes its records.
func (c *Core) check(p *provisioning, i int) {
	id := p.id(i)
	if _, twice := p.index[id]; twice {
		p.faults = append(p.faults, state.ProvisionFault{Index: i, Err: fmt.Errorf("%v: %w", id, errTwice)})
		return
	}
	p.index[id] = i
	err := c.mayProvision(p, i)
	var records [perDevice]state.Record
	if err == nil {
		records, err = c.provisionRecords(p, i)
	}
	if err != nil {
		p.faults = append(p.faults, state.ProvisionFault{Index: i, Err: err})
	}
	p.records = append(p.records, records[:]...)
}

// mayProvision says why a device cannot be changed, or returns nil.
func (c *Core) mayProvision(p *provisioning, i int) error {
	id := p.id(i)
	d := c.opts.Devices.Device(id)
	if i >= len(p.Put) {
		if d == nil {
			return fmt.Errorf("%v: %w", id, state.ErrNoDevice)
		}
		p.plan.Remove(id)
		return nil
	}
	put := &p.Put[i]
	if err := put.Device.Check(); err != nil {
		return fmt.Errorf("%v: %w", id, err)
	}
	switch {
	case d == nil && put.Must:
		return fmt.Errorf("%v: %w", id, state.ErrNoDevice)
	case d != nil && !put.Replace && !put.Must:
		return fmt.Errorf("%v: %w", id, state.ErrRegistered)
	}
	next, _ := c.successor(put)
	return p.plan.Put(next)
}

// successor is what a device is to be, if it were changed now. The sessions of
// the device that is registered stay as they are. revived says that it goes on
// from what others have used under the same keys.
func (c *Core) successor(put *state.DevicePut) (next *session.Device, revived bool) {
	next = put.Device.Clone()
	var old *session.Device
	if d := c.opts.Devices.Device(next.ID); d != nil {
		old = d.Clone()
		next.Succeed(old)
	}
	revived = c.revive(next, old)
	put.Forget(next)
	return next, revived
}

// provisionRecords are what the store is to have of a device.
func (c *Core) provisionRecords(p *provisioning, i int) (records [perDevice]state.Record, err error) {
	if i >= len(p.Put) {
		d := c.opts.Devices.Device(p.id(i))
		return [...]state.Record{state.DeleteDevice(d), state.DeleteCounters(d)}, nil
	}
	put := &p.Put[i]
	next, revived := c.successor(put)
	records[0] = put.Record
	old := c.opts.Devices.Device(next.ID)
	p.ends[i] = old != nil && state.Leaves(old, state.Sharing(next, old))
	if old != nil || revived || records[0].Data == nil || put.ForgetFCntUp || put.ForgetDevNonces {
		if records[0], err = state.DeviceRecord(next); err != nil {
			return records, err
		}
	}
	records[1] = state.DeleteCounters(next)
	if next.Session != nil {
		m := next.Session.Marks()
		if m.N > 0 || m.A > 0 {
			// All that was reserved may count as used now, as in what was
			// exported, and a downlink may be due.
			m = next.Session.FirstMarks(next.Version)
		}
		p.marks[next.ID] = stagedMarks{next.Session, next.Session.Marks(), m}
		records[1] = state.CountersRecord(next, m)
	}
	return records, nil
}

// outdate notes that a device is not any more what it was when it was checked.
func (c *Core) outdate(d *session.Device) {
	if len(c.provisions) == 0 || c.provisions[0].state != checking {
		return
	}
	p := c.provisions[0]
	if i, ok := p.index[d.ID]; ok {
		p.stale = append(p.stale, i)
	}
}

// provisioningOf returns the Provisioned that is to have the store's only word on a
// device now, or nil.
func (c *Core) provisioningOf(d *session.Device) *provisioning {
	if len(c.provisions) == 0 || c.provisions[0].state == checking {
		return nil
	}
	p := c.provisions[0]
	if i, ok := p.index[d.ID]; ok && (p.state == storing || i >= p.next) {
		return p
	}
	return nil
}

// storeProvision hands all of it to the store at once.
func (c *Core) storeProvision(p *provisioning) {
	for _, i := range p.stale {
		records, err := c.provisionRecords(p, i)
		if err != nil {
			c.provisionDone(state.ProvisionFaults{{Index: i, Err: err}})
			return
		}
		copy(p.records[i*perDevice:], records[:])
	}
	for i, ends := range p.ends {
		if d := c.opts.Devices.Device(p.id(i)); ends && d != nil {
			next, _ := c.successor(&p.Put[i])
			p.records = append(p.records, c.buried(d, state.Sharing(next, d))...)
		}
	}
	for _, id := range p.Remove {
		d := c.opts.Devices.Device(id)
		p.records = append(append(p.records, c.queueRecords(d)...), c.buried(d, nil)...)
	}
	p.state, p.next = storing, 0
	c.commit(c.provisionStored, p.records...)
	p.records, p.stale, p.plan = nil, nil, nil
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
	r, id := c.opts.Devices, p.id(i)
	d := r.Device(id)
	if i >= len(p.Put) {
		if records := append(c.queueRecords(d), c.buried(d, nil)...); len(records) > 0 {
			c.do(Commit{Records: records}) // what has come since
		}
		r.Remove(id)
		c.cancelAll(d)
		return
	}
	staged := p.marks[id]
	again := p.late[d]
	if d == nil {
		d = p.Put[i].Device
		c.revive(d, nil)
		_ = r.Add(d) // it was checked
	} else {
		was, next := *d, *p.Put[i].Device
		next.Succeed(d)
		c.revive(&next, d)
		_ = r.Replace(d, &next) // it was checked
		if d.Session != was.Session || d.Pending != was.Pending {
			c.cancelAll(d)
		}
		if records := c.buried(&was, d); again && len(records) > 0 {
			c.do(Commit{Records: records}) // what it has used since
		}
	}
	p.Put[i].Forget(d)
	if d.Session != nil && !d.Session.IsSame(staged.session) {
		again = true // the device has gone over to the session it had joined
	} else if d.Session != nil {
		// What it goes on from has gone on itself since it was staged.
		again = again || d.Session.Marks() != staged.device
		d.Session.Stored(staged.counters)
		d.Session.Recorded(staged.device)
	}
	if again {
		d.Changed()
	} else {
		d.TakeChange()
	}
}
