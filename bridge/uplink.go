package bridge

import (
	"errors"
	"slices"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const (
	// swallowFor is how long after a frame its late copies are known as such.
	swallowFor = time.Second
	// maxReceptions bounds the frames that are remembered; radio brings at most
	// some hundreds in a second.
	maxReceptions = 4096
	// ghostWindow is how far apart one concentrator can hear one frame.
	ghostWindow = 20 // µs
	// testPort is for the test protocol and not for applications (LoRaWAN L2
	// 1.0.4, 4.3.2); The Things Stack does not publish it either.
	testPort = 224
)

// reception is a frame with all of its copies.
type reception struct {
	key      string          // PHYPayload
	match    session.Match   // zero with a join-request
	joins    *session.Device // whose join-request it is; nil: it is data
	data     frame.Data      // parts of the PHYPayload
	copies   []radio.Uplink  // the first one opened the windows
	heard    []hearing       // the same, and those that came too late
	exchange *exchange       // the windows; nil: the device has none that we know
	ids      []string        // correlation ids

	expected []radio.EUI64  // gateways that have not reported yet
	deadline radio.HostTime // for these
	done     bool           // published
	forget   radio.HostTime // when copies are no longer known as such

	// Room for copies and heard: nearly always there is one.
	oneCopy    [1]radio.Uplink
	oneHearing [1]hearing
}

// hears notes that a gateway has heard the frame.
func (r *reception) hears(up *radio.Uplink) {
	if r.heard == nil {
		r.heard = r.oneHearing[:0]
	}
	r.heard = append(r.heard, hearing{up.Gateway, up.Time})
}

// keep keeps what a gateway has heard until it is published.
func (r *reception) keep(up *radio.Uplink) {
	if r.copies == nil {
		r.copies = r.oneCopy[:0]
	}
	r.copies = append(r.copies, *up)
}

// hearing is when a gateway heard a frame.
type hearing struct {
	gateway radio.EUI64
	at      radio.ConcentratorTime
}

// heard takes a frame.
func (c *Core) heard(up radio.Uplink) {
	if c.retired[up.Gateway] != nil {
		return
	}
	c.stats.Uplinks++
	g := c.gateway(up.Gateway)
	g.LastUplink = c.now.Host
	if up.GatewayTime.Before(c.opts.NotBefore) {
		up.GatewayTime = time.Time{} // a gateway whose clock was never set
	}
	m, err := frame.TypeOf(up.PHYPayload)
	switch {
	case err != nil:
		c.drop(DropMalformed, Event{Gateway: g.ID, Err: err})
	case m == frame.UnconfirmedUp || m == frame.ConfirmedUp:
		c.dataUplink(g, up)
	case m == frame.TypeJoinRequest:
		c.joinRequest(g, up)
	case m == frame.TypeRejoinRequest:
		c.drop(DropRejoin, Event{Gateway: g.ID, Err: errRejoin})
	default:
		c.drop(DropNotForUs, Event{Gateway: g.ID, Err: errNotForUs})
	}
}

var (
	errRejoin   = errors.New("rejoin-requests are not served by this version")
	errNotForUs = errors.New("not an uplink of LoRaWAN")
)

// dataUplink takes a data frame: a copy of one that is known, or a new one.
func (c *Core) dataUplink(g *gateway.Gateway, up radio.Uplink) {
	if r := c.receptions[string(up.PHYPayload)]; r != nil {
		c.another(g, r, up)
		return
	}
	r := &reception{
		deadline: c.now.Host.Add(c.opts.Deduplication),
		forget:   c.now.Host.Add(c.opts.Deduplication + swallowFor),
	}
	d := &r.data
	if err := d.Parse(up.PHYPayload); err != nil {
		c.drop(DropMalformed, Event{Gateway: g.ID, Err: err})
		return
	}
	m, err := c.opts.Devices.Match(d, session.Reception{DataRate: up.DataRate, Frequency: up.Frequency}, c.now.Host)
	if err != nil {
		c.unmatched(g, d, m, err)
		return
	}
	r.key, r.match, r.ids = string(up.PHYPayload), m, c.uplinkCorrelation(&up)
	r.keep(&up)
	r.hears(&up)
	switch {
	case !begins(&m, d):
		c.drop(DropRekey, Event{Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt, Err: errRekey})
	case m.Accept():
		c.accepted(g, r)
	case m.Session.Repeat():
		c.remember(r)
		c.repeated(g, r, &up)
	default:
		c.unmatched(g, d, m, session.ErrReplay)
	}
}

// unmatched tells why a frame is dropped.
func (c *Core) unmatched(g *gateway.Gateway, d *frame.Data, m session.Match, err error) {
	e := Event{Gateway: g.ID, DevAddr: d.DevAddr, HasDevAddr: true, FCnt: uint32(d.FCnt), Err: err}
	if m.Device != nil {
		e.Device, e.FCnt = m.Device.ID, m.FCnt
	}
	reason := DropMIC
	for r, target := range matchErrors {
		if errors.Is(err, target) {
			reason = r
		}
	}
	c.drop(reason, e)
}

var matchErrors = map[DropReason]error{
	DropDevAddr: session.ErrDevAddr, DropMIC: session.ErrMIC, DropReplay: session.ErrReplay,
	DropGap: session.ErrGap, DropUnserved: session.ErrUnserved, DropBudget: session.ErrBudget,
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

// repeated takes a frame that the device sends once more: it opens its receive
// windows again, decides nothing about a confirmed downlink, and is not
// published again.
func (c *Core) repeated(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	c.stats.Repeated++
	r.done = true
	m := &r.match
	c.report(Event{Kind: UplinkRepeated, Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
	c.overtaken(m.Device)
	c.openWindows(r, up)
}

// accepted takes the first copy of a new frame.
func (c *Core) accepted(g *gateway.Gateway, r *reception) {
	m, up := &r.match, &r.copies[0]
	dev := m.Device
	c.overtaken(dev)
	if m.Session == dev.Pending {
		if dev.Session != nil { // no frame of the new one acknowledges what was sent in it
			c.decided(dev, dev.Session, false, r.ids)
		}
		// A device of LoRaWAN 1.1 that was told RekeyConf does not say again that
		// it has begun.
		c.opts.Devices.TakeUp(dev)
	}
	h := &dev.History
	h.Uplink(m.FCnt, up.DataRate)
	h.HeardBy(up.Gateway)
	if m.Reset {
		c.report(Event{Kind: CounterRestarted, Gateway: g.ID, Device: dev.ID, FCnt: m.FCnt})
	}
	c.decided(dev, m.Session, r.data.ACK, r.ids)
	c.openWindows(r, up)
	c.remember(r)
	if r.expected = c.expected(h, up.Gateway); len(r.expected) == 0 {
		c.publish(r)
	} else {
		c.waiting = append(c.waiting, r)
	}
}

// openWindows begins the exchange of a data frame.
func (c *Core) openWindows(r *reception, up *radio.Uplink) {
	dev, s := r.match.Device, r.match.Session
	plan, err := dev.FrequencyPlan()
	if err != nil {
		return // not reached: a device without a plan is not served
	}
	x := &exchange{device: dev, session: s, fCnt: r.match.FCnt, rate: up.DataRate, heard: up.Received, ids: r.ids, time: c.gpsTime(up)}
	if x.windows, err = windowsOf(plan, mac.Windows(dev, s, plan), up); err != nil {
		c.report(Event{Kind: WindowsUnknown, Gateway: c.gateway(up.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: err})
		return
	}
	commands := mac.Commands(&r.data, r.match.FCnt, s.Cipher(dev.Version))
	x.owed = mac.Uplink(&r.data, commands, mac.UplinkContext{Device: dev, Session: s, TimeKnown: x.time != 0})
	r.exchange = x
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

func (c *Core) remember(r *reception) {
	if len(c.remembered) >= maxReceptions {
		c.forgetOldest()
	}
	c.receptions[r.key] = r
	c.remembered = append(c.remembered, r)
}

func (c *Core) forgetOldest() {
	r := c.remembered[0]
	if !r.done {
		c.publish(r)
	}
	if c.receptions[r.key] == r { // and not the same bytes, heard anew
		delete(c.receptions, r.key)
	}
	c.remembered[0] = nil
	c.remembered = c.remembered[1:]
}

// another takes the bytes of a frame that is known already: a ghost, a
// repetition by the device, or a copy through another gateway.
func (c *Core) another(g *gateway.Gateway, r *reception, up radio.Uplink) {
	for _, h := range r.heard {
		if h.gateway != up.Gateway {
			continue
		}
		if d := up.Time - h.at; d >= -ghostWindow && d <= ghostWindow {
			c.stats.Ghosts++
			return
		}
		c.again(g, r, &up)
		return
	}
	c.stats.Copies++
	r.hears(&up)
	if r.exchange != nil && !r.exchange.over {
		r.exchange.addWay(g, &up)
		c.arrange(r.exchange)
	}
	if r.match.Device != nil {
		r.match.Device.History.HeardBy(up.Gateway)
	}
	if r.done {
		return
	}
	r.keep(&up)
	r.expected = slices.DeleteFunc(r.expected, func(e radio.EUI64) bool { return e == up.Gateway })
	if len(r.expected) == 0 {
		c.publish(r)
	}
}

// again takes the same bytes that a gateway has heard a while ago.
func (c *Core) again(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	if r.joins != nil {
		if req, err := frame.ParseJoinRequest(up.PHYPayload); err == nil {
			c.refuseJoin(g, r.joins, req, JoinUsedNonce, mac.ErrDevNonce)
		}
		return
	}
	m := &r.match
	switch {
	case !c.opts.Devices.Uses(m.Device, m.Session): // its session has ended meanwhile
		c.unmatched(g, &r.data, session.Match{}, session.ErrDevAddr)
		return
	case !r.done, m.FCnt != m.Session.FCntUp, !m.Session.Repeat():
		c.unmatched(g, &r.data, *m, session.ErrReplay)
		return
	}
	r.heard = nil
	r.hears(up)
	c.repeated(g, r, up)
}

// settle does what the time has come for, and arms the timer for what is next.
func (c *Core) settle() {
	for len(c.waiting) > 0 && (c.waiting[0].done || c.waiting[0].deadline <= c.now.Host) {
		if !c.waiting[0].done {
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
	if c.lowerAt != 0 {
		sooner(c.lowerAt)
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
	r.done = true
	dev, d, first := r.match.Device, &r.data, &r.copies[0]
	if d.HasFPort && d.FPort == testPort {
		c.drop(DropTestPort, Event{Gateway: c.gateway(first.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: errTestPort})
		r.release()
		return
	}
	m := v3.Uplink{
		DeviceIDs: v3.IDs(dev), CorrelationIDs: r.ids,
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
	for i := range r.copies {
		up := &r.copies[i]
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
	r.release()
}

var errTestPort = errors.New("FPort 224 is for the test protocol, not for applications")

// release lets go of what only publishing needs.
func (r *reception) release() {
	r.copies, r.expected = nil, nil
	r.oneCopy[0] = radio.Uplink{}
}

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
