package classb

import (
	"lorawand/bridge/classc"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// Awaits returns until when the first item of a device that does not listen without having sent
// is waited for, and why it has failed then. An item with class_b_c is not for Class A, and would
// keep all that are behind it: it waits until its time, else for classc.Within. until is 0 where
// the item goes out after an uplink: it has no class_b_c, or the device was not heard in its
// session yet and may listen from its first uplink on.
//
// timeOf returns when an item is to be sent, or 0.
func Awaits(
	d *session.Device, l *classc.Listener, now radio.HostTime, timeOf func(*session.Item) radio.HostTime,
) (until radio.HostTime, why *v3.Error) {
	it := d.Queue.Head()
	waits := it != nil && it.ClassBC != nil
	if !waits {
		l.Waits(now, false)
		return 0, nil
	}
	if at := timeOf(it); at != 0 {
		return min(at, now.Add(classc.Within)), v3.DownlinkExpired() // the calendar may be set meanwhile
	}
	begins := (d.ClassB || d.ClassC) && (d.Joining() || d.Session == nil || !d.Session.Heard)
	if l.Waits(now, !begins); begins {
		return 0, nil
	}
	return l.Deadline(it), v3.NoFreeSlot(classc.Within, "the device is not in Class B or C")
}
