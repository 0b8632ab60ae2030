package core

import (
	"maps"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// The methods below read the state. They are called in the goroutine of the Core,
// between two steps.

// Devices returns the devices.
func (c *Core) Devices() *session.Registry { return c.opts.Devices }

// ShowMAC returns what people are shown of the MAC layer of a device.
func (c *Core) ShowMAC(d *session.Device) mac.View {
	return mac.Show(d, uint8(c.opts.RX1Delay/time.Second), c.now.at(c.now.Host))
}

// Gateways returns the gateways.
func (c *Core) Gateways() *gateway.Registry { return c.opts.Gateways }

// Usage returns what a gateway has used of the duty cycle of each sub-band.
func (c *Core) Usage(g *gateway.Gateway, now radio.HostTime) []schedule.Usage {
	return c.schedule.Usage(g, now)
}

// Downlinks returns the downlink queue of a device. ok is false if there is none with
// this id.
func (c *Core) Downlinks(id session.ID) (out session.Downlinks, ok bool) {
	d := c.opts.Devices.Device(id)
	if d == nil {
		return out, false
	}
	var sending *session.Item
	for _, t := range c.inFlight[d] {
		if t.hasItem() {
			sending = t.item
		}
	}
	return d.Queue.Copy(sending), true
}

// Stats returns the counts so far.
func (c *Core) Stats() event.Stats {
	s := c.stats
	s.Pending, s.InFlight, s.Unstored = len(c.remembered), len(c.attempts), len(c.onStored)
	s.Downlinks = c.opts.Devices.Waiting()
	s.WrongMICs = c.opts.Devices.WrongMICs()
	s.Events, s.Refusals = maps.Clone(s.Events), maps.Clone(s.Refusals)
	return s
}
