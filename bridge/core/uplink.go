package core

import (
	"errors"
	"slices"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// testPort is for the test protocol and not for applications (LoRaWAN L2
// 1.0.4, 4.3.2); The Things Stack does not publish it either.
const testPort = 224

// heard takes a frame.
func (c *Core) heard(up radio.Uplink) {
	if c.retired[up.Gateway] != nil {
		return
	}
	c.stats.Uplinks++
	g := c.gateway(up.Gateway)
	g.LastUplink = c.now.Host
	if g.HeardSince == 0 && !sourceOf(&up).Foreign {
		g.HeardSince = c.now.Host
	}
	if up.GatewayTime.Before(c.opts.NotBefore) {
		up.GatewayTime = time.Time{} // a gateway whose clock was never set
	}
	if dr, err := g.Plan.UplinkDataRate(up.DataRate); err == nil {
		up.Frequency = g.Plan.NearestChannel(up.Frequency, dr)
	}
	m, err := frame.TypeOf(up.PHYPayload)
	switch {
	case err != nil:
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
	case m == frame.UnconfirmedUp || m == frame.ConfirmedUp:
		c.dataUplink(g, &up)
	case m == frame.TypeJoinRequest:
		c.joinRequest(g, &up)
	case m == frame.TypeRejoinRequest:
		c.drop(event.DropRejoin, event.Event{Gateway: g.ID, Err: errRejoin})
	default:
		c.drop(event.DropNotForUs, event.Event{Gateway: g.ID, Err: errNotForUs})
	}
}

var (
	errRejoin   = errors.New("rejoin-requests are not served by this version")
	errNotForUs = errors.New("not an uplink of LoRaWAN")
)

// dataUplink takes a data frame: a copy of one that is known, or a new one.
func (c *Core) dataUplink(g *gateway.Gateway, up *radio.Uplink) {
	if r := c.known(up.PHYPayload); r != nil {
		c.another(g, r, up)
		return
	}
	p := c.newGathering()
	d := &p.data
	if err := d.Parse(up.PHYPayload); err != nil {
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
		return
	}
	how := session.Reception{DataRate: up.DataRate, Frequency: up.Frequency, Source: sourceOf(up)}
	m, err := c.opts.Devices.Match(d, how, c.now.Host)
	switch {
	case err != nil:
		c.unmatched(g, d, m, err)
	case !begins(&m, d):
		c.drop(event.DropRekey, event.Event{Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt, Err: errRekey})
	case m.Repeated:
		c.otherMIC(g, &m, d, up)
	default:
		c.accepted(g, &m, p, up)
	}
}

// unmatched tells why a frame is dropped.
func (c *Core) unmatched(g *gateway.Gateway, d *frame.Data, m session.Match, err error) {
	e := event.Event{Gateway: g.ID, DevAddr: d.DevAddr, HasDevAddr: true, FCnt: uint32(d.FCnt), Err: err}
	if m.Device != nil {
		e.Device, e.FCnt = m.Device.ID, m.FCnt
		if errors.Is(err, session.ErrReused) {
			e.Hint = event.HintReusedFCnt(m.Device)
		}
	}
	c.drop(event.DropReasonOf(err), e)
}

// begins reports whether a frame may be taken in its session: that of a join
// with LoRaWAN 1.1 begins with RekeyInd (LoRaWAN 1.1, 5.8).
func begins(m *session.Match, d *frame.Data) bool {
	if m.Session != m.Device.Pending || m.Device.Version < session.V1_1 {
		return true
	}
	return mac.HasRekeyInd(mac.Commands(d, m.FCnt, m.Session.Cipher(m.Device.Version)))
}

var errRekey = errors.New("the first frame of a session of LoRaWAN 1.1 holds no RekeyInd")

// accepted takes the first copy of a new frame.
func (c *Core) accepted(g *gateway.Gateway, m *session.Match, p *gathering, up *radio.Uplink) {
	m.Accept(&p.data)
	dev := m.Device
	c.overtaken(dev)
	p.ids = c.uplinkCorrelation(up)
	if m.Session == dev.Pending {
		if dev.Session != nil { // no frame of the new one acknowledges what was sent in it
			c.decided(dev, dev.Session, false, p.ids)
		}
		// A device of LoRaWAN 1.1 that was told RekeyConf does not say again that
		// it has begun.
		was := *dev
		c.opts.Devices.TakeUp(dev)
		if buried := c.buried(&was, dev); len(buried) > 0 {
			c.do(Keep{Records: buried})
		}
	}
	h := &dev.History
	h.Uplink(m.FCnt, up.DataRate)
	h.HeardBy(up.Gateway)
	if m.Reset {
		c.report(event.Event{Kind: event.CounterRestarted, Gateway: g.ID, Device: dev.ID, FCnt: m.FCnt})
	}
	c.decided(dev, m.Session, p.data.ACK, p.ids)
	r := c.remember(string(up.PHYPayload), up, c.rx1Delay(dev, m.Session))
	r.match = *m
	c.openWindows(r, &p.data, p.ids, up)
	r.gathering, c.spare = p, nil
	p.copies = append(p.one[:0], *up)
	r.deadline = c.now.Host.Add(c.opts.Deduplication)
	if p.expected = c.expected(h, up.Gateway); len(p.expected) == 0 {
		c.publish(r)
	} else {
		c.waiting = append(c.waiting, r)
	}
}

// openWindows begins the exchange of a data frame.
func (c *Core) openWindows(r *reception, d *frame.Data, ids []string, up *radio.Uplink) {
	dev, s := r.match.Device, r.match.Session
	plan, err := dev.PlanIn(s)
	if err != nil {
		return // not reached: a device without a plan is not served
	}
	x := &exchange{device: dev, session: s, fCnt: r.match.FCnt, rate: up.DataRate, heard: up.Received, ids: ids, time: c.gpsTime(up)}
	if x.windows, err = windowsOf(plan, mac.Windows(dev, s, plan), up); err != nil {
		c.report(event.Event{Kind: event.WindowsUnknown, Gateway: c.gateway(up.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: err})
		return
	}
	commands := mac.Commands(d, r.match.FCnt, s.Cipher(dev.Version))
	x.owed = mac.Uplink(d, commands, mac.UplinkContext{Device: dev, Session: s, TimeKnown: x.time != 0})
	r.exchange, x.reception = x, r
	c.open(x, up)
}

// gpsTime returns the end of an uplink, or 0 where neither the gateway nor this
// host knows the time.
func (c *Core) gpsTime(up *radio.Uplink) radio.GPSTime {
	if up.GPS != 0 || !c.now.Wall.Known() {
		return up.GPS
	}
	return radio.GPSTimeOf(c.now.at(up.Ended))
}

// expected returns the other gateways on line that have heard the device
// lately; of a device that is new, all of them.
func (c *Core) expected(h *session.History, first radio.EUI64) (out []radio.EUI64) {
	if c.opts.Gateways.Online() < 2 {
		return nil
	}
	c.opts.Gateways.EachOnline(func(g *gateway.Gateway) bool {
		if g.EUI != first && (h.New() || h.Hears(g.EUI)) {
			out = append(out, g.EUI)
		}
		return true
	})
	return out
}

// settle does what the time has come for, and arms the timer for what is next.
func (c *Core) settle() {
	for len(c.waiting) > 0 && (c.waiting[0].gathering == nil || c.waiting[0].deadline <= c.now.Host) {
		if c.waiting[0].gathering != nil {
			c.publish(c.waiting[0])
		}
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
	}
	for len(c.remembered) > 0 && c.remembered[0].forget <= c.now.Host {
		c.forgetOldest()
	}
	for e, ok := c.agenda.due(c.now.Host); ok; e, ok = c.agenda.due(c.now.Host) {
		c.carryOut(&e)
	}
	c.lowerLedgers()
	next := c.nextTime()
	if next != 0 && (c.armed == 0 || next < c.armed) {
		c.armed, c.arm.At = next, next
		c.do(&c.arm)
	}
}

// carryOut does what is on the agenda, if it is still wanted.
func (c *Core) carryOut(e *entry) {
	if e.duty == toDecide {
		if x := e.exchange; !x.over && x.decide == e.at {
			c.decideOn(x)
		}
		return
	}
	t := c.transmissions[e.id]
	switch {
	case t == nil: // over, or tried again since
	case e.duty == toHandOver:
		c.handOver(t)
	default:
		c.sent(t)
	}
}

// nextTime returns when there is something to do again, or 0.
func (c *Core) nextTime() radio.HostTime {
	next, ok := c.agenda.next()
	sooner := func(at radio.HostTime) {
		if !ok || at < next {
			next, ok = at, true
		}
	}
	if at := c.marks.NextLower(); at != 0 {
		sooner(at)
	}
	if c.provisioningNow() {
		sooner(c.now.Host)
	}
	if len(c.waiting) > 0 {
		sooner(c.waiting[0].deadline)
	}
	if len(c.remembered) > 0 {
		sooner(c.remembered[0].forget)
	}
	if !ok {
		return 0
	}
	return max(next, c.now.Host, 1)
}

// publish makes the "up" message of a frame.
func (c *Core) publish(r *reception) {
	p := r.gathering
	r.gathering = nil
	defer c.release(p)
	dev, d, first := r.match.Device, &p.data, &p.copies[0]
	if d.HasFPort && d.FPort == testPort {
		c.drop(event.DropTestPort, event.Event{Gateway: c.gateway(first.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: errTestPort})
		return
	}
	m := v3.Uplink{
		DeviceIDs: v3.IDs(dev), CorrelationIDs: p.ids,
		ReceivedAt: c.now.at(c.now.Host), FrameReceivedAt: c.now.at(first.Received),
		SessionKeyID: r.match.Session.KeyID, FCnt: r.match.FCnt, Confirmed: d.Confirmed(),
		Locations: dev.Locations, VersionIDs: dev.VersionIDs,
	}
	if d.HasFPort && d.FPort > 0 {
		c.plain = r.match.Session.Cipher(dev.Version).AppendFRMPayload(c.plain[:0], d, r.match.FCnt)
		m.FPort, m.FRMPayload = d.FPort, c.plain
	}
	m.Lost, m.LostOf = dev.History.Lost()
	m.Settings = c.settings(dev, first)
	m.ConsumedAirtime, _ = radio.TimeOnAir(radio.Packet{DataRate: first.DataRate, CodingRate: first.CodingRate, Size: len(first.PHYPayload)})
	m.Receptions = c.shown[:0]
	for i := range p.copies {
		up := &p.copies[i]
		g := c.gateway(up.Gateway)
		for k := range up.Receptions {
			m.Receptions = append(m.Receptions, v3.Reception{
				Gateway: g, Uplink: up, Antenna: &up.Receptions[k],
				ReceivedAt: c.now.at(up.Received), ShowTime: c.now.Wall.Known(),
			})
		}
	}
	c.text = c.opts.Encoder.AppendUplink(c.text[:0], &m)
	c.shown = m.Receptions
	clear(c.shown)
	c.stats.Published++
	c.do(Publish{v3.Message{Application: dev.ID.Application, Device: dev.ID.Device, Suffix: v3.Up, Payload: slices.Clone(c.text)}})
}

var errTestPort = errors.New("FPort 224 is for the test protocol, not for applications")

// settings are those of the first copy. What the device's plan does not have
// keeps index 0.
func (c *Core) settings(dev *session.Device, up *radio.Uplink) v3.Settings {
	s := v3.Settings{Uplink: up, ShowTime: c.now.Wall.Known()}
	plan := c.gateway(up.Gateway).Plan
	if p, err := dev.FrequencyPlan(); err == nil {
		plan = p
	}
	dr, err := plan.UplinkDataRate(up.DataRate)
	if err != nil {
		return s
	}
	s.DataRateIndex = dr
	if ch, err := plan.UplinkChannel(up.Frequency, dr); err == nil {
		s.DeviceChannelIndex = uint8(ch)
	}
	return s
}
