package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// Provisioned is what the owner changes of the devices: all of it or, if there
// is a fault anywhere, nothing. Each gets an Answer, with ProvisionFaults or
// why it is not stored.
type Provisioned struct {
	Ticket uint64
	Put    []DevicePut
	Remove []session.ID
	Trial  bool // only say whether it could be done
}

func (Provisioned) input() {}

// DevicePut is a device to be registered.
type DevicePut struct {
	// Device belongs to the core from then on. Its counters of downlinks count
	// as stored.
	Device *session.Device
	// Replace takes the place of a device that exists, which goes on as
	// session.Device.Succeed says; without it that is a fault.
	Replace bool
	// Must is Replace where the device has to exist.
	Must bool

	ForgetFCntUp    bool // see session.Session.ForgetFCntUp
	ForgetDevNonces bool // see session.Device.ForgetDevNonces

	// record is the record of a device that takes nobody's place, made before
	// the core's time is taken for it; empty: it is made then.
	record store.Record
}

// ErrNoDevice is the reason for doing nothing to a device that does not exist.
var ErrNoDevice = errors.New("no such device")

// ErrRegistered is session.ErrExists for a device that stands there itself: to
// replace it has to be asked for.
var ErrRegistered = fmt.Errorf("%w", session.ErrExists)

// errTwice is the reason for a device that stands twice in one change.
var errTwice = errors.New("stands there twice")

// ProvisionFault is what is wrong with one device of a Provisioned.
type ProvisionFault struct {
	Index int // in Put, or behind these in Remove
	Err   error
}

// ProvisionFaults are all that is wrong with a Provisioned.
type ProvisionFaults []ProvisionFault

// Error implements error, with a line for each fault.
func (f ProvisionFaults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults' errors.
func (f ProvisionFaults) Unwrap() []error {
	out := make([]error, len(f))
	for i := range f {
		out[i] = f[i].Err
	}
	return out
}

// change is one step of a Provisioned that was carried out.
type change struct {
	device   *session.Device // as it is in the registry, or was
	was      *session.Device // what a device that was replaced had been
	removed  bool
	ended    bool // its session is another one now
	restore  func()
	record   store.Record // of a device that is new; empty: to be made
	leftover []store.Record
}

// provisioned changes the registry at once and lets the answer wait for the
// store: until then nobody was promised anything, and a crash finds what was
// there before. If it cannot be stored, it is taken back.
func (c *Core) provisioned(p Provisioned) {
	var done []*change
	var faults ProvisionFaults
	seen := map[session.ID]bool{}
	try := func(i int, id session.ID, do func() (*change, error)) {
		if seen[id] {
			faults = append(faults, ProvisionFault{i, fmt.Errorf("%v: %w", id, errTwice)})
			return
		}
		seen[id] = true
		ch, err := do()
		if err != nil {
			faults = append(faults, ProvisionFault{i, err})
			return
		}
		done = append(done, ch)
	}
	for i := range p.Put {
		try(i, p.Put[i].Device.ID, func() (*change, error) { return c.put(&p.Put[i]) })
	}
	for i, id := range p.Remove {
		try(len(p.Put)+i, id, func() (*change, error) { return c.remove(id) })
	}
	if len(faults) > 0 || p.Trial {
		c.undo(done)
		a := Answer{Ticket: p.Ticket}
		if len(faults) > 0 {
			a.Err = faults
		}
		c.do(a)
		return
	}
	var records []store.Record
	for i, ch := range done {
		if i < len(p.Put) {
			c.settlePut(ch, &p.Put[i])
		}
		c.withdraw(ch)
		records = append(records, c.changeRecords(ch)...)
	}
	c.keep(func(err error) { c.provisionStored(p.Ticket, done, err) }, records...)
}

// put registers a device, or gives one that is registered its new form.
func (c *Core) put(p *DevicePut) (*change, error) {
	if err := p.Device.Check(); err != nil {
		return nil, fmt.Errorf("%v: %w", p.Device.ID, err)
	}
	d := c.opts.Devices.Device(p.Device.ID)
	switch {
	case d == nil && p.Must:
		return nil, fmt.Errorf("%v: %w", p.Device.ID, ErrNoDevice)
	case d == nil:
		return &change{device: p.Device, record: p.record}, c.opts.Devices.Add(p.Device)
	case !p.Replace && !p.Must:
		return nil, fmt.Errorf("%v: %w", d.ID, ErrRegistered)
	}
	was, next, restore := *d, *p.Device, keepSessions(d)
	next.Succeed(d)
	if err := c.opts.Devices.Replace(d, &next); err != nil {
		restore()
		return nil, err
	}
	return &change{device: d, was: &was, ended: was.Session != d.Session || was.Pending != d.Pending, restore: restore}, nil
}

// keepSessions returns what makes the sessions of a device what they are now.
func keepSessions(d *session.Device) (restore func()) {
	restore = func() {}
	for _, s := range []*session.Session{d.Session, d.Pending} {
		if s != nil {
			was, others := *s, restore
			restore = func() { *s = was; others() }
		}
	}
	return restore
}

func (c *Core) remove(id session.ID) (*change, error) {
	d := c.opts.Devices.Device(id)
	if d == nil {
		return nil, fmt.Errorf("%v: %w", id, ErrNoDevice)
	}
	c.opts.Devices.Remove(id)
	return &change{device: d, removed: true, ended: true, leftover: c.queueRecords(d)}, nil
}

// undo takes changes of the registry back, the last one first.
func (c *Core) undo(done []*change) {
	for i := len(done) - 1; i >= 0; i-- {
		ch := done[i]
		switch r := c.opts.Devices; {
		case ch.removed:
			_ = r.Add(ch.device) // it was there before
		case ch.was != nil:
			ch.restore()
			_ = r.Replace(ch.device, ch.was)
			ch.device.TakeChange() // the store has what it was
		default:
			r.Remove(ch.device.ID)
		}
	}
}

// settlePut does what only a put that is carried out may do.
func (c *Core) settlePut(ch *change, p *DevicePut) {
	if p.ForgetFCntUp && ch.device.Session != nil {
		ch.device.Session.ForgetFCntUp()
	}
	if p.ForgetDevNonces {
		ch.device.ForgetDevNonces()
	}
}

// withdraw ends what is under way in a session that has ended. A frame that is
// with a gateway is sent all the same.
func (c *Core) withdraw(ch *change) {
	d := ch.device
	if !ch.ended {
		return
	}
	if x := c.exchanges[d]; x != nil {
		c.end(x)
	}
	for _, t := range slices.Clone(c.inFlight[d]) {
		c.recall(t)
	}
	for _, r := range c.remembered {
		if r.match.Device == d {
			delete(c.receptions, r.key)
		}
	}
}

// recall takes back a frame that has not gone to its gateway, or lets go of
// one that has.
func (c *Core) recall(t *transmission) {
	it := t.down.Item
	if !t.handed {
		c.schedule.Release(t.slot)
		c.forget(t)
		if t.hasItem() {
			t.x.device.Queue.PutBack(it)
		}
		return
	}
	c.landed(t)
	if t.hasItem() {
		t.replaced = true
		c.do(Keep{Records: []store.Record{noItemRecord(t.x.device, it.Seq)}})
	}
}

// changeRecords are what the store is to have after a change.
func (c *Core) changeRecords(ch *change) []store.Record {
	d := ch.device
	gone := noCountersRecord(d)
	if ch.removed {
		return append(ch.leftover, store.Record{Kind: KindDevice, Key: d.ID.String()}, gone)
	}
	r := ch.record
	if d.TakeChange() != session.Unchanged || r.Data == nil {
		var err error
		if r, err = deviceRecord(d); err != nil {
			return nil // not reached: it was marshalled before
		}
	}
	if d.Session == nil {
		return []store.Record{r, gone}
	}
	return []store.Record{r, CountersRecord(d, d.Session.Marks())}
}

// queueRecords delete all that waits for a device.
func (c *Core) queueRecords(d *session.Device) []store.Record {
	var out []store.Record
	for _, it := range d.Queue.Items() {
		out = append(out, noItemRecord(d, it.Seq))
	}
	if it := d.Queue.Awaiting(); it != nil {
		out = append(out, noItemRecord(d, it.Seq))
	}
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			out = append(out, noItemRecord(d, t.down.Item.Seq))
		}
	}
	return out
}

