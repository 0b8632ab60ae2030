package mac

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// maxChannels is how many channels a device has in bands where they are told
// (RP002-1.0.4: 16 in most bands).
const maxChannels = 16

// channels returns the channels that a device is known to have, by number. The
// caller must not change them; room is for those that stand nowhere.
func channels(d *session.Device, s *session.Session, p *region.Plan, room []session.Channel) []session.Channel {
	if s.Parameters != nil && len(s.Parameters.Channels) > 0 {
		return s.Parameters.Channels
	}
	if !d.SupportsJoin && len(d.Settings.Frequencies) > 0 {
		low, high := rates(p)
		for _, f := range d.Settings.Frequencies[:min(len(d.Settings.Frequencies), maxChannels)] {
			room = append(room, channelOn(f, low, high))
		}
		return room
	}
	for _, c := range p.DefaultChannels() {
		room = append(room, channelOn(c.Frequency, c.MinDR, c.MaxDR))
	}
	if d.SupportsJoin && (s.MAC == nil || !s.MAC.NoCFList) {
		low, high := rates(p)
		for _, f := range p.CFList().Frequencies {
			room = append(room, channelOn(f, low, high))
		}
	}
	return room
}

func channelOn(f radio.Frequency, low, high uint8) session.Channel {
	return session.Channel{UplinkFrequency: f, DownlinkFrequency: f, MinDataRate: low, MaxDataRate: high, Enabled: true}
}

// rates returns the data rates of the band's own channels.
func rates(p *region.Plan) (low, high uint8) {
	if c := p.DefaultChannels(); len(c) > 0 {
		return c[0].MinDR, c[0].MaxDR
	}
	return 0, 5
}

// wantNewChannels asks for the channels that the owner wishes, else for those of the
// plan, which the device has not, where channels can be told (LoRaWAN L2 1.0.4, 5.6).
func wantNewChannels(a *asking) {
	if a.Plan.FixedChannels() {
		return
	}
	var room [maxChannels]session.Channel
	has := channels(a.Device, a.Session, a.Plan, room[:0])
	next := len(a.Plan.DefaultChannels())
	if wish := a.wish.Channels; len(wish) > 0 {
		for n := next; n < min(len(wish), maxChannels); n++ {
			c := wishable(wish[n])
			if c.Enabled && c.UplinkFrequency != 0 && (n >= len(has) || !sameUplink(c, has[n])) {
				a.want(cidNewChannel, newChannelReq(n, c.UplinkFrequency, c.MinDataRate, c.MaxDataRate)...)
			}
		}
		return
	}
	for i, c := range a.Plan.Channels() {
		at := func(h session.Channel) bool { return h.Enabled && h.UplinkFrequency == c.Frequency }
		if i < next || c.MinDR == c.MaxDR || slices.ContainsFunc(has, at) {
			continue
		}
		n := i
		for n < len(has) && has[n].Enabled && n < maxChannels {
			n++
		}
		if n >= maxChannels {
			return
		}
		a.want(cidNewChannel, newChannelReq(n, c.Frequency, c.MinDR, c.MaxDR)...)
	}
}

// told is a channel as commands can tell it: what no device can have is not asked again
// and again.
func told(c session.Channel) session.Channel {
	c.UplinkFrequency, c.DownlinkFrequency = tellable(c.UplinkFrequency), tellable(c.DownlinkFrequency)
	c.MinDataRate, c.MaxDataRate = c.MinDataRate&0x0f, c.MaxDataRate&0x0f
	return c
}

func newChannelReq(n int, f radio.Frequency, low, high uint8) []byte {
	return append(appendFrequency(append(make([]byte, 0, 5), byte(n)), f), high<<4|low&0x0f)
}

// wishable returns a channel as commands can tell it.
func wishable(c session.Channel) session.Channel {
	c.UplinkFrequency, c.DownlinkFrequency = tellable(c.UplinkFrequency), tellable(c.DownlinkFrequency)
	c.MinDataRate, c.MaxDataRate = c.MinDataRate&0x0f, c.MaxDataRate&0x0f
	return c
}

// sameUplink reports whether a channel is as it is wished, but for its downlinks.
func sameUplink(wish, has session.Channel) bool {
	return has.Enabled && has.UplinkFrequency == wish.UplinkFrequency &&
		has.MinDataRate == wish.MinDataRate && has.MaxDataRate == wish.MaxDataRate
}

// newChannelAns: bits 0 and 1 say that the frequency and the data rates are
// accepted.
func newChannelAns(_ *Owed, status []byte, ctx UplinkContext) {
	ctx.answered(cidNewChannel, status[0]&3 == 3, func(p *session.Parameters, asked []byte) {
		has := slices.Clone(channels(ctx.Device, ctx.Session, ctx.Plan, nil))
		n, f := int(asked[0]), readFrequency(asked[1:])
		for len(has) <= n && n < maxChannels {
			has = append(has, session.Channel{})
		}
		if n < len(has) {
			has[n] = session.Channel{
				UplinkFrequency: f, DownlinkFrequency: f, MinDataRate: asked[4] & 0x0f, MaxDataRate: asked[4] >> 4, Enabled: true,
			}
		}
		p.Channels = has
	})
}
