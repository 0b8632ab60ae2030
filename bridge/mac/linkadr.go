package mac

import (
	"math"
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// LinkADRReq has data rate and power, a mask of 16 channels, which 16 these are or
// what else the mask means (ChMaskCntl), and NbTrans (LoRaWAN L2 1.0.4, 5.2).
const maskSize = 16

// link is what LinkADRReq sets, beside the channels.
type link struct{ dataRate, power, nbTrans uint8 }

func (a *asking) wantMask(l link, cntl uint8, mask uint16) {
	a.want(cidLinkADR, l.dataRate<<4|l.power&0x0f, byte(mask), byte(mask>>8), cntl<<4|l.nbTrans&0x0f)
}

// wantLinkADR asks for the channels that the device is to use, with or without ADR, where
// it uses others, and for what ADR has decided.
func wantLinkADR(a *asking) {
	if a.Plan.FixedChannels() {
		a.wantBlock()
		return
	}
	mask, lacks := a.mask()
	if !lacks && !a.adapts() {
		return
	}
	open := a.Session.MAC.Open(cidLinkADR, math.MaxUint32)
	if len(open) > 0 && maskOf(&open[0]) == mask && a.waits(open) {
		a.wanted = append(a.wanted, open...)
		return
	}
	before := len(a.wanted)
	// A device refuses to be without channels.
	if l, adapt := a.adapt(); (lacks || adapt) && mask != 0 {
		a.wantMask(l, 0, mask)
	}
	if n := len(a.wanted); n > before && a.Session.MAC.MaskRefused(a.wanted[n-1]) {
		a.wanted = a.wanted[:before]
	}
}

// adapts reports whether the network may set the data rate.
func (a *asking) adapts() bool { return a.adr && !a.Device.Settings.MAC.ADR.Disabled }

// A LinkADRReq after some in vain is sent after 1, 2, 4 … uplinks, 64 at the most, whatever
// stands in it: a device that does not obey, or changes its data rate by itself time and
// again, does not get one with each uplink. What was in vain is forgotten after twice as
// many.
const maxLinkWait = 64

// patient reports whether it is time for a LinkADRReq.
func (a *asking) patient() bool {
	m := a.Session.MAC
	if m == nil || m.LinkTries == 0 || a.FCnt == m.LinkAt || a.ackReq {
		return true
	}
	return a.FCnt-m.LinkAt >= min(uint32(1)<<min(m.LinkTries-1, 30), maxLinkWait)
}

// countLinkADR notes in m that requests were sent in the windows of an uplink.
func countLinkADR(m *macstate.State, asked []macstate.Command, fCntUp uint32) {
	if !slices.ContainsFunc(asked, func(c macstate.Command) bool { return c.CID == cidLinkADR }) {
		return
	}
	if fCntUp-m.LinkAt >= 2*maxLinkWait {
		m.LinkTries = 0
	}
	m.LinkTries, m.LinkAt = min(m.LinkTries+1, maxLinkTries), fCntUp
}

const maxLinkTries = 10

// wake has a request asked once more that rests: a device that has heard nothing for long
// asks for a downlink, and the request goes with that.
func (a *asking) wake() {
	m := a.Session.MAC
	if awake := m.Wake(cidLinkADR); a.ackReq && awake != m {
		a.woken = true
		a.Session.SetMAC(awake)
	}
}

// revert notes that a device has gone back to a lower data rate by itself, because it
// has not heard us: it sends with full power. With the lowest data rate it may use all
// channels of the band again (LoRaWAN L2 1.0.4, 4.3.1.1).
func (a *asking) revert() {
	s := a.Session
	if s.MAC == nil || !s.MAC.LinkADR || !a.adapts() || a.dataRate >= a.now.ADRDataRate {
		return
	}
	a.now.ADRDataRate, a.now.ADRTXPower = a.dataRate, 0
	p := a.now
	s.SetParameters(&p)
	if a.FCnt-s.MAC.LinkAt < maxLinkWait { // no device gives up as soon
		s.SetMAC(s.MAC.With(func(m *macstate.State) { m.LinkTries = min(m.LinkTries+1, maxLinkTries) }))
	}
	low, _ := a.Plan.ADRDataRates()
	switch {
	case a.dataRate > low:
	case !a.Plan.FixedChannels():
		a.revertChannels()
	default:
		a.revertBlock()
	}
}

// revertChannels notes that the device uses the band's own channels again.
func (a *asking) revertChannels() {
	own := len(a.Plan.DefaultChannels())
	off := func(c session.Channel) bool { return !c.Enabled }
	if has := a.now.Channels; len(has) < own || !slices.ContainsFunc(has[:own], off) {
		return
	}
	a.now.Channels = slices.Clone(a.now.Channels)
	for n := range own {
		a.now.Channels[n].Enabled = true
	}
	p := a.now
	a.Session.SetParameters(&p)
}

// waits reports whether the last request still stands: the device has sent with the
// same data rate ever since, or with the one that it was asked for and has not answered.
// What was decided is not decided anew with each uplink, or the request would never
// come to rest.
func (a *asking) waits(open []macstate.Command) bool {
	asked := uint32(0)
	for i := range a.Session.MAC.Asked {
		if r := &a.Session.MAC.Asked[i]; r.Command == open[0] {
			asked = r.FCntUp
		}
	}
	return asked >= a.Device.History.From() || asked == a.FCnt || open[0].Payload[0]>>4 == a.dataRate
}

// mask returns which channels the device is to use, by number, of those that it has and
// those that it is told of in the same frame. lacks reports whether it uses others now.
func (a *asking) mask() (mask uint16, lacks bool) {
	var room [maxChannels]session.Channel
	for n, c := range channels(a.Device, a.Session, a.Plan, room[:0]) {
		if n >= maskSize || c.UplinkFrequency == 0 {
			continue
		}
		on := a.uses(n, c.UplinkFrequency)
		if on {
			mask |= 1 << n
		}
		lacks = lacks || on != c.Enabled && !a.told(n, 0)
	}
	for _, c := range a.wanted {
		n, f := c.Payload[0], readFrequency(c.Payload[1:])
		if c.CID == cidNewChannel && n < maskSize && f != 0 && a.told(int(n), f) {
			mask |= 1 << n
		}
	}
	return mask, lacks
}

// uses reports whether the device is to use a channel that it has: by the owner's wish,
// else by the plan.
func (a *asking) uses(n int, f radio.Frequency) bool {
	if wish := a.wish.Channels; len(wish) > 0 {
		return n < len(wish) && wish[n].Enabled && wish[n].UplinkFrequency != 0
	}
	for _, c := range a.Plan.Channels() {
		if c.Frequency == f && c.MinDR < c.MaxDR {
			return true
		}
	}
	return false
}

// told reports whether a NewChannelReq for a channel goes with the frame, or will again:
// neither refused nor at rest.
func (a *asking) told(n int, f radio.Frequency) bool {
	m := a.Session.MAC
	for _, c := range a.wanted {
		is := c.CID == cidNewChannel && int(c.Payload[0]) == n && readFrequency(c.Payload[1:]) == f
		if is && !m.HasRefused(c) && !m.Resting(c) {
			return true
		}
	}
	return false
}

// maskOf returns the channels that a LinkADRReq names.
func maskOf(c *macstate.Command) uint16 { return uint16(c.Payload[1]) | uint16(c.Payload[2])<<8 }

// maskChannels notes in p which channels are in use after a LinkADRReq, where channels are
// told one by one.
func (ctx *UplinkContext) maskChannels(p *session.Parameters, c *macstate.Command) {
	if ctx.Plan.FixedChannels() || c.Payload[3]>>4&7 != 0 {
		return
	}
	has, changed := slices.Clone(channels(ctx.Device, ctx.Session, ctx.Plan, nil)), false
	for n := range has[:min(len(has), maskSize)] {
		if on := maskOf(c)>>n&1 == 1; has[n].UplinkFrequency != 0 && has[n].Enabled != on {
			has[n].Enabled, changed = on, true
		}
	}
	if changed {
		p.Channels = has
	}
}

// contradicts reports whether an uplink has answers to LinkADRReq that are not
// alike: the requests of a block are taken together or not at all (LoRaWAN L2 1.0.4,
// 5.2).
func contradicts(commands []byte) bool {
	first := -1
	for c, rest, ok := next(commands); ok; c, rest, ok = next(rest) {
		if c.cid != cidLinkADR {
			continue
		}
		status := int(c.payload[0] & 7)
		if first >= 0 && status != first {
			return true
		}
		first = status
	}
	return false
}

// linkADRAns: bits 0 to 2 say that the channels, the data rate and the power are
// accepted. The first answer settles the whole block.
func linkADRAns(_ *Owed, status []byte, ctx UplinkContext) {
	s := ctx.Session
	open := ctx.open(cidLinkADR)
	if len(open) == 0 || ctx.contradicts {
		return
	}
	asked := &open[len(open)-1]
	ok := status[0]&7 == 7
	m := s.MAC
	for _, c := range open {
		m = m.Answered(c, ok)
	}
	if ok {
		ctx.linked(m, asked)
	} else {
		m.LinkTries -= min(m.LinkTries, 1) // what is refused is not asked again
		m.RefuseLink(*asked, status[0]&1 == 0, status[0]&2 == 0, status[0]&4 == 0)
	}
	ctx.answeredBlock(m, open, status[0]&7)
	s.SetMAC(m)
	for _, c := range open {
		ctx.tell(c, ok)
	}
}

// linkOf returns what a LinkADRReq asks for.
func linkOf(c *macstate.Command) link {
	b := &c.Payload
	return link{b[0] >> 4, b[0] & 0x0f, max(b[3]&0x0f, 1)}
}

// linked notes in m, and in the session, that a device has another link now. The data
// rate is that of the answer: some devices accept one, and keep to their own.
func (ctx *UplinkContext) linked(m *macstate.State, asked *macstate.Command) {
	is := linkOf(asked)
	if dr, err := ctx.Plan.UplinkDataRate(ctx.Rate); err == nil && dr != is.dataRate {
		is.dataRate = dr
	} else {
		m.LinkTries -= min(m.LinkTries, 1) // it was not in vain
	}
	p := Current(ctx.Device, ctx.Session, ctx.Plan)
	was := link{p.ADRDataRate, p.ADRTXPower, max(p.ADRNbTrans, 1)}
	if d := m.Decision; !m.LinkADR && d != nil { // else it is not known
		was.dataRate = d.From
	}
	count(m, was, is)
	m.LinkADR = true
	p.ADRDataRate, p.ADRTXPower, p.ADRNbTrans = is.dataRate, is.power, is.nbTrans
	ctx.maskChannels(&p, asked)
	ctx.Session.SetParameters(&p)
	before, _ := ctx.Plan.TXPower(was.power)
	after, _ := ctx.Plan.TXPower(is.power)
	ctx.Device.History.Adapted(after-before, is.nbTrans != was.nbTrans || after < before)
}

// count notes what a device was told that has another link now than it was known to have.
func count(m *macstate.State, was, is link) {
	if is.dataRate != was.dataRate {
		m.Raised, m.Lowered, m.Swings = 0, false, 0
		return
	}
	switch {
	case is.nbTrans < was.nbTrans:
		m.Lowered = true
	case is.nbTrans > was.nbTrans && (m.Lowered || m.Raised == 0):
		m.Raised, m.Lowered = min(m.Raised+1, maxRaised), false
	}
	if is.power != was.power {
		m.Swings = min(m.Swings+1, maxSwings)
	}
}
