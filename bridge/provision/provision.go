// Package provision carries out what the owner changes of the devices: each device is
// checked against what the registry would be, all records are stored in one commit,
// and then each change is applied. Whoever owns a Change steps it, so that frames are
// served between.
package provision

import (
	"errors"
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Change is what the owner changes of the devices: all of it or, if there is a fault
// anywhere, nothing.
type Change struct {
	Put    []state.DevicePut
	Remove []session.ID
	Faults state.ProvisionFaults // that Check has found

	past    Past
	plan    *session.Plan
	index   map[session.ID]int // of what was checked
	records []state.Record     // perDevice of each device, and then the downlinks of those that go
	stale   []int              // devices whose records are to be made again
	marks   map[session.ID]stagedMarks
	ends    []bool // of each in Put: something that leaves a tombstone ends with it
}

// stagedMarks are those of the session in use in the records of a device.
type stagedMarks struct {
	session          *session.Session // a copy: by then another one may be in use
	device, counters session.Marks
}

// perDevice are the records of each: the device, and its counters.
const perDevice = 2

// errTwice is the reason for refusing a device that is named twice in one change.
var errTwice = errors.New("is named twice")

// New returns a Change, none of which is checked.
func New(put []state.DevicePut, remove []session.ID, past Past) *Change {
	return &Change{
		Put: put, Remove: remove, past: past, plan: past.Devices.Plan(), index: map[session.ID]int{},
		marks: map[session.ID]stagedMarks{}, ends: make([]bool, len(put)),
	}
}

// Len returns how many devices change.
func (p *Change) Len() int { return len(p.Put) + len(p.Remove) }

// ID returns the id of a device.
func (p *Change) ID(i int) session.ID {
	if i < len(p.Put) {
		return p.Put[i].Device.ID
	}
	return p.Remove[i-len(p.Put)]
}

// Index returns the place of a device that was checked.
func (p *Change) Index(id session.ID) (i int, ok bool) {
	i, ok = p.index[id]
	return i, ok
}

// Outdate notes that a device is not any more what it was when it was checked.
func (p *Change) Outdate(id session.ID) {
	if i, ok := p.index[id]; ok {
		p.stale = append(p.stale, i)
	}
}

// Check looks whether a device can be changed, and makes its records.
func (p *Change) Check(i int) {
	id := p.ID(i)
	if _, twice := p.index[id]; twice {
		p.Faults = append(p.Faults, state.ProvisionFault{Index: i, Err: fmt.Errorf("%v: %w", id, errTwice)})
		return
	}
	p.index[id] = i
	err := p.may(i)
	var records [perDevice]state.Record
	if err == nil {
		records, err = p.recordsOf(i)
	}
	if err != nil {
		p.Faults = append(p.Faults, state.ProvisionFault{Index: i, Err: err})
	}
	p.records = append(p.records, records[:]...)
}

// may says why a device cannot be changed, or returns nil.
func (p *Change) may(i int) error {
	id := p.ID(i)
	d := p.past.Devices.Device(id)
	if i >= len(p.Put) {
		if d == nil {
			return state.NoDevice(id)
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
		return state.NoDevice(id)
	case d != nil && !put.Replace && !put.Must:
		return fmt.Errorf("%v: %w", id, state.ErrRegistered)
	}
	next, _ := p.successor(put)
	if err := put.MayRejoin(next); err != nil {
		return err
	}
	return p.plan.Put(next)
}

// successor is what a device is to be, if it were changed now. The sessions of
// the device that is registered stay as they are. revived says that it goes on
// from what others have used under the same keys.
func (p *Change) successor(put *state.DevicePut) (next *session.Device, revived bool) {
	next = put.Device.Clone()
	var old *session.Device
	if d := p.past.Devices.Device(next.ID); d != nil {
		old = d.Clone()
		put.Level(next, old)
		next.Succeed(old)
	}
	revived = p.past.revive(next, old)
	put.Forget(next)
	return next, revived
}

// recordsOf are what the store is to have of a device.
func (p *Change) recordsOf(i int) (records [perDevice]state.Record, err error) {
	if i >= len(p.Put) {
		d := p.past.Devices.Device(p.ID(i))
		return [...]state.Record{state.DeleteDevice(d), state.DeleteCounters(d)}, nil
	}
	put := &p.Put[i]
	next, revived := p.successor(put)
	records[0] = put.Record
	old := p.past.Devices.Device(next.ID)
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

// Records returns all that is to be stored, when each device is checked. queued
// returns what deletes the downlinks of a device. An error is state.ProvisionFaults.
func (p *Change) Records(queued func(*session.Device) []state.Record) ([]state.Record, error) {
	for _, i := range p.stale {
		records, err := p.recordsOf(i)
		if err != nil {
			return nil, state.ProvisionFaults{{Index: i, Err: err}}
		}
		copy(p.records[i*perDevice:], records[:])
	}
	for i, ends := range p.ends {
		if d := p.past.Devices.Device(p.ID(i)); ends && d != nil {
			next, _ := p.successor(&p.Put[i])
			p.records = append(p.records, p.past.Bury(d, state.Sharing(next, d))...)
		}
	}
	for _, id := range p.Remove {
		d := p.past.Devices.Device(id)
		p.records = append(append(p.records, queued(d)...), p.past.Bury(d, nil)...)
	}
	records := p.records
	p.records, p.stale, p.plan = nil, nil, nil
	return records, nil
}

// Applied is what the change of a device, which is stored, brings about.
type Applied struct {
	Ended   *session.Device // what is under way for it ends; nil: it goes on
	Records []state.Record  // what has come since it was stored
}

// Apply carries out what is in the store. late says that the device has changed since
// that was made; queued is as with Records.
func (p *Change) Apply(i int, late bool, queued func(*session.Device) []state.Record) (out Applied) {
	r, id := p.past.Devices, p.ID(i)
	d := r.Device(id)
	if i >= len(p.Put) {
		out.Records = append(queued(d), p.past.Bury(d, nil)...)
		r.Remove(id)
		out.Ended = d
		return out
	}
	if d == nil {
		d = p.Put[i].Device
		p.past.revive(d, nil)
		_ = r.Add(d) // it was checked
	} else {
		was, next := *d, *p.Put[i].Device
		p.Put[i].Level(&next, d)
		next.Succeed(d)
		p.past.revive(&next, d)
		_ = r.Replace(d, &next) // it was checked
		if d.Session != was.Session || d.Pending != was.Pending {
			out.Ended = d
		}
		if records := p.past.Bury(&was, d); late {
			out.Records = records // what it has used since
		}
	}
	p.Put[i].Forget(d)
	p.settle(d, late)
	return out
}

// settle notes what the store has of a device.
func (p *Change) settle(d *session.Device, again bool) {
	staged := p.marks[d.ID]
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
