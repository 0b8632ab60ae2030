package session

import (
	"fmt"
	"time"
)

// InClassC reports whether the device has said with DeviceModeInd that it is in Class C.
func (s *Session) InClassC() bool { return s.MAC != nil && s.MAC.ClassC }

// Listens reports whether the device listens at all times, with the parameters of RX2:
// in Class C, with LoRaWAN 1.0.x from its first uplink after a join on, with 1.1 when it
// has said so. While it joins nobody knows in which session it is.
func (d *Device) Listens() bool {
	switch {
	case !d.ClassC || d.Session == nil || d.Joining():
		return false
	case d.Multicast:
		return true
	case d.Version >= V1_1:
		return d.Session.InClassC()
	}
	return !d.SupportsJoin || d.Session.Heard
}

// Joining reports whether a session was offered to the device, and it has sent in none since.
func (d *Device) Joining() bool { return d.Pending != nil && !d.Pending.PassedOver }

// defaultClassCTimeout is how long a device of Class C has to acknowledge a downlink if
// its owner has not said: as in The Things Stack.
const defaultClassCTimeout = 5 * time.Minute

// ClassCTimeout is how long a device that listens at all times has to acknowledge a
// downlink.
func (d *Device) ClassCTimeout() time.Duration {
	if t := d.Settings.MAC.ClassCTimeout; t != nil {
		return *t
	}
	return defaultClassCTimeout
}

// checkMulticast returns ErrInvalid for a group that could not work.
func (d *Device) checkMulticast() error {
	switch {
	case !d.Multicast:
		return nil
	case d.SupportsJoin:
		return fmt.Errorf("%w: a multicast group does not join (supports_join)", ErrInvalid)
	case !d.ClassB && !d.ClassC:
		return fmt.Errorf("%w: a multicast group is of Class B or C (supports_class_c)", ErrInvalid)
	}
	return nil
}

// errGroup is the reason for dropping an uplink with the address of a multicast group.
var errGroup = fmt.Errorf("%w: a multicast group sends nothing", ErrUnserved)
