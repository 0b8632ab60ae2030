// Package reach has the chances to reach a device: the windows in which it listens, and the paths by
// which a frame gets to it in each of them.
package reach

import (
	"errors"
	"slices"

	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/radio"
)

// Chances are windows, and the paths by which each of them can be had.
type Chances struct {
	Start   radio.HostTime // from which the delays of the windows count
	Windows [2]mac.Window
	Paths   []gateway.Path  // best first
	one     [1]gateway.Path // room for Paths: nearly always there is one
	Blocked []string        // gateways that have heard it too and cannot answer, with the reason
}

// maxBlocked bounds the reasons that are remembered.
const maxBlocked = 64

// Add notes that a gateway has heard the uplink, unless it cannot answer. Once a frame was sent,
// sorted is false: paths stay in the order in which they come, as attempts know them by their place.
func (c *Chances) Add(g *gateway.Gateway, up *radio.Uplink, sorted bool) {
	if up.NoPath != "" && len(c.Blocked) < maxBlocked {
		c.Blocked = append(c.Blocked, "gateway "+g.ID+" cannot answer: "+up.NoPath)
	}
	if c.Paths == nil {
		c.Paths = c.one[:0]
	}
	c.Paths = gateway.AppendPaths(c.Paths, g, up)
	if sorted {
		gateway.SortPaths(c.Paths)
	}
}

// Replace has the uplink as a gateway has heard it better take the place of what it told before.
// No frame was sent yet.
func (c *Chances) Replace(g *gateway.Gateway, up *radio.Uplink) {
	c.Paths = slices.DeleteFunc(c.Paths, func(p gateway.Path) bool { return p.Gateway == g })
	c.Add(g, up, true)
}

// Follow has RX1 follow the channel of a copy that is stronger than all before; w are the windows
// after it. When it opens stays as it is, and a channel without RX1 is not followed.
func (c *Chances) Follow(w [2]mac.Window, err error) {
	if err == nil && w[0].Err == nil && w[0].Delay == c.Windows[0].Delay {
		c.Windows[0] = w[0]
	}
}

// Lose notes that what is known of a gateway's counter before a time does not hold any more.
func (c *Chances) Lose(g *gateway.Gateway, before radio.ConcentratorTime) {
	for i := range c.Paths {
		p := &c.Paths[i]
		p.Lost = p.Lost || p.Gateway == g && p.Start.Counter < before
	}
}

// Each calls f for every window and path from window first on, best first, until it returns true. So
// RX2 is used where f takes none of the paths in RX1.
func (c *Chances) Each(now radio.HostTime, first int, f func(w, i int) bool) bool {
	for w := first; w < len(c.Windows); w++ {
		for _, hurried := range [...]bool{false, true} {
			for i := range c.Paths {
				if c.Windows[w].Err == nil && !c.Paths[i].Lost && c.hurried(now, w, i) == hurried && f(w, i) {
					return true
				}
			}
		}
	}
	return false
}

// hurried reports whether less than half of its lead is left to a gateway: its copy has come late.
// Another gateway is surer although its signal is weaker: it has heard the device too.
func (c *Chances) hurried(now radio.HostTime, w, i int) bool {
	return c.Begin(w, i).Sub(now) < c.Paths[i].Gateway.Lead()/2
}

// Begin is when window w opens, by what is known of path i.
func (c *Chances) Begin(w, i int) radio.HostTime {
	return c.Paths[i].Start.Host.Add(c.Windows[w].Delay)
}

// Emission is the emission of size bytes in window w by path i.
func (c *Chances) Emission(w, i, size int, p radio.Priority) schedule.Emission {
	win, path, begin := &c.Windows[w], &c.Paths[i], c.Begin(w, i)
	return schedule.Emission{
		Gateway: path.Gateway, Start: path.Start.CounterAt(begin), HostStart: begin,
		Airtime: win.Airtime(size), Frequency: win.Frequency, Priority: p, Fallback: w > 0,
	}
}

// phyOverhead is what a PHYPayload has beyond the MACPayload: MHDR and MIC.
const phyOverhead = 5

// Fits reports whether window w can carry a PHYPayload of size bytes.
func (c *Chances) Fits(w, size int) bool { return size-phyOverhead <= c.Windows[w].MaxMACPayload }

// MaxMACPayload is what the window with the most room can carry.
func (c *Chances) MaxMACPayload() (most int) {
	for i := range c.Windows {
		most = max(most, c.Windows[i].MaxMACPayload)
	}
	return most
}

var errOvertaken = errors.New("the device has sent a later uplink")

// Close closes all windows: the device does not listen in them any more.
func (c *Chances) Close() {
	for i := range c.Windows {
		c.Windows[i].Err = errOvertaken
	}
}
