package region

import (
	"cmp"
	"math/bits"
	"slices"
)

const (
	dynamicChannels = 16 // RP002: of bands whose channels are not all laid down
	maskGroups      = 6  // 96 channels, those of CN470
	wideGroup       = 4  // of US915 and AU915: ChMaskCntl 4 has the channels of 500 kHz

	cntlBlocks = 5 // US915, AU915: a bit for each block of channels
	cntlAllOn  = 6
	cntlAllOff = 7
)

// ChannelMask has a bit for each channel that a device uses, channel 0 in the
// lowest bit of the first word.
type ChannelMask [maskGroups]uint16

// Has reports whether a channel is in use.
func (m ChannelMask) Has(channel int) bool {
	return uint(channel) < maskGroups*maskChannels && m[channel/maskChannels]>>(channel%maskChannels)&1 == 1
}

// Set adds a channel; a number that no band has is left out.
func (m *ChannelMask) Set(channel int) {
	if uint(channel) < maskGroups*maskChannels {
		m[channel/maskChannels] |= 1 << (channel % maskChannels)
	}
}

// LinkMask is the part of a LinkADRReq that says which channels to use.
type LinkMask struct {
	Cntl uint8 // ChMaskCntl
	Mask uint16
}

// MaxChannels returns how many channels a device can have: 16, or all of a band
// whose channels are laid down (72 or 96).
func (p *Plan) MaxChannels() int {
	if p.band.fixed {
		return len(p.band.channels)
	}
	return dynamicChannels
}

// PlanMask returns the channels that the plan's gateways hear, by the numbers
// that devices give them.
func (p *Plan) PlanMask() (m ChannelMask) {
	for i, c := range p.channels {
		if p.band.fixed || c.MinDR < c.MaxDR {
			m.Set(int(p.numbers[i]))
		}
	}
	return m
}

// StartMask returns the channels that a device uses before anything is told to
// it: all that the band lays down.
func (p *Plan) StartMask() (m ChannelMask) {
	for i := range p.band.channels {
		m.Set(i)
	}
	return m
}

// LinkMasks returns the masks of the LinkADRReqs, in order of sending, that bring a
// device from the channels that it uses to the wanted ones: as few as possible, at
// least one, as each LinkADRReq has a mask.
//
// A device of before the regional parameters 1.0.2 obeys each one by itself and
// refuses one that leaves it without channels: those that switch most channels on
// go first, and none switches all off. ChMaskCntl 5 came with 1.0.3. Readers do
// not agree whether it also switches the block's channel of 500 kHz (RP002-1.0.4,
// 2.5.5 has it so; The Things Stack leaves it alone): it is only sent together
// with the mask of those.
func (p *Plan) LinkMasks(current, wanted ChannelMask) []LinkMask {
	groups := (p.MaxChannels() + maskChannels - 1) / maskChannels
	best := differences(current, wanted, groups)
	if !p.band.fixed {
		return best[:1]
	}
	for _, other := range [][]LinkMask{p.fromAllOff(wanted), p.byBlocks(wanted), p.fromAllOn(wanted, groups)} {
		if len(other) > 0 && len(other) < len(best) {
			best = other
		}
	}
	return best
}

// differences are the masks of the groups that change or, if none does, that of one
// with channels.
func differences(current, wanted ChannelMask, groups int) (out []LinkMask) {
	inUse := 0
	for g := range groups {
		if current[g] != wanted[g] {
			out = append(out, LinkMask{uint8(g), wanted[g]})
		}
		if wanted[inUse] == 0 {
			inUse = g
		}
	}
	if out == nil {
		return []LinkMask{{uint8(inUse), wanted[inUse]}}
	}
	slices.SortStableFunc(out, func(a, b LinkMask) int {
		return cmp.Compare(bits.OnesCount16(b.Mask), bits.OnesCount16(a.Mask))
	})
	return out
}

// fromAllOff switches all channels of 125 kHz off, and then the wanted ones on.
func (p *Plan) fromAllOff(wanted ChannelMask) []LinkMask {
	if !p.band.wide || p.band.edition.oneByOne {
		return nil
	}
	out := []LinkMask{{cntlAllOff, wanted[wideGroup]}}
	for g := range wideGroup {
		if wanted[g] != 0 {
			out = append(out, LinkMask{uint8(g), wanted[g]})
		}
	}
	return out
}

// byBlocks names the blocks of channels, where no block is used in part.
func (p *Plan) byBlocks(wanted ChannelMask) []LinkMask {
	if !p.band.wide || !p.band.edition.blockMask {
		return nil
	}
	var blocks uint16
	for b := range narrowChannels / blockChannels {
		switch uint8(wanted[b/2] >> (b % 2 * blockChannels)) {
		case 0xff:
			blocks |= 1 << b
		case 0:
		default:
			return nil
		}
	}
	return []LinkMask{{cntlBlocks, blocks}, {wideGroup, wanted[wideGroup]}}
}

// fromAllOn switches all channels of 125 kHz on, and then off what is not wanted.
func (p *Plan) fromAllOn(wanted ChannelMask, groups int) []LinkMask {
	out := []LinkMask{{Cntl: cntlAllOn}}
	if p.band.wide {
		out[0].Mask = wanted[wideGroup]
		groups = wideGroup
	}
	for g := range groups {
		if wanted[g] != 0xffff {
			out = append(out, LinkMask{uint8(g), wanted[g]})
		}
	}
	return out
}

// ApplyLinkMask returns the channels that a device uses once it has obeyed a mask;
// ok is false where the band has no such ChMaskCntl. Of a band with up to 16 it
// switches on what ChMaskCntl 6 asks for whether or not the device has it.
func (p *Plan) ApplyLinkMask(m ChannelMask, l LinkMask) (_ ChannelMask, ok bool) {
	n := p.MaxChannels()
	switch {
	case int(l.Cntl) < (n+maskChannels-1)/maskChannels:
		m[l.Cntl] = l.Mask & lowBits(n-int(l.Cntl)*maskChannels)
		return m, true
	case l.Cntl == cntlAllOn:
		return p.applyAll(m, 0xffff, l.Mask), true
	case !p.band.wide:
		return m, false
	case l.Cntl == cntlAllOff:
		return p.applyAll(m, 0, l.Mask), true
	case l.Cntl == cntlBlocks:
		for g := range wideGroup {
			blocks := l.Mask >> (2 * g)
			m[g] = blocks&1*0x00ff | blocks>>1&1*0xff00
		}
		m[wideGroup] = l.Mask & lowBits(blockChannels)
		return m, true
	}
	return m, false
}

// applyAll sets all groups alike, but for that of the channels of 500 kHz.
func (p *Plan) applyAll(m ChannelMask, all, wide uint16) ChannelMask {
	n := p.MaxChannels()
	for g := 0; g*maskChannels < n; g++ {
		m[g] = all & lowBits(n-g*maskChannels)
	}
	if p.band.wide {
		m[wideGroup] = wide & lowBits(blockChannels)
	}
	return m
}

// lowBits is a mask of the lowest n bits, of 16 at most.
func lowBits(n int) uint16 { return uint16(1<<min(n, maskChannels) - 1) }
