// Package classb has what is to be known to send to a device of Class B: whether it is in it,
// and when and where it listens.
package classb

import (
	"time"

	"lorawand/bridge/classc"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Pings returns what is known of the ping slots of a device that has a session.
func Pings(d *session.Device) macstate.Ping { return d.Settings.MAC.Pings(d.Session.MAC) }

// InUse reports whether a device is in Class B: its last uplink says so, and it has told how
// often it has ping slots. While it joins nobody knows in which session it is. A multicast group
// sends nothing: its owner has said both.
func InUse(d *session.Device) bool {
	if !d.ClassB || d.Session == nil || d.Joining() || !Pings(d).Known {
		return false
	}
	return d.Multicast || d.Session.MAC != nil && d.Session.MAC.ClassB
}

// Listens reports whether a device listens without having sent: in Class B or C.
func Listens(d *session.Device) bool { return d.Listens() || InUse(d) }

// ListensIn is Listens for a session that the device was in.
func ListensIn(d *session.Device, s *session.Session) bool { return s == d.Session && Listens(d) }

const (
	// periods is for how many ping periods an item waits for a slot that is free, beyond the time
	// that any item waits. From one slot to the next there are up to two, as each beacon begins
	// anew with them: an item whose first slot is taken has a second one.
	periods = 4
	// defaultTimeout is how long a device of Class B has to acknowledge a downlink if its owner
	// has not said: as in The Things Stack.
	defaultTimeout = 10 * time.Minute
)

// Patience is how much longer an item waits for a ping slot than for another one.
func Patience(d *session.Device) time.Duration {
	every := time.Second << min(Pings(d).Periodicity, MaxPeriodicity)
	return periods * every
}

// Timeout is how long a device that listens without having sent has to acknowledge a downlink.
func Timeout(d *session.Device) time.Duration {
	timeout := defaultTimeout
	switch t := d.Settings.MAC.ClassBTimeout; {
	case d.Listens() || d.ClassC && !InUse(d):
		timeout = d.ClassCTimeout()
	case t != nil:
		timeout = *t
	}
	return min(timeout, classc.Far) // an owner may have said more than can be added to a time
}

// Slot is a ping slot of a device.
type Slot struct {
	GPS     radio.GPSTime
	Host    radio.HostTime
	Windows [2]mac.Window
}

// Next returns the first ping slot of a device that does not begin before a time of the host,
// and that a gateway can be in time for. ok is false while no gateway of the paths that is
// connected knows GPS time.
func Next(
	d *session.Device, p *region.Plan, paths []gateway.Path, now, from radio.HostTime,
) (s Slot, ok bool, err error) {
	for i := range paths {
		g := paths[i].Gateway
		if !g.HasClock || g.GPS == 0 || !g.Online {
			continue
		}
		begin := max(from, now.Add(classc.Ahead(g, now)))
		s.GPS = NextSlot(g.GPS+radio.GPSTime(begin.Sub(g.Clock.Host)), d.Session.DevAddr, Pings(d).Periodicity)
		m, _ := g.AtGPS(s.GPS)
		s.Host = m.Host
		s.Windows, err = mac.PingSlot(d, d.Session, p, BeaconBefore(s.GPS))
		return s, err == nil, err
	}
	return s, false, nil
}
