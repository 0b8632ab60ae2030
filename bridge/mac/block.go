package mac

import (
	"math"
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

// In bands whose channels are all laid down (US915, AU915, CN470) a device is told which of
// them to use by a block of LinkADRReqs. It takes them together or not at all, from 1.0.2 on;
// which forms of ChMaskCntl it knows depends on its version (region.Plan.LinkMasks).

// usedMask returns the channels that a device uses. told is false where nobody has told it:
// then these are all.
func usedMask(d *session.Device, s *session.Session, p *region.Plan) (mask region.ChannelMask, told bool) {
	m := s.MAC
	fresh := m == nil || !m.NoCFList
	switch {
	case m != nil && m.Mask != nil:
		return *m.Mask, true
	case m != nil && m.Masked: // of a store of before masks were noted
		return p.PlanMask(), true
	case s.Parameters != nil && len(s.Parameters.Channels) > 0:
		return macstate.UsedOf(s.Parameters.Channels, p), true
	case fresh && d.SupportsJoin && len(p.CFList().Masks) > 0:
		return p.PlanMask(), true
	case fresh && !d.SupportsJoin && len(d.Settings.Frequencies) > 0:
		made := func(f radio.Frequency) bool { return slices.Contains(d.Settings.Frequencies, f) }
		return macstate.MaskOf(p, made), true
	}
	return p.StartMask(), false
}

// wantedMask returns the channels that the device is to use: by the owner's wish, else by the
// plan. No device can be without.
func (a *asking) wantedMask() region.ChannelMask {
	if w := a.wish.Mask; w != nil && *w != (region.ChannelMask{}) {
		return *w
	}
	return a.Plan.PlanMask()
}

// wantBlock asks for the channels, and for what ADR has decided, in as few requests as that
// takes from the channels that the device has. Where it has refused the channels, it keeps to
// those that it was told before.
func (a *asking) wantBlock() {
	m := a.Session.MAC
	has, told := usedMask(a.Device, a.Session, a.Plan)
	want := a.wantedMask()
	if has != want && m != nil && m.NoChannels != nil && *m.NoChannels == want {
		if !told {
			return
		}
		want = has
	}
	if has == want && !a.adapts() {
		return
	}
	open := m.Open(cidLinkADR, math.MaxUint32)
	if len(open) > 0 && a.waits(open) && afterBlock(a.Plan, has, open) == want {
		a.wanted = append(a.wanted, open...)
		return
	}
	a.block = want
	l, adapt := a.adapt()
	if has == want && !adapt {
		return
	}
	l.dataRate = a.within(l.dataRate)
	for _, part := range a.Plan.LinkMasks(has, want) {
		a.wantMask(l, part.Cntl, part.Mask)
	}
}

// within returns the data rate that is next to one, of those that the channels have which the
// device is to use: the channels of 500 kHz have others.
func (a *asking) within(dataRate uint8) uint8 {
	if !a.Plan.FixedChannels() {
		return dataRate
	}
	nearest, least := dataRate, math.MaxInt
	for n, c := range a.Plan.DefaultChannels() {
		if !a.block.Has(n) {
			continue
		}
		dr := min(max(dataRate, c.MinDR), c.MaxDR)
		if off := max(int(dr)-int(dataRate), int(dataRate)-int(dr)); off < least {
			nearest, least = dr, off
		}
	}
	return nearest
}

// afterBlock returns the channels that a device uses once it has obeyed a block.
func afterBlock(p *region.Plan, mask region.ChannelMask, block []macstate.Command) region.ChannelMask {
	for i := range block {
		mask, _ = p.ApplyLinkMask(mask, region.LinkMask{Cntl: block[i].Payload[3] >> 4 & 7, Mask: maskOf(&block[i])})
	}
	return mask
}

// answeredBlock notes in m the channels that the device has taken, or has refused: only where
// these alone were refused they are the reason.
func (ctx *UplinkContext) answeredBlock(m *macstate.State, block []macstate.Command, status byte) {
	if !ctx.Plan.FixedChannels() {
		return
	}
	const channelsRefused = 6
	has, _ := usedMask(ctx.Device, ctx.Session, ctx.Plan)
	mask := afterBlock(ctx.Plan, has, block)
	switch status {
	case 7:
		m.Masked, m.Mask = true, &mask
	case channelsRefused:
		m.NoChannels = &mask
	}
}

// revertBlock notes that the device uses all channels again.
func (a *asking) revertBlock() {
	s := a.Session
	s.SetMAC(s.MAC.With(func(m *macstate.State) { m.Masked, m.Mask, m.NoCFList = false, nil, true }))
	if len(a.now.Channels) > 0 {
		a.now.Channels = nil
		p := a.now
		s.SetParameters(&p)
	}
}
