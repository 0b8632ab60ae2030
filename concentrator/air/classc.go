package air

import (
	"fmt"
	"strings"
	"time"

	"lorawand/radio/frame"
)

// windowC is the time in which a device of Class C listens beside RX1. It begins
// anywhere, and RX2 is a part of it.
const windowC = 3

// inRX1 is how long a device of Class C listens in RX1 for a preamble: some symbols of
// the slowest data rate would be 200 ms, of the usual ones they are 10.
const inRX1 = 30 * time.Millisecond

// listens reports whether the device listens at all times. While it joins it has only the
// windows of that.
func (v *Device) listens() bool {
	return v.opts.ClassC && v.active && (v.request == nil || v.request.Type != frame.Join)
}

// beside reports whether it is received beside the windows after an uplink.
func (p *reception) beside() bool { return p.Window == windowC || p.Window == windowB }

// listen notes what the device receives; nil: nothing any more.
func (p *reception) listen(to *reception) {
	if p.beside() {
		p.device.always = to
	} else {
		p.uplink.receiving = to
	}
}

// sendsWithin reports whether the device has begun to send between two times.
func (v *Device) sendsWithin(from, to time.Time) bool {
	for u := v.last; u != nil; u = u.before {
		if u.begin.Before(to) && u.End.After(from) {
			return true
		}
	}
	return false
}

// unheardAlways says why a device that listens at all times does not receive a
// transmission, or nothing.
func (v *Device) unheardAlways(t *transmission) string {
	w, err := windowOf(v.opts.Plan, v.rx2, 0)
	if err != nil {
		return err.Error()
	}
	return strings.Join(append(v.busy(t), v.unheard(&uplink{Sent: Sent{RX2: w}}, 2, t)...), "; ")
}

// busy says what the device does when a transmission begins beside its windows.
func (v *Device) busy(t *transmission) (why []string) {
	if v.always != nil {
		why = append(why, "another frame was being received")
	}
	if t.Begin.Before(v.shut) {
		why = append(why, fmt.Sprintf("%s before the receiver was open again", micros(v.shut.Sub(t.Begin))))
	}
	if v.sendsWithin(t.Begin, t.Begin.Add(1)) {
		why = append(why, "the device was sending")
	}
	if u := v.at(t.Begin); u != nil {
		rx1 := u.End.Add(u.RX1.Delay)
		if t.Begin.Before(rx1.Add(inRX1)) && t.End.After(rx1) {
			why = append(why, "RX1 opened meanwhile")
		}
		if u.receiving != nil {
			why = append(why, "a window was receiving")
		}
	}
	return why
}
