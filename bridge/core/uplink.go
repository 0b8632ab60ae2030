package core

import (
	"errors"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/gateway"
	"lorawand/bridge/hearing"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// heard takes a frame.
func (c *Core) heard(up radio.Uplink) {
	if c.opts.Gateways.IsRemoved(up.Gateway) {
		return
	}
	c.stats.Uplinks++
	g := c.gateway(up.Gateway)
	g.LastUplink = c.now.Host
	if g.HeardSince == 0 && !session.SourceOf(&up).Foreign {
		g.HeardSince = c.now.Host
	}
	if !session.SourceOf(&up).Foreign {
		g.Clock, g.HasClock, g.GPS = gateway.Moment{Counter: up.Time, Host: up.Ended}, true, up.GPS
	}
	if up.GatewayTime.Before(c.opts.NotBefore) {
		up.GatewayTime = time.Time{} // a gateway whose clock was never set
	}
	if dr, err := g.Plan.UplinkDataRate(up.DataRate); err == nil {
		up.Frequency = g.Plan.NearestChannel(up.Frequency, dr)
	}
	if c.opts.Forwards {
		c.do(Forward{up, foreign.IsOwn(c.opts.Devices, up.PHYPayload)})
		if c.opts.Relays {
			return
		}
	}
	m, err := frame.TypeOf(up.PHYPayload)
	switch {
	case err != nil:
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
	case m == frame.UnconfirmedUp || m == frame.ConfirmedUp:
		c.dataUplink(g, &up)
	case m == frame.TypeJoinRequest || m == frame.TypeRejoinRequest:
		c.joinRequest(g, &up)
	default:
		c.drop(event.DropNotForUs, event.Event{Gateway: g.ID})
	}
}

// dataUplink takes a data frame: a copy of one that is known, or a new one.
func (c *Core) dataUplink(g *gateway.Gateway, up *radio.Uplink) {
	if r := c.receptionOf(up.PHYPayload); r != nil {
		c.heardAgain(g, r, up)
		return
	}
	p := c.gatherings.Get()
	d := &p.Data
	if err := d.Parse(up.PHYPayload); err != nil {
		c.drop(event.DropMalformed, event.Event{Gateway: g.ID, Err: err})
		return
	}
	how := session.Reception{DataRate: up.DataRate, Frequency: up.Frequency, Source: session.SourceOf(up)}
	m, err := c.opts.Devices.Match(d, how, c.now.Host)
	switch {
	case err != nil:
		c.unmatched(g, d, m, err)
	case !mac.Begins(&m, d):
		c.drop(event.DropRekey, event.Event{Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
	case m.Repeated:
		c.otherMIC(g, &m, d, up)
	default:
		c.accepted(g, &m, p, up)
	}
}

// unmatched drops a frame that belongs to no device, and reports why.
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

// accepted takes the first copy of a new frame.
func (c *Core) accepted(g *gateway.Gateway, m *session.Match, p *hearing.Gathering, up *radio.Uplink) {
	m.Accept(&p.Data)
	dev := m.Device
	c.overtaken(dev)
	p.IDs = c.uplinkIDs(up)
	if m.Session != dev.Session {
		c.takeUp(dev, m.Session, p.IDs)
	}
	h := &dev.History
	h.Uplink(m.FCnt, up.DataRate)
	h.HeardBy(up)
	if m.Reset {
		mac.Forget(m.Session)
		c.report(event.Event{Kind: event.CounterRestarted, Gateway: g.ID, Device: dev.ID, FCnt: m.FCnt})
	}
	c.settleConfirmed(dev, m.Session, p.Data.ACK, p.IDs)
	r := c.remember(string(up.PHYPayload), up, mac.RX1Delay(dev, m.Session))
	r.match = *m
	c.openWindows(r, &p.Data, p.IDs, up)
	r.gathering = p
	c.gatherings.Take()
	p.Begin(up)
	r.deadline = c.now.Host.Add(c.opts.Deduplication)
	if p.Expected = c.opts.Gateways.Others(up.Gateway, h.Likely); len(p.Expected) == 0 {
		c.publish(r)
	} else {
		c.waiting = append(c.waiting, r)
	}
}

// takeUp puts a session that was offered to a device into use. A device of LoRaWAN 1.1 sends
// no more RekeyInd after RekeyConf: that it has begun must not be lost.
func (c *Core) takeUp(dev *session.Device, s *session.Session, ids []string) {
	if dev.Session != nil { // no frame of the new one acknowledges what was sent in it
		c.settleConfirmed(dev, dev.Session, false, ids)
	}
	was := *dev
	c.opts.Devices.TakeUp(dev, s)
	if buried := c.past().Bury(&was, dev); len(buried) > 0 {
		c.do(Commit{Records: buried})
	}
}

// openWindows makes the opportunity to answer a data frame.
func (c *Core) openWindows(r *reception, d *frame.Data, ids []string, up *radio.Uplink) {
	dev, s := r.match.Device, r.match.Session
	commands := mac.Commands(d, r.match.FCnt, s.Cipher(dev.Version))
	end := c.gpsTime(up)
	ctx := c.macContext(r, up, len(commands) > 0)
	ctx.TimeKnown = end != 0
	answers := mac.Uplink(d, commands, ctx) // first: what the device accepts holds at once
	x := &opportunity{device: dev, session: s, ids: ids, reception: r}
	windows, err := x.windowsAfter(up)
	if err != nil {
		c.report(event.Event{
			Kind: event.WindowsUnknown, Gateway: c.gateway(up.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: err,
		})
		return
	}
	answers.Trim(windows)
	r.heard.Delay(windows[0].Delay)
	x.Start, x.Windows = up.Received, windows
	x.uplink = answered{fCnt: r.match.FCnt, rate: up.DataRate, end: end, answers: answers}
	r.opportunity = x
	c.open(x, up)
}

// windowsAfter returns the windows that the device opens after an uplink.
func (x *opportunity) windowsAfter(up *radio.Uplink) ([2]mac.Window, error) {
	if x.join != nil {
		return x.join.Request.WindowsAfter(up)
	}
	return mac.WindowsAfter(x.device, x.session, up)
}

// gpsTime returns the end of an uplink, or 0 where neither the gateway nor this
// host knows the time.
func (c *Core) gpsTime(up *radio.Uplink) radio.GPSTime {
	if up.GPS != 0 || !c.now.Wall.Known() {
		return up.GPS
	}
	return radio.GPSTimeOf(c.now.at(up.Ended))
}

// macContext is what decides what an uplink, which may have answers, makes us owe and ask.
func (c *Core) macContext(r *reception, up *radio.Uplink, answers bool) mac.UplinkContext {
	m := &r.match
	ctx := mac.UplinkContext{
		Device: m.Device, Session: m.Session, FCnt: m.FCnt, Rate: up.DataRate, At: c.now.at(up.Ended),
		Begun: m.Reset, RX1Delay: uint8(c.opts.RX1Delay / time.Second),
	}
	ctx.Plan, _ = m.Device.PlanIn(m.Session) // nil: not reached, a device without a plan is not served
	if answers {
		ctx.Told = func(request string, accepted bool) {
			kind := map[bool]event.Kind{true: event.MACAccepted, false: event.MACRefused}[accepted]
			c.report(event.Event{Kind: kind, Device: m.Device.ID, FCnt: m.FCnt, Err: errors.New(request)})
		}
	}
	return ctx
}

// asked reports each command that a frame asks its device for.
func (c *Core) asked(x *opportunity, d *mac.Downlink) {
	for _, r := range d.Owed.Requests() {
		c.report(event.Event{Kind: event.MACAsked, Device: x.device.ID, FCnt: x.uplink.fCnt, Err: errors.New(mac.Words(r))})
	}
}
