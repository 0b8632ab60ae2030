package core

import (
	"errors"

	"lorawand/bridge/event"
)

// fits reports whether window w can carry a PHYPayload of size bytes.
func (x *opportunity) fits(w, size int) bool { return size-phyOverhead <= x.windows[w].MaxMACPayload }

// phyOverhead is what a PHYPayload has beyond the MACPayload: MHDR and MIC.
const phyOverhead = 5

var errOvertaken = errors.New("the device has sent a later uplink")

// closeWindows closes all windows: the device does not listen in them any more.
func (x *opportunity) closeWindows() {
	for i := range x.windows {
		x.windows[i].Err = errOvertaken
	}
}

// counted returns the place in event.Windows by which window w is counted.
func (x *opportunity) counted(w int) int {
	if x.always {
		return event.RXC
	}
	return w
}
