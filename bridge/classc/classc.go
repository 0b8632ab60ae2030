// Package classc has what is to be known to send to a device that listens at all times:
// by which gateways it can be reached, from when on it hears, how long an item may wait
// for a free slot, and which moment of a gateway's counter is meant.
package classc

import (
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

const (
	// Within is how long an item waits for a free slot, or for a gateway; then it has
	// failed.
	Within = 30 * time.Second
	// Again is how long after a slot that could not be had, or a gateway that was
	// silent, the next try comes.
	Again = time.Second
	// Soon is how far ahead of its slot a frame is handed over at the most: the queue of a
	// gateway takes 32 frames (JIT_QUEUE_MAX of sx1302_hal 2.1.0).
	Soon = 2 * time.Second

	// between is how long after the end of a frame the device hears the next one: it has
	// to read the frame from its radio, to check it, and to listen again.
	between = 100 * time.Millisecond
	// answers is how long a device may take to acknowledge a confirmed frame, during
	// which it is not sent to: it cannot hear while it sends.
	answers = 2 * time.Second
	// drift is by how much the clocks of a gateway and of this host may differ, in parts
	// of a million: 2 for the gateway's TCXO, and what a quartz of a computer may have.
	drift = 50
	// maxDrift bounds what is allowed for drift.
	maxDrift = 5 * time.Second
)

// Listener is what is known of a device that listens without having sent.
type Listener struct {
	heard []gateway.Path // by which its last uplink was heard
	since radio.HostTime // from when on its first item waits; 0: none does
	deaf  radio.HostTime // until when it hears nothing
	ends  radio.HostTime // the end of the last frame without an uplink that a gateway has taken
	after radio.HostTime // a ping slot that was passed over; the next one is later
	looks radio.HostTime // when it is looked next whether it listens
}

// Heard notes by which paths an uplink of the device was heard.
func (l *Listener) Heard(paths []gateway.Path) {
	l.heard = append(l.heard[:0], paths...)
	gateway.SortPaths(l.heard)
}

// Sent notes that the device gets a frame, which ends at a time.
func (l *Listener) Sent(end radio.HostTime, confirmed bool) {
	pause := between
	if confirmed {
		pause = answers
	}
	l.deaf = max(l.deaf, end.Add(pause))
}

// Taken notes that a gateway has taken a frame without an uplink, which ends at a time.
func (l *Listener) Taken(end radio.HostTime) { l.ends = end }

// Ends returns when the last of those ends, or 0.
func (l *Listener) Ends() radio.HostTime { return l.ends }

// Hears returns from when on the device hears.
func (l *Listener) Hears(now radio.HostTime) radio.HostTime { return max(now, l.deaf) }

// Passed notes that a ping slot could not be had.
func (l *Listener) Passed(slot radio.HostTime) { l.after = slot.Add(time.Millisecond) }

// NotBefore is Hears for a device with ping slots.
func (l *Listener) NotBefore(now radio.HostTime) radio.HostTime { return max(l.Hears(now), l.after) }

// Waits notes that an item waits, or that none does.
func (l *Listener) Waits(now radio.HostTime, waits bool) {
	switch {
	case !waits:
		l.since = 0
	case l.since == 0:
		l.since = now
	}
}

// Rests notes that this machine may not send: that time is not one of waiting.
func (l *Listener) Rests(now radio.HostTime) { l.since = now }

// LooksAt notes that it is to be looked at a time whether the device listens. It returns false
// where that is done before.
func (l *Listener) LooksAt(now, at radio.HostTime) bool {
	if l.looks > now && l.looks <= at {
		return false
	}
	l.looks = at
	return true
}

// Deadline returns when an item that could not be sent has failed: Within after it came,
// or after the device got the one before it.
func (l *Listener) Deadline(it *session.Item) radio.HostTime {
	return max(l.since, it.Arrived, l.deaf).Add(Within)
}

// Paths returns the gateways by which an item is tried, best first: those that it names,
// else those that have heard the device and are connected, else all that are. Of a
// multicast frame only the gateways of a group are, by its place in Groups; else group is
// below 0. known is false if the item names only gateways that do not exist.
func (l *Listener) Paths(r *gateway.Registry, it *session.Item, group int) (paths []gateway.Path, known bool) {
	if it.ClassBC != nil && len(it.ClassBC.Gateways) > 0 {
		for i := range it.ClassBC.Gateways {
			named := &it.ClassBC.Gateways[i]
			if group >= 0 && named.Group != Groups(it)[group] {
				continue
			}
			if g := find(r, named); g != nil {
				paths = append(paths, gateway.Path{Gateway: g, Antenna: uint8(named.Antenna)})
			}
		}
		return paths, len(paths) > 0
	}
	for _, p := range l.heard {
		if r.Gateway(p.Gateway.EUI) == p.Gateway && p.Gateway.Online {
			p.Lost = false
			paths = append(paths, p)
		}
	}
	if len(paths) > 0 {
		return paths, true
	}
	for _, g := range r.All() {
		if g.Online {
			paths = append(paths, gateway.Path{Gateway: g})
		}
	}
	return paths, true
}

// Groups returns the group indexes of the gateways that an item names: one gateway of
// each group is to send a multicast frame.
func Groups(it *session.Item) (out []uint32) {
	if it.ClassBC == nil {
		return nil
	}
	for i := range it.ClassBC.Gateways {
		if g := it.ClassBC.Gateways[i].Group; !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

// find returns the gateway that an item names, by its id or else by its EUI.
func find(r *gateway.Registry, named *session.GatewayAntenna) *gateway.Gateway {
	all := r.All()
	i := slices.IndexFunc(all, func(g *gateway.Gateway) bool { return g.ID == named.GatewayID })
	if i < 0 {
		return r.Gateway(named.EUI)
	}
	return all[i]
}

// Ahead returns how long before its begin a frame is handed to a gateway. The moment by
// which its counter is known may be long ago, and the clocks differ.
func Ahead(g *gateway.Gateway, now radio.HostTime) time.Duration {
	return g.Lead() + min(max(now.Sub(g.Clock.Host), 0)/1_000_000*drift, maxDrift)
}

// At returns a moment of a gateway's counter.
func At(g *gateway.Gateway, t radio.HostTime) gateway.Moment {
	return gateway.Moment{Counter: g.Clock.CounterAt(t), Host: t}
}

// Far is farther away than any time that something is planned for. It can be added to any time.
const Far = 100 * 365 * 24 * time.Hour

// Time returns when an item is to be sent, or 0. wall is the calendar at now: where it is not
// known, that is far ahead.
func Time(it *session.Item, now radio.HostTime, wall radio.WallTime) radio.HostTime {
	switch {
	case it.ClassBC == nil || it.ClassBC.AbsoluteTime.IsZero():
		return 0
	case !wall.Known():
		return now.Add(Far)
	}
	return now.Add(min(max(it.ClassBC.AbsoluteTime.Sub(wall.Time), -Far), Far)) // Sub returns ±292 years at the most
}

// Place says where the time of an item lies while windows after an uplink are to come.
type Place uint8

// Places.
const (
	Elsewhere Place = iota // the item has no time, or comes behind the windows
	Beside                 // the device hears it at its time
	InRX1                  // the device does not, as it opens RX1: that takes it
)

// inRX1 is how long a device listens in RX1 for a preamble, at the most: 8 symbols of SF12.
const inRX1 = 270 * time.Millisecond

// PlaceOf returns the Place of an item that is on the air from at on for airtime, where RX1
// opens at rx1. Where an answer is due the windows have a frame with a later counter than
// that of an item before them, and an earlier one than that of an item behind.
//
// RX1 takes no item that names gateways, if one of the paths to the device is not by these.
func PlaceOf(
	it *session.Item, paths []gateway.Path, at radio.HostTime, airtime time.Duration, rx1 radio.HostTime, due bool,
) Place {
	switch {
	case at == 0:
		return Elsewhere
	case at.Add(airtime+between) <= rx1:
		return Beside
	case at < rx1.Add(inRX1):
		if !names(it, paths) {
			return Beside
		}
		return InRX1
	case due:
		return Elsewhere
	}
	return Beside
}

// names reports whether an item names the gateways of all paths, or none.
func names(it *session.Item, paths []gateway.Path) bool {
	if len(it.ClassBC.Gateways) == 0 {
		return true
	}
	return !slices.ContainsFunc(paths, func(p gateway.Path) bool {
		return !slices.ContainsFunc(it.ClassBC.Gateways, func(n session.GatewayAntenna) bool {
			return n.GatewayID == p.Gateway.ID || n.GatewayID == "" && n.EUI == p.Gateway.EUI
		})
	})
}

// Aim sets when an emission by a path begins: in the ping slot at a GPS time, at a time of the host, or as soon as
// its device hears it; at is 0 then, and Aim reports that any later begin is as good. A path is lost for now if its
// gateway has not shown its counter yet, or if it does not know the ping slot's time.
func Aim(p *gateway.Path, ping bool, slot radio.GPSTime, at, hears, now radio.HostTime) (soonest bool) {
	p.Lost = !p.Gateway.HasClock
	switch {
	case p.Lost:
	case ping:
		var known bool
		p.Start, known = p.Gateway.AtGPS(slot)
		p.Lost = !known || slot == 0
	case at != 0:
		p.Start = At(p.Gateway, at)
	default:
		p.Start = At(p.Gateway, max(hears, now.Add(Ahead(p.Gateway, now))))
		return true
	}
	return false
}
