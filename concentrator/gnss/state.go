package gnss

import (
	"cmp"
	"fmt"
	"time"

	"lorawand/radio"
)

// State is how a receiver works. A time of 0 is never.
type State struct {
	Err        error          // why its line cannot be used; nil: it can, or was not tried yet
	Heard      radio.HostTime // the last sentence or frame with a good checksum
	Fix        radio.HostTime // the last place
	Time       radio.HostTime // the last time that it has told
	Pulse      radio.HostTime // the last pulse that the chip has seen
	Endless    radio.HostTime // the last time that it has told without a pause before
	Off        time.Duration  // of the time that it has told to another calendar; 0: it fits
	Satellites int            // with Fix
	Sure       bool           // GPS time is known
}

// State returns how the receiver works.
func (r *Receiver) State() State {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.state
	s.Sure = r.ref.atHost(now) != 0
	return s
}

// recent is how long ago something may be that comes each second.
const recent = 5 * time.Second

// Fault returns what keeps a receiver from telling the time, and what to do about it, each as a
// line of text; "" if it tells the time. device is its line.
func (s *State) Fault(device string, now radio.HostTime) (says, todo string) {
	of := func(t radio.HostTime) bool { return t != 0 && now.Sub(t) <= recent }
	switch {
	case s.Sure:
		return "", ""
	case s.Err != nil:
		return fmt.Sprintf("the GNSS receiver cannot be used: %v", s.Err),
			"look whether " + cmp.Or(device, "its line") + " is the line of the receiver (ls -l /dev/serial* /dev/ttyA* " +
				"/dev/ttyS*), has no login on it, and may be used by the group dialout"
	case !of(s.Heard):
		return "the GNSS receiver on " + device + " says nothing", "look at its supply, and whether that is its line"
	case !of(s.Time):
		return "the GNSS receiver on " + device + " has no fix",
			"put its antenna where it sees the sky; the first fix takes up to 15 minutes"
	case !of(s.Pulse):
		return "the chip sees no pulse of the GNSS receiver, so that its counter has no GPS time",
			"look whether the board connects the receiver's PPS to the SX1302"
	}
	switch {
	case s.Off != 0:
		return fmt.Sprintf("the time of the GNSS receiver on %s is %v off the clock of this host, which is synchronised",
				device, s.Off),
			"look whether the receiver tells the time within a second of its pulse: a higher speed, and no more messages " +
				"than RMC and GGA, help"
	case of(s.Endless):
		return "the GNSS receiver on " + device + " speaks without a pause, so that the pulse it means is not known",
			"set it to a higher speed, or to no more messages than RMC and GGA"
	}
	return "GPS time is not known yet", "wait some seconds: two pulses must fit what the receiver tells"
}
