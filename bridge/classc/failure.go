package classc

import (
	"lorawand/bridge/event"
	"lorawand/bridge/schedule"
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
