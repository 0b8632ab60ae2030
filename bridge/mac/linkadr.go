package mac

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio/region"
)

// LinkADRReq has data rate and power, a mask of 16 channels, which 16 these are or
// what else the mask means (ChMaskCntl), and NbTrans (LoRaWAN L2 1.0.4, 5.2).
const maskSize = 16

// link is what LinkADRReq sets, beside the channels.
type link struct{ dataRate, power, nbTrans uint8 }

func (a *asking) wantMask(l link, cntl uint8, mask uint16) {
	a.want(cidLinkADR, l.dataRate<<4|l.power&0x0f, byte(mask), byte(mask>>8), cntl<<4|l.nbTrans&0x0f)
}

// wantLinkADR asks for the plan's channels where these are told by masks, and for
// what ADR has decided.
func wantLinkADR(a *asking) {
	if open := a.Session.MAC.Open(cidLinkADR); len(open) > 0 && a.waits(open) {
		a.wanted = append(a.wanted, open...)
		return
	}
	l, adapt := a.adapt()
	switch {
	case !a.Plan.FixedChannels() && adapt:
		a.wantMask(l, 0, a.mask())
	case a.Plan.FixedChannels() && !a.masked():
		a.wantMasks(l, a.Plan.StartMask())
	case a.Plan.FixedChannels() && adapt:
		a.wantMasks(l, a.Plan.PlanMask())
	}
}

// waits reports whether the last request still stands: the device has sent with the
// same data rate ever since. What was decided is not decided anew with each uplink,
// or the request would never come to rest.
func (a *asking) waits(open []macstate.Command) bool {
	asked := uint32(0)
	for i := range a.Session.MAC.Asked {
		if r := &a.Session.MAC.Asked[i]; r.Command == open[0] {
			asked = r.FCntUp
		}
	}
	return asked >= a.Device.History.From() || asked == a.FCnt
}

// mask returns the channels of the plan that the device has, by number.
func (a *asking) mask() (mask uint16) {
	var room [maxChannels]session.Channel
	for i, c := range channels(a.Device, a.Session, a.Plan, room[:0]) {
		for _, p := range a.Plan.Channels() {
			if i < maskSize && c.Enabled && c.UplinkFrequency == p.Frequency && p.MinDR < p.MaxDR {
				mask |= 1 << i
			}
		}
	}
	return mask
}

// masked reports whether the device uses the plan's channels alone: a join-accept
// or LinkADRReq has told it.
func (a *asking) masked() bool {
	m := a.Session.MAC
	told := a.Device.SupportsJoin && len(a.Plan.CFList().Masks) > 0 && (m == nil || !m.NoCFList)
	return told || m != nil && m.Masked
}

// wantMasks asks for the plan's channels of a band whose channels are all laid down,
// in as few requests as that takes from the channels that the device has.
func (a *asking) wantMasks(l link, has region.ChannelMask) {
	for _, m := range a.Plan.LinkMasks(has, a.Plan.PlanMask()) {
		a.wantMask(l, m.Cntl, m.Mask)
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
	mask, rate, power := status[0]&1 != 0, status[0]&2 != 0, status[0]&4 != 0
	asked := open[len(open)-1].Bytes()
	ok := mask && rate && power
	m := s.MAC
	for _, c := range open {
		m = m.Answered(c, ok)
	}
	p := Current(ctx.Device, s, ctx.Plan)
	was := link{p.ADRDataRate, p.ADRTXPower, max(p.ADRNbTrans, 1)}
	is := link{asked[0] >> 4, asked[0] & 0x0f, max(asked[3]&0x0f, 1)}
	s.SetMAC(m.With(func(m *macstate.State) {
		switch {
		case ok && is.dataRate != was.dataRate:
			m.LossyAt = 0
		case ok && is.nbTrans > was.nbTrans:
			m.LossyAt = was.nbTrans
		}
		m.LinkADR = m.LinkADR || ok
		m.Masked = m.Masked || ok && ctx.Plan.FixedChannels()
		if !rate {
			m.NoRates |= 1 << (asked[0] >> 4)
		}
		if !power {
			m.NoPowers |= 1 << (asked[0] & 0x0f)
		}
	}))
	if ok {
		p.ADRDataRate, p.ADRTXPower, p.ADRNbTrans = is.dataRate, is.power, is.nbTrans
		s.SetParameters(&p)
		before, _ := ctx.Plan.TXPower(was.power)
		after, _ := ctx.Plan.TXPower(is.power)
		ctx.Device.History.Adapted(after-before, is.nbTrans != was.nbTrans)
	}
	for _, c := range open {
		ctx.tell(c, ok)
	}
}
