package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// DevicePut is a device that is to be registered.
type DevicePut struct {
	// Device is the new state of the device. Its downlink counters count as stored.
	Device *session.Device
	// Replace allows that the device exists already; session.Device.Succeed says
	// what it keeps. Without Replace an existing device is a fault.
	Replace bool
	// Must is Replace for a device that has to exist.
	Must bool

	ForgetFCntUp    bool // see session.Session.ForgetFCntUp
	ForgetDevNonces bool // see session.Device.ForgetDevNonces

	// ForceRejoin asks the device for a rejoin-request of this type, 0 or 2; nil: it does not.
	ForceRejoin *uint8

	// Record is the record of a new device. The caller makes it in advance, to
	// spare the time of the core. If it is empty, the core makes it.
	Record store.Record
}

// Forget makes a device forget what the owner has asked for, or rejoin. It is called only when
// the device is registered.
func (p *DevicePut) Forget(d *session.Device) {
	if p.ForgetFCntUp && d.Session != nil {
		d.Session.ForgetFCntUp()
	}
	if p.ForgetDevNonces {
		d.ForgetDevNonces()
	}
	if p.ForceRejoin != nil && d.Session != nil {
		d.Session.SetMAC(d.Session.MAC.Force(*p.ForceRejoin))
	}
}

// MayRejoin returns why a device, as it is to be, cannot be asked for a rejoin-request.
func (p *DevicePut) MayRejoin(d *session.Device) error {
	n := p.ForceRejoin
	if n == nil || (*n == 0 || *n == 2) && d.Version >= session.V1_1 && d.SupportsJoin && d.Session != nil {
		return nil
	}
	return fmt.Errorf("%v: %w", d.ID, errNoRejoin)
}

var errNoRejoin = errors.New("only a device that has joined with LoRaWAN 1.1 sends rejoin-requests, of type 0 or 2")

// ErrNoDevice is the reason for refusing a change of a device that does not exist.
var ErrNoDevice = errors.New("no such device")

// ErrRegistered is session.ErrExists for a device that is itself registered: the
// owner has to ask for a replacement.
var ErrRegistered = fmt.Errorf("%w", session.ErrExists)

// ProvisionFault is a fault of one device in a change.
type ProvisionFault struct {
	Index int // among the devices to put; those to remove follow them
	Err   error
}

// ProvisionFaults are all faults of a change.
type ProvisionFaults []ProvisionFault

// Error implements error, with one line for each fault.
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

// Leaves reports whether a change from one device to the other ends a session or
// device that needs a tombstone.
func Leaves(was, is *session.Device) bool {
	have := is.Sessions()
	gone := func(s *session.Session) bool { return !slices.Contains(have, s) }
	return slices.ContainsFunc(was.Sessions(), gone) || was.DevEUI != is.DevEUI
}

// Sharing returns next with the sessions of d in place of their copies.
func Sharing(next, d *session.Device) *session.Device {
	shared := *next
	for _, s := range []**session.Session{&shared.Session, &shared.Pending, &shared.Earlier} {
		for _, own := range d.Sessions() {
			if (*s).IsSame(own) {
				*s = own
			}
		}
	}
	return &shared
}
