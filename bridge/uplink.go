package bridge

import (
	"errors"
	"slices"
	"strings"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
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
	key    string // PHYPayload
	match  session.Match
	data   *frame.Data
	copies []radio.Uplink // the first one opened the windows
	heard  []hearing      // the same, and those that came too late

	expected []radio.EUI64  // gateways that have not reported yet
	deadline radio.HostTime // for these
	done     bool           // published
	forget   radio.HostTime // when copies are no longer known as such
}

// hearing is when a gateway heard a frame.
type hearing struct {
	gateway radio.EUI64
	at      radio.ConcentratorTime
}

// heard takes a frame.
func (c *Core) heard(up radio.Uplink) {
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
	case m == frame.TypeJoinRequest || m == frame.TypeRejoinRequest:
		c.drop(DropJoin, Event{Gateway: g.ID, Err: errJoin})
	default:
		c.drop(DropNotForUs, Event{Gateway: g.ID, Err: errNotForUs})
	}
}

var (
	errJoin     = errors.New("joins are not served by this version")
	errNotForUs = errors.New("not an uplink of LoRaWAN")
)

// dataUplink takes a data frame: a copy of one that is known, or a new one.
func (c *Core) dataUplink(g *gateway.Gateway, up radio.Uplink) {
	if r := c.receptions[string(up.PHYPayload)]; r != nil {
		c.another(g, r, up)
		return
	}
	d, err := frame.ParseData(up.PHYPayload)
	if err != nil {
		c.drop(DropMalformed, Event{Gateway: g.ID, Err: err})
		return
	}
	m, err := c.opts.Devices.Match(d, c.now.Host)
	if err != nil {
		c.unmatched(g, d, m, err)
		return
	}
	if !m.Accept() {
		c.repeated(g, m)
		return
	}
	c.accepted(g, m, d, up)
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

func (c *Core) repeated(g *gateway.Gateway, m session.Match) {
	c.stats.Repeated++
	c.report(Event{Kind: UplinkRepeated, Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
}

// accepted takes the first copy of a new frame.
func (c *Core) accepted(g *gateway.Gateway, m session.Match, d *frame.Data, up radio.Uplink) {
	h := &m.Device.History
	h.Uplink(m.FCnt, up.DataRate)
	h.HeardBy(up.Gateway)
	if m.Reset {
		c.report(Event{Kind: CounterRestarted, Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
	}
	c.do(Keep{Record: CountersRecord(m.Device), Lag: true})
	r := &reception{
		key: string(up.PHYPayload), match: m, data: d,
		copies: []radio.Uplink{up}, heard: []hearing{{up.Gateway, up.Time}},
		deadline: c.now.Host.Add(c.opts.Deduplication),
		forget:   c.now.Host.Add(c.opts.Deduplication + swallowFor),
	}
	c.remember(r)
	if r.expected = c.expected(h, up.Gateway); len(r.expected) == 0 {
		c.publish(r)
	} else {
		c.waiting = append(c.waiting, r)
	}
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
	delete(c.receptions, r.key)
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
		} else {
			c.repeated(g, r.match)
		}
		return
	}
	c.stats.Copies++
	r.heard = append(r.heard, hearing{up.Gateway, up.Time})
	r.match.Device.History.HeardBy(up.Gateway)
	if r.done {
		return
	}
	r.copies = append(r.copies, up)
	r.expected = slices.DeleteFunc(r.expected, func(e radio.EUI64) bool { return e == up.Gateway })
	if len(r.expected) == 0 {
		c.publish(r)
	}
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
	var next radio.HostTime
	switch {
	case len(c.waiting) > 0:
		next = c.waiting[0].deadline
	case len(c.remembered) > 0:
		next = c.remembered[0].forget
	}
	if next != 0 && (c.armed == 0 || next < c.armed) {
		c.armed = next
		c.do(Arm{At: next})
	}
}

// publish makes the "up" message of a frame.
func (c *Core) publish(r *reception) {
	r.done = true
	dev, d, first := r.match.Device, r.data, &r.copies[0]
	if d.HasFPort && d.FPort == testPort {
		c.drop(DropTestPort, Event{Gateway: c.gateway(first.Gateway).ID, Device: dev.ID, FCnt: r.match.FCnt, Err: errTestPort})
		r.release()
		return
	}
	m := v3.Uplink{
		DeviceIDs: v3.IDs(dev), CorrelationIDs: c.uplinkCorrelation(first),
		ReceivedAt: c.now.at(c.now.Host), FrameReceivedAt: c.now.at(first.Received),
		SessionKeyID: dev.Session.KeyID, FCnt: r.match.FCnt, Confirmed: d.Confirmed(),
		Locations: dev.Locations, VersionIDs: dev.VersionIDs,
	}
	if d.HasFPort && d.FPort > 0 {
		m.FPort, m.FRMPayload = d.FPort, d.Decrypt(dev.Session.Keys.AppSKey, r.match.FCnt)
	}
	m.Lost, m.LostOf = dev.History.Lost()
	m.Settings = c.settings(dev, first)
	m.ConsumedAirtime, _ = radio.TimeOnAir(radio.Packet{DataRate: first.DataRate, CodingRate: first.CodingRate, Size: len(first.PHYPayload)})
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
	payload := c.opts.Encoder.AppendUplink(make([]byte, 0, 1536), &m)
	c.stats.Published++
	c.do(Publish{v3.Message{Application: dev.ID.Application, Device: dev.ID.Device, Suffix: v3.Up, Payload: payload}})
	r.release()
}

var errTestPort = errors.New("FPort 224 is for the test protocol, not for applications")

// release lets go of what only publishing needs.
func (r *reception) release() { r.data, r.copies, r.expected = nil, nil, nil }

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

// uplinkCorrelation names a frame: its gateway's connection, and its way
// through gateway, network and application server, in the order of the alphabet.
func (c *Core) uplinkCorrelation(up *radio.Uplink) []string {
	ids := make([]string, 0, 4)
	ids = append(ids, c.correlationID(v3.ApplicationUp))
	if conn := c.gateway(up.Gateway).Connection; conn != "" {
		ids = append(ids, conn)
	}
	ids = append(ids, c.correlationID(v3.GatewayUplink), c.correlationID(v3.NetworkUplink))
	slices.SortFunc(ids, strings.Compare)
	return ids
}

// CountersRecord returns what the store keeps of a device's counters.
func CountersRecord(d *session.Device) store.Record {
	return store.Record{Kind: KindCounters, Key: d.ID.String(), Version: recordVersion, Data: session.AppendCounters(nil, d.Session)}
}
