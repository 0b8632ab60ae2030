package core

import (
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const (
	// maxReceptions bounds the frames that are remembered: radio brings at most
	// some 300 in a second, and each is remembered for 12 to 26 s.
	maxReceptions = 8192
	// repeatWithin is how long after RX1 of a frame a device may send it again.
	// Source: The Things Stack v3.32.1, pkg/networkserver: maximum
	// retransmission delay.
	repeatWithin = 11 * time.Second
	// betweenWindows is the time from RX1 to RX2, in all regions.
	betweenWindows = time.Second
	// windowMargin is how long after its begin RX2 counts as open: what the host
	// knows of a gateway's clock is an estimate.
	windowMargin = 500 * time.Millisecond
	// ghostWindow is how far apart one concentrator can hear one frame.
	ghostWindow = 20 // µs
)

// reception is a frame as it was sent once, with all of its copies. It is
// remembered as long as the device may send the frame again, which is longer than
// its receive windows are open: no copy, however late, is taken for another frame
// meanwhile.
//
// At first it gathers copies; then it is published, and little is kept of it.
type reception struct {
	key         string          // PHYPayload
	match       session.Match   // zero with a join-request
	joins       *session.Device // whose join-request it is; nil: it is data
	again       bool            // it was sent before
	hearings    []hearing       // by source
	opportunity *opportunity    // to answer it; nil: there is none, or more paths are of no use to it
	gathering   *gathering      // nil: it is published, or is not to be
	deadline    radio.HostTime  // for gateways that have not reported yet

	rx1     time.Duration  // delay of RX1
	ended   radio.HostTime // the soonest that any gateway has told: the others' delay is not known in full
	gps     radio.GPSTime  // the same; 0 where it is not known
	closed  radio.HostTime // when the last window is over
	expires radio.HostTime // when the device cannot send it again any more

	one [1]hearing // room for hearings: nearly always there is one
}

// hearing is when a source heard a frame.
type hearing struct {
	source session.Source
	at     radio.ConcentratorTime
}

// gathering is what a frame is published with.
type gathering struct {
	data     frame.Data // parts of the PHYPayload of the first copy
	ids      []string   // correlation ids
	copies   []radio.Uplink
	expected []radio.EUI64 // gateways that have not reported yet

	one [1]radio.Uplink // room for copies
}

// newGathering returns an empty gathering: that of a frame before, if there is
// one, as every frame needs one and nearly all only for a moment.
func (c *Core) newGathering() *gathering {
	if c.spare == nil {
		c.spare = new(gathering)
	}
	return c.spare
}

// release keeps a gathering that is not needed any more for the next frame.
func (c *Core) release(p *gathering) {
	*p = gathering{}
	c.spare = p
}

// addHearing notes that a source has heard the frame. What the clock of a stranger
// shows is not believed.
func (r *reception) addHearing(up *radio.Uplink) {
	if r.hearings == nil {
		r.hearings = r.one[:0]
	}
	from := session.SourceOf(up)
	r.hearings = append(r.hearings, hearing{from, up.Time})
	if from.Foreign {
		return
	}
	r.ended = min(r.ended, up.Ended)
	r.closed = r.ended.Add(r.rx1 + betweenWindows + windowMargin)
	if r.gps == 0 {
		r.gps = up.GPS
	}
}

// receptionOf returns what is remembered of a frame, or nil. That of a session which
// has ended meanwhile is nothing to go by.
func (c *Core) receptionOf(phy []byte) *reception {
	r := c.receptions[string(phy)]
	if r == nil || c.now.Host >= r.expires || r.match.Device != nil && !c.opts.Devices.Uses(r.match.Device, r.match.Session) {
		return nil
	}
	return r
}

// rx1Delay returns how long after a frame in a session RX1 opens; s is nil for
// join-requests.
func (c *Core) rx1Delay(d *session.Device, s *session.Session) time.Duration {
	plan, err := d.FrequencyPlan()
	if err != nil {
		return 0 // not reached: a device without a plan is not served
	}
	return mac.Windows(d, s, plan).Delay
}

// remember begins the reception of a frame. Where the same bytes are remembered
// already, they were sent before, and are known by this reception from now on.
func (c *Core) remember(key string, up *radio.Uplink, rx1 time.Duration) *reception {
	if len(c.remembered) >= maxReceptions {
		c.evictOldest()
	}
	r := &reception{key: key, rx1: rx1, ended: up.Received, expires: up.Received.Add(rx1 + repeatWithin)}
	r.closed = r.ended.Add(rx1 + betweenWindows + windowMargin)
	r.addHearing(up)
	c.receptions[key] = r
	c.remembered = append(c.remembered, r)
	return r
}

func (c *Core) evictOldest() {
	r := c.remembered[0]
	if r.gathering != nil {
		c.publish(r)
	}
	if c.receptions[r.key] == r { // and not the same bytes, sent again
		delete(c.receptions, r.key)
	}
	c.remembered[0] = nil
	c.remembered = c.remembered[1:]
}

// heardAgain takes the bytes of a frame that is known already: a ghost, a copy
// through another gateway, or a repetition by the device.
func (c *Core) heardAgain(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	from := session.SourceOf(up)
	i := slices.IndexFunc(r.hearings, func(h hearing) bool { return h.source == from })
	if i < 0 {
		if from.Foreign || c.isCopy(g, r, up) {
			c.takeCopy(g, r, up)
		} else {
			c.sentAgain(g, r, up)
		}
		return
	}
	switch d := up.Time - r.hearings[i].at; {
	case d >= -ghostWindow && d <= ghostWindow:
		c.stats.Ghosts++
	case d < 0 || from.Foreign: // one that was sent before, and comes late; or the word of a stranger
		c.stats.Copies++
	default:
		c.sentAgain(g, r, up)
	}
}

// clockSettles is how long the estimate of a gateway's clock may be wrong after
// its first frame: that may have been held up, and seem to have ended only now.
// What a network holds up comes within that time (radio.Clock).
const clockSettles = 10 * time.Second

// isCopy reports whether a frame that its source has not heard yet is one with
// r, and was not sent again since: a device waits for RX1 before it does that.
//
// What was heard by two gateways can be compared by GPS, or by what the host
// knows of their clocks. In doubt it is a copy: an answer too few costs less than
// two gateways that send different ones.
func (c *Core) isCopy(g *gateway.Gateway, r *reception, up *radio.Uplink) bool {
	if d := time.Duration(up.GPS - r.gps); up.GPS != 0 && r.gps != 0 && d.Abs() < r.rx1 {
		return true
	}
	return up.Ended < r.ended.Add(r.rx1) || c.now.Host < r.closed || c.now.Host < g.HeardSince.Add(clockSettles)
}

// takeCopy takes a copy of a frame. While a window of the frame is ahead it is one
// more way to answer it.
func (c *Core) takeCopy(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	c.stats.Copies++
	if r.again && up.Ended.Add(r.rx1) < r.ended {
		return // of what was sent before
	}
	r.addHearing(up)
	if x := r.opportunity; x != nil {
		x.addPath(g, up)
		c.hold(x)
	}
	if r.match.Device != nil {
		r.match.Device.History.HeardBy(up)
	}
	p := r.gathering
	if p == nil {
		return
	}
	p.copies = append(p.copies, *up)
	p.expected = slices.DeleteFunc(p.expected, func(e radio.EUI64) bool { return e == up.Gateway })
	if len(p.expected) == 0 {
		c.publish(r)
	}
}

// hasMIC reports whether the frame ends with a MIC.
func (r *reception) hasMIC(mic [4]byte) bool { return r.key[len(r.key)-len(mic):] == string(mic[:]) }

// sentAgain takes a frame that its device sends once more.
func (c *Core) sentAgain(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	if r.joins != nil {
		c.rememberJoin(r.joins, nil, up)
		if req, err := frame.ParseJoinRequest(up.PHYPayload); err == nil {
			c.refuseJoin(g, r.joins, req, event.JoinUsedNonce, mac.ErrDevNonce)
		}
		return
	}
	var d frame.Data
	if err := d.Parse(up.PHYPayload); err != nil {
		return // not reached: these bytes were parsed before
	}
	m := &r.match
	isLast := m.FCnt == m.Session.FCntUp && r.hasMIC(m.Session.LastMIC())
	if r.gathering != nil || !isLast || !m.Session.Repeat(d.MIC) {
		c.unmatched(g, &d, *m, session.ErrReplay)
		return
	}
	c.repeated(g, m, &d, up)
}

// otherMIC takes the last frame of a device with another MIC, which is right: with
// LoRaWAN 1.1 a frame that is sent again by another channel has another one. With
// the same MIC it is one that was forgotten.
func (c *Core) otherMIC(g *gateway.Gateway, m *session.Match, d *frame.Data, up *radio.Uplink) {
	mic := m.Session.LastMIC()
	last := append(slices.Clone(up.PHYPayload[:len(up.PHYPayload)-len(mic)]), mic[:]...)
	if r := c.receptionOf(last); r != nil {
		c.heardAgain(g, r, up)
	} else {
		c.unmatched(g, d, *m, errTooLate)
	}
}

var errTooLate = fmt.Errorf("the last frame once more, later than its device sends it again: %w", session.ErrReplay)

// repeated opens the receive windows of a frame again. It decides nothing about a
// confirmed downlink, and is not published again.
func (c *Core) repeated(g *gateway.Gateway, m *session.Match, d *frame.Data, up *radio.Uplink) {
	c.stats.Repeated++
	c.report(event.Event{Kind: event.UplinkRepeated, Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
	c.overtaken(m.Device)
	r := c.remember(string(up.PHYPayload), up, c.rx1Delay(m.Device, m.Session))
	r.match, r.again = *m, true
	c.openWindows(r, d, c.uplinkIDs(up), up)
}

// expected returns the other gateways on line that have heard the device
// lately; of a device that is new, all of them.
func (c *Core) expected(h *session.History, first radio.EUI64) (out []radio.EUI64) {
	if c.opts.Gateways.Online() < 2 {
		return nil
	}
	c.opts.Gateways.EachOnline(func(g *gateway.Gateway) bool {
		if _, heard := h.Path(g.EUI); g.EUI != first && (heard || h.New()) {
			out = append(out, g.EUI)
		}
		return true
	})
	return out
}
