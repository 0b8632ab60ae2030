package core

import (
	"slices"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// publish makes the "up" message of a frame.
func (c *Core) publish(r *reception) {
	p := r.gathering
	r.gathering = nil
	defer c.gatherings.Release(p)
	dev, d, first := r.match.Device, &p.Data, &p.Copies[0]
	if d.HasFPort && d.FPort == session.TestPort && !dev.Settings.TestPort {
		c.drop(event.DropTestPort, event.Event{
			Gateway: c.gateway(first.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt,
		})
		return
	}
	m := v3.Uplink{
		DeviceIDs: v3.IDs(dev), CorrelationIDs: v3.Leased(p.IDs, !c.foreign.Unleased),
		ReceivedAt: c.now.at(c.now.Host), FrameReceivedAt: c.now.at(first.Received),
		SessionKeyID: r.match.Session.KeyID, FCnt: r.match.FCnt, Confirmed: d.Confirmed(),
		Locations: dev.Locations, VersionIDs: dev.VersionIDs,
	}
	if d.HasFPort && d.FPort > 0 {
		c.plain = r.match.Session.Cipher(dev.Version).AppendFRMPayload(c.plain[:0], d, r.match.FCnt)
		if m.FPort, m.FRMPayload = d.FPort, c.plain; dev.SkipCrypto {
			m.FRMPayload = d.FRMPayload // for the application to decrypt
		}
	}
	m.Lost, m.LostOf = dev.History.Lost()
	m.Settings = v3.SettingsOf(dev, c.gateway(first.Gateway), first, c.now.Wall.Known())
	m.ConsumedAirtime, _ = radio.TimeOnAir(radio.Packet{
		DataRate: first.DataRate, CodingRate: first.CodingRate, Size: len(first.PHYPayload),
	})
	m.Receptions = c.shown[:0]
	for i := range p.Copies {
		up := &p.Copies[i]
		m.Receptions = v3.AppendReceptions(m.Receptions, c.gateway(up.Gateway), up, c.now.at(up.Received))
	}
	c.text = c.opts.Encoder.AppendUplink(c.text[:0], &m)
	c.shown = m.Receptions
	clear(c.shown)
	c.stats.Published++
	both := slices.Concat(c.text, m.FRMPayload) // in one piece of memory
	n := len(c.text)
	c.publishMessage(dev.ID, v3.Up, both[:n:n], v3.Undecoded{
		FPort: m.FPort, FRMPayload: both[n:], Received: m.FrameReceivedAt, Places: m.Places,
	})
}

// publishDownlink publishes a message about a downlink.
func (c *Core) publishDownlink(kind string, m *v3.Downlink) {
	m.ReceivedAt = c.now.at(c.now.Host)
	m.CorrelationIDs = v3.Leased(m.CorrelationIDs, !c.foreign.Unleased)
	payload := c.opts.Encoder.AppendDownlink(make([]byte, 0, 768), kind, m)
	var u v3.Undecoded
	if it := m.Item; it != nil && it.Decoded == nil && len(it.FRMPayload) > 0 {
		u = v3.Undecoded{FPort: it.FPort, FRMPayload: it.FRMPayload, Places: v3.Places{Decoded: m.Decoded}}
	}
	c.publishMessage(m.DeviceIDs.ID, kind, payload, u)
}

// publishMessage hands a message about a device to the broker.
func (c *Core) publishMessage(id session.ID, kind string, payload []byte, u v3.Undecoded) {
	c.do(Publish{v3.Message{Application: id.Application, Device: id.Device, Suffix: kind, Payload: payload}, u})
}

// Located says where the payload of an uplink has placed its device.
type Located struct {
	Device   session.ID
	Service  string
	Location session.Location
}

func (Located) input() {}

// located notes where a device is.
func (c *Core) located(in Located) {
	if d := c.opts.Devices.Device(in.Device); d != nil {
		d.Locate(in.Service, in.Location, c.now.Host)
	}
}
