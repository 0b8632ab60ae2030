package classc

import (
	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Failure says why an item has found no slot in time. timed: it has a time of its own, which
// may have passed.
func Failure(d *event.Decision, timed bool) *v3.Error {
	if len(d.Options) == 0 {
		return v3.InvalidFixedPaths()
	}
	switch last := d.Last().Verdict.Reason; {
	case timed && last == schedule.TooLate:
		return v3.DownlinkExpired()
	case last != schedule.Offline:
		return v3.NoFreeSlot(Within, last.String())
	}
	return v3.InvalidFixedPaths()
}

// emptyMACPayload is the size of FHDR without FOpts, and of FPort, in bytes.
const emptyMACPayload = 8

// Unsendable says why no window can carry an item in a session, or returns nil. The longest
// MACPayload of the windows is given.
func Unsendable(d *session.Device, s *session.Session, it *session.Item, maxMACPayload int) *v3.Error {
	if why := v3.CheckEncrypted(d, s, it, 0); why != nil {
		return why
	}
	if alone := (mac.Downlink{Item: it}); alone.MACPayloadSize() > maxMACPayload {
		return v3.ApplicationDownlinkTooLong(len(it.FRMPayload), maxMACPayload-emptyMACPayload)
	}
	return nil
}
