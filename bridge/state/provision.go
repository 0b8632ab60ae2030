package state

import (
	"errors"
	"fmt"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/store"
)

// DevicePut is a device that is to be registered.
type DevicePut struct {
	// Device is what it is to be. Its counters of downlinks count as stored.
	Device *session.Device
	// Replace takes the place of a device that exists, which goes on as
	// session.Device.Succeed says; without it that is a fault.
	Replace bool
	// Must is Replace where the device has to exist.
	Must bool

	ForgetFCntUp    bool // see session.Session.ForgetFCntUp
	ForgetDevNonces bool // see session.Device.ForgetDevNonces

	// Record is the record of a device that takes nobody's place. It is made before
	// the core's time is taken for it; empty: the core makes it.
	Record store.Record
}

// Forget has a device forget what the owner asks for: only when it is registered.
func (p *DevicePut) Forget(d *session.Device) {
	if p.ForgetFCntUp && d.Session != nil {
		d.Session.ForgetFCntUp()
	}
	if p.ForgetDevNonces {
		d.ForgetDevNonces()
	}
}

// ErrNoDevice is the reason for doing nothing to a device that does not exist.
var ErrNoDevice = errors.New("no such device")

// ErrRegistered is session.ErrExists for a device that is registered itself: the
// owner has to ask for a replacement.
var ErrRegistered = fmt.Errorf("%w", session.ErrExists)

// ProvisionFault is what is wrong with one device of a change.
type ProvisionFault struct {
	Index int // among those to be put, or behind these among those to be removed
	Err   error
}

// ProvisionFaults are all that is wrong with a change.
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

// Leaves reports whether something ends that a tombstone is kept of, when a device
// that was becomes the one that is.
func Leaves(was, is *session.Device) bool {
	for _, s := range []*session.Session{was.Session, was.Pending} {
		if s != nil && s != is.Session && s != is.Pending {
			return true
		}
	}
	return was.DevEUI != is.DevEUI
}

// Sharing returns next with the sessions of d themselves in the place of their
// copies.
func Sharing(next, d *session.Device) *session.Device {
	shared := *next
	for _, s := range []**session.Session{&shared.Session, &shared.Pending} {
		switch {
		case (*s).IsSame(d.Session):
			*s = d.Session
		case (*s).IsSame(d.Pending):
			*s = d.Pending
		}
	}
	return &shared
}
