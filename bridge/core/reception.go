package core

import (
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/hearing"
	"lorawand/bridge/joins"
	"lorawand/bridge/mac"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// maxReceptions bounds the frames that are remembered: the radio brings at most
// 300 a second, and each is remembered for 12 to 26 s.
const maxReceptions = 8192

// reception is a frame as it was sent once, with all of its copies. It is
// remembered for as long as the device may send the frame again. That is longer
// than the receive windows are open: so no late copy is taken for another frame.
//
// At first it gathers copies. Then it is published, and the gathering is released.
type reception struct {
	key         string          // PHYPayload
	match       session.Match   // zero with a join-request
	joins       *session.Device // whose join-request it is; nil: it is data
	again       bool            // it was sent before
	heard       hearing.Frame
	opportunity *opportunity       // to answer it; nil: there is none, or more paths are of no use to it
	gathering   *hearing.Gathering // nil: it is published, or is not to be
	deadline    radio.HostTime     // for gateways that have not reported yet
}

// receptionOf returns the reception of a frame that is remembered, or nil. If the
// session of the frame has ended meanwhile, it does not count.
func (c *Core) receptionOf(phy []byte) *reception {
	r := c.receptions[string(phy)]
	if r == nil || c.now.Host >= r.heard.Expires() {
		return nil
	}
	if m := &r.match; m.Device != nil && !c.opts.Devices.Uses(m.Device, m.Session) {
		return nil
	}
	return r
}

// remember begins the reception of a frame. If the same bytes are remembered
// already, the device has sent them before, and this reception takes their place.
func (c *Core) remember(key string, up *radio.Uplink, rx1 time.Duration) *reception {
	if len(c.remembered) >= maxReceptions {
		c.evictOldest()
	}
	r := &reception{key: key}
	r.heard.Begin(up, rx1)
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
	switch r.heard.Kind(up, c.now.Host, g.HeardSince) {
	case hearing.Ghost:
		c.stats.Ghosts++
		c.heardLouder(g, r, up)
	case hearing.Copy:
		c.takeCopy(g, r, up)
	case hearing.Late:
		c.stats.Copies++
	default:
		c.sentAgain(g, r, up)
	}
}

// takeCopy takes a copy of a frame. While a window of the frame is ahead, the copy
// adds paths by which it can be answered.
func (c *Core) takeCopy(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	c.stats.Copies++
	if r.again && r.heard.Before(up) {
		return // of what was sent before
	}
	r.heard.Add(up)
	if x := r.opportunity; x != nil {
		x.addPath(g, up)
		c.retune(x, up)
	}
	if r.match.Device != nil {
		r.match.Device.History.HeardBy(up)
	}
	if p := r.gathering; p != nil && p.Add(up) {
		c.publish(r)
	}
}

// heardLouder takes a ghost. Where it is stronger than what the gateway has reported before, that
// was heard beside the channel of the frame: this takes its place, in a message that still waits too.
func (c *Core) heardLouder(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	if !r.heard.Louder(up) {
		return
	}
	if x := r.opportunity; x != nil && !x.isOver() {
		x.Replace(g, up)
		c.retune(x, up)
	}
	if r.match.Device != nil {
		r.match.Device.History.HeardBy(up)
	}
	if p := r.gathering; p != nil {
		p.Replace(up)
	}
}

// retune has RX1 follow the channel of the strongest copy, and holds a place in it.
func (c *Core) retune(x *opportunity, up *radio.Uplink) {
	if !x.isOver() && x.reception.heard.Loudest(up) {
		x.Follow(x.windowsAfter(up))
	}
	c.hold(x)
}

// hasMIC reports whether the frame ends with a MIC.
func (r *reception) hasMIC(mic [4]byte) bool { return r.key[len(r.key)-len(mic):] == string(mic[:]) }

// sentAgain takes a frame that its device sends once more.
func (c *Core) sentAgain(g *gateway.Gateway, r *reception, up *radio.Uplink) {
	if r.joins != nil {
		c.rememberJoin(r.joins, nil, up)
		if req, err := joins.Parse(up.PHYPayload, g.ID); err == nil {
			no := req.Again(r.joins)
			c.refuseJoin(req, no.Why, no.Err)
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

// otherMIC takes the last frame of a device with another MIC that is right: with
// LoRaWAN 1.1 the MIC of a frame changes when it is sent again on another channel.
// With the same MIC it is a frame that is not remembered any more.
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

// repeated opens the receive windows of a frame again. The frame acknowledges
// nothing, and is not published again.
func (c *Core) repeated(g *gateway.Gateway, m *session.Match, d *frame.Data, up *radio.Uplink) {
	c.stats.Repeated++
	m.Device.History.Repeated()
	c.report(event.Event{Kind: event.UplinkRepeated, Gateway: g.ID, Device: m.Device.ID, FCnt: m.FCnt})
	c.overtaken(m.Device)
	r := c.remember(string(up.PHYPayload), up, mac.RX1Delay(m.Device, m.Session))
	r.match, r.again = *m, true
	c.openWindows(r, d, c.uplinkIDs(up), up)
}
