package v3

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/session"
)

var errClassBC = errors.New("class_b_c is for devices of Class B or C, and this one is not registered for either")

// CheckItems returns why the items of a push are refused, or nil. One bad item
// refuses the whole push. d is the device with the id, or nil if there is none; now
// is the zero time where the calendar is not known.
func CheckItems(id session.ID, d *session.Device, items []*session.Item, now time.Time) *Error {
	switch {
	case d == nil:
		return DeviceNotFound(id)
	case len(items) == 0:
		return nil
	case d.Unserved() != nil:
		return NotServed(d.Unserved())
	case d.Session == nil && d.Pending == nil:
		return NoDeviceSession()
	}
	plan, err := d.FrequencyPlan()
	if err != nil {
		return NotServed(err)
	}
	for i, it := range items {
		if err := checkEncrypted(d, it, i); err != nil {
			return err
		}
		switch maxFRMPayload := plan.MaxDownlinkPayload(); {
		case it.FPort > MaxFPort && !d.Settings.TestPort:
			return Invalid(fmt.Sprintf("downlinks[%d].f_port", i), fmt.Sprintf("value must be inside range [1, %d]", MaxFPort))
		case it.ClassBC != nil && !it.ClassBC.AbsoluteTime.IsZero() && it.ClassBC.AbsoluteTime.Before(now):
			return DownlinkExpired()
		case it.ClassBC != nil && !d.ClassB && !d.ClassC:
			return NotServed(errClassBC)
		case it.ClassBC != nil && !it.ClassBC.AbsoluteTime.IsZero() && now.IsZero():
			return InvalidAbsoluteTime() // nobody here knows when that is
		case d.Multicast && it.Confirmed:
			return ConfirmedMulticast()
		case d.Multicast && (it.ClassBC == nil || len(it.ClassBC.Gateways) == 0):
			return NoDownlinkPath()
		case len(it.FRMPayload) > maxFRMPayload:
			return ApplicationDownlinkTooLong(len(it.FRMPayload), maxFRMPayload)
		}
	}
	return nil
}

// checkEncrypted is CheckEncrypted for a session of the device, whichever it is.
func checkEncrypted(d *session.Device, it *session.Item, i int) (why *Error) {
	for _, s := range d.Sessions() {
		err := CheckEncrypted(d, s, it, i)
		if err == nil {
			return nil
		}
		why = cmp.Or(why, err)
	}
	return why
}

// CheckEncrypted returns why item i of a push cannot be sent in a session, where the
// application encrypts payloads itself (skip_payload_crypto): it has to say with which keys
// and with which frame counter it has done so. It returns nil for other devices.
func CheckEncrypted(d *session.Device, s *session.Session, it *session.Item, i int) *Error {
	field := func(name string) string { return fmt.Sprintf("downlinks[%d].%s", i, name) }
	switch {
	case !d.SkipCrypto:
		return nil
	case s == nil:
		return NoDeviceSession()
	case it.Decoded != nil:
		return Invalid(field("decoded_payload"), "the application encrypts: frm_payload is needed")
	case !bytes.Equal(it.SessionKeyID, s.KeyID):
		return Invalid(field("session_key_id"), "value must be that of the session with whose AppSKey it is encrypted")
	case it.FCnt == 0:
		return Invalid(field("f_cnt"), "value must be the counter that frm_payload is encrypted with")
	}
	return nil
}

// CheckRoom returns why queues of this size are refused: the queue of the device, or those of its
// application and of all together, in bytes. An application may have no more than what stays free of
// session.MaxQueuesBytes. It returns nil if there is room.
func CheckRoom(device session.Load, application, all int) *Error {
	switch {
	case device.Items > session.MaxQueue:
		return QueueFull()
	case device.Bytes > session.MaxQueueBytes:
		return QueueTooLong(session.MaxQueueBytes)
	case application > session.MaxQueuesBytes-all:
		return QueuesTooLong(session.MaxQueuesBytes)
	}
	return nil
}