// provisionStored answers, and takes everything back that could not be stored.
func (c *Core) provisionStored(ticket uint64, done []*change, err error) {
	if err != nil {
		err = fmt.Errorf("bridge: devices: %w", err)
		c.takeBack(done)
	}
	c.do(Answer{Ticket: ticket, Err: err})
}

// takeBack makes the devices what they were, as far as they have not gone on.
func (c *Core) takeBack(done []*change) {
	var records []store.Record
	for i := len(done) - 1; i >= 0; i-- {
		ch := done[i]
		r, d := c.opts.Devices, ch.device
		back := &change{device: d}
		switch {
		case ch.removed:
			if r.Add(d) != nil {
				continue // somebody has its place meanwhile
			}
			records = append(records, itemRecords(d, d.Queue.Items()...)...)
			if it := d.Queue.Awaiting(); it != nil {
				records = append(records, itemRecords(d, it)...)
			}
		case r.Device(d.ID) != d:
			continue // removed meanwhile
		case ch.was != nil:
			ch.was.Succeed(d)
			if r.Replace(d, ch.was) != nil {
				continue
			}
			back.ended = ch.ended
		default:
			back.removed, back.ended, back.leftover = true, true, c.queueRecords(d)
			r.Remove(d.ID)
		}
		c.withdraw(back)
		records = append(records, c.changeRecords(back)...)
	}
	c.do(Keep{Records: records})
}

// Provision changes what is registered of devices, all or nothing: put first,
// then remove. With trial nothing is changed. It returns when that is stored;
// the error is ProvisionFaults, or says why it cannot be.
func (b *Bridge) Provision(ctx context.Context, put []DevicePut, remove []session.ID, trial bool) error {
	own := make([]DevicePut, len(put))
	for i, p := range put {
		// The core gets what it would find in the store after a restart.
		var err error
		if p.record, err = deviceRecord(p.Device); err != nil {
			return err
		}
		if p.Device, err = session.UnmarshalDevice(p.record.Data); err != nil {
			return fmt.Errorf("bridge: device %s: %w", p.record.Key, err)
		}
		own[i] = p
	}
	a, err := b.await(ctx, func(ticket uint64) Input {
		return Provisioned{Ticket: ticket, Put: own, Remove: remove, Trial: trial}
	})
	if err != nil {
		return fmt.Errorf("bridge: devices: %w", err)
	}
	return a.Err
}
