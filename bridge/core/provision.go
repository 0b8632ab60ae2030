package core

import (
	"errors"
	"fmt"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/state"
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
	Record state.Record
}

// forget does what only a put that is carried out may do.
func (p *DevicePut) forget(d *session.Device) {
	if p.ForgetFCntUp && d.Session != nil {
		d.Session.ForgetFCntUp()
	}
	if p.ForgetDevNonces {
		d.ForgetDevNonces()
	}
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

// provisioned takes a Provisioned in, or refuses it where too many wait.
func (c *Core) provisioned(p Provisioned) {
	if len(c.provisions) >= maxUnstored {
		c.do(Answer{Ticket: p.Ticket, Err: fmt.Errorf("bridge: devices: %w", errUnstored)})
		return
	}
	c.provisions = append(c.provisions, newProvisioning(p, c.opts.Devices))
	if len(c.provisions) == 1 {
		c.provisionOn()
	}
}

// queueRecords delete all that waits for a device.
func (c *Core) queueRecords(d *session.Device) []state.Record {
	var out []state.Record
	for _, it := range d.Queue.Items() {
		out = append(out, state.NoItemRecord(d, it.Seq))
	}
	if it := d.Queue.Awaiting(); it != nil {
		out = append(out, state.NoItemRecord(d, it.Seq))
	}
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			out = append(out, state.NoItemRecord(d, t.item.Seq))
		}
	}
	return out
}
