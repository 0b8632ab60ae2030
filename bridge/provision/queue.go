package provision

import (
	"errors"
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// Step is how many devices of a change one step deals with: frames are served between,
// and must not wait for long on a slow CPU.
const Step = 32

// maxWaiting bounds the changes that wait for the one before.
const maxWaiting = 1024

var errTooMany = errors.New("too many changes wait for the store")

// Owner carries out what a Queue wants done.
type Owner struct {
	Past   func() Past
	Store  func(then func(error), records ...state.Record) // and calls then when that is done, or has failed
	Tell   func(records ...state.Record)                   // the store, without waiting
	Answer func(ticket uint64, err error)
	Queued func(*session.Device) []state.Record // that delete its downlinks
	Ended  func(*session.Device)                // what is under way for it is to end
	Served func(*session.Device)                // as it is now
}

// Queue carries out changes, one after the other. Nothing changes before it is stored:
//
//	checking --(a fault, or a trial)---------> answered
//	   | each device against what the registry would be; its records are made
//	   v
//	storing ---(the store has failed)--------> answered
//	   | one commit: a crash finds nothing of it, or all
//	   v
//	applying --------------------------------> answered
//
// checking and applying take Step devices a step. What else happens to a device goes on:
// while checking its records are made again, see Outdate; from storing until it is
// applied the store must not be told of its old form, see Holds.
type Queue struct {
	Owner
	changes []*pending // the first is at hand, the others wait
	within  bool       // Continue is at work
}

// pending is a Change on its way.
type pending struct {
	*Change
	ticket uint64
	trial  bool
	phase  phase
	next   int // the device at hand: in Put, or behind these in Remove

	// late are devices that have changed since storing began.
	late map[*session.Device]bool
}

type phase uint8

const (
	checking phase = iota
	storing
	applying
)

// Add begins a change, or refuses it if too many wait. trial only checks whether it
// could be done.
func (q *Queue) Add(ticket uint64, put []state.DevicePut, remove []session.ID, trial bool) {
	if len(q.changes) >= maxWaiting {
		q.Answer(ticket, fmt.Errorf("bridge: devices: %w", errTooMany))
		return
	}
	q.changes = append(q.changes, &pending{
		Change: New(put, remove, q.Past()), ticket: ticket, trial: trial, late: map[*session.Device]bool{},
	})
	if len(q.changes) == 1 {
		q.Continue()
	}
}

// Continue goes on with the change at hand, for one step.
func (q *Queue) Continue() {
	if len(q.changes) == 0 {
		return
	}
	q.within = true
	q.goOn(q.changes[0])
	q.within = false
}

// Abandon is for a Continue that has not returned because this program has failed. Of a change that
// is not stored nothing is done; of one that is, all but the device at which it failed.
func (q *Queue) Abandon(err error) {
	if !q.within || len(q.changes) == 0 {
		return
	}
	q.within = false
	switch p := q.changes[0]; p.phase {
	case checking:
		q.done(err)
	case applying:
		p.next++
	}
}

// goOn deals with the next devices of a change.
func (q *Queue) goOn(p *pending) {
	for n := 0; n < Step && p.phase != storing && p.next < p.Len(); n++ {
		if p.phase == checking {
			p.Check(p.next)
		} else {
			q.apply(p, p.next)
		}
		p.next++
	}
	switch {
	case p.next < p.Len() || p.phase == storing:
	case p.phase == applying:
		q.done(nil)
	case len(p.Faults) > 0:
		q.done(p.Faults)
	case p.trial || p.Len() == 0:
		q.done(nil)
	default:
		q.store(p)
	}
}

// Waits reports whether Continue is to be called at once.
func (q *Queue) Waits() bool { return len(q.changes) > 0 && q.changes[0].phase != storing }

// Storing reports whether the change at hand waits for the store.
func (q *Queue) Storing() bool { return len(q.changes) > 0 && q.changes[0].phase == storing }

// Finish applies what is in the store.
func (q *Queue) Finish() {
	for len(q.changes) > 0 && q.changes[0].phase == applying {
		q.Continue()
	}
}

// done answers, and turns to the next one.
func (q *Queue) done(err error) {
	q.Answer(q.changes[0].ticket, err)
	q.changes[0] = nil
	q.changes = q.changes[1:]
}

// Outdate notes that a device is not any more what it was when it was checked.
func (q *Queue) Outdate(d *session.Device) {
	if len(q.changes) > 0 && q.changes[0].phase == checking {
		q.changes[0].Outdate(d.ID)
	}
}

// holding returns the change that is to have the store's only word on a device now, or
// nil.
func (q *Queue) holding(d *session.Device) *pending {
	if len(q.changes) == 0 || q.changes[0].phase == checking {
		return nil
	}
	p := q.changes[0]
	if i, ok := p.Index(d.ID); ok && (p.phase == storing || i >= p.next) {
		return p
	}
	return nil
}

// Holds reports whether a change is to have the store's only word on a device now.
func (q *Queue) Holds(d *session.Device) bool { return q.holding(d) != nil }

// Late takes a change of a device that Holds: it is stored when that one is applied.
func (q *Queue) Late(d *session.Device) {
	d.TakeChange()
	q.holding(d).late[d] = true
}

// store hands all of it to the store at once.
func (q *Queue) store(p *pending) {
	records, err := p.Records(q.Queued)
	if err != nil {
		q.done(err)
		return
	}
	p.phase, p.next = storing, 0
	q.Store(q.stored, records...)
}

// stored goes on when all of it is in the store, or cannot be.
func (q *Queue) stored(err error) {
	p := q.changes[0]
	if err == nil {
		p.phase = applying
		q.Continue()
		return
	}
	for d := range p.late {
		d.Changed()
	}
	q.done(fmt.Errorf("bridge: devices: %w", err))
}

// apply carries out what is in the store.
func (q *Queue) apply(p *pending, i int) {
	done := p.Apply(i, p.late[p.past.Devices.Device(p.ID(i))], q.Queued)
	if len(done.Records) > 0 {
		q.Tell(done.Records...)
	}
	if done.Ended != nil {
		q.Ended(done.Ended)
	}
	if d := p.past.Devices.Device(p.ID(i)); d != nil {
		q.Served(d)
	}
}
