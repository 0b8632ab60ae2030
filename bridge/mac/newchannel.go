package mac

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/region"
)

const maxChannels = macstate.MaxChannels

// channels returns the channels that a device is known to have, by number. The
// caller must not change them; room is for those that stand nowhere.
func channels(d *session.Device, s *session.Session, p *region.Plan, room []session.Channel) []session.Channel {
	if s.Parameters != nil && len(s.Parameters.Channels) > 0 {
		return s.Parameters.Channels
	}
	if !d.SupportsJoin && len(d.Settings.Frequencies) > 0 {
		return macstate.FactoryChannels(d.Settings.Frequencies, p, room)
	}
	for _, c := range p.DefaultChannels() {
		room = append(room, macstate.ChannelOn(c.Frequency, c.MinDR, c.MaxDR))
	}
	if d.SupportsJoin && (s.MAC == nil || !s.MAC.NoCFList) {
		low, high := macstate.UsualRates(p)
		for _, f := range p.CFList().Frequencies {
			room = append(room, macstate.ChannelOn(f, low, high))
		}
	}
	return room
}

// wantNewChannels asks for the channels that the owner wishes, else for those of the
// plan, which the device has not, where channels can be told (LoRaWAN L2 1.0.4, 5.6).
func wantNewChannels(a *asking) {
	if a.Plan.FixedChannels() {
		return
	}
	var room [maxChannels]session.Channel
	has := channels(a.Device, a.Session, a.Plan, room[:0])
	free := len(a.Plan.DefaultChannels())
	if len(a.wish.Channels) > 0 {
		a.wantWished(has, free)
		return
	}
	for i, c := range a.Plan.Channels() {
		at := func(h session.Channel) bool { return h.UplinkFrequency == c.Frequency }
		if i < len(a.Plan.DefaultChannels()) || c.MinDR == c.MaxDR || slices.ContainsFunc(has, at) ||
			a.Session.MAC.FrequencyRefused(c.Frequency) {
			continue
		}
		n := max(i, free)
		for n < len(has) && has[n].UplinkFrequency != 0 {
			n++
		}
		if n >= maxChannels {
			return
		}
		a.want(cidNewChannel, newChannelReq(n, c.Frequency, c.MinDR, c.MaxDR)...)
		free = n + 1
	}
}

// wantWished asks for the channels from number next on, of which no device has to have
// any, as the owner wishes them: those that are not wished are taken away, which frequency
// 0 says. What is wished and not to be used is told by the channel mask alone.
func (a *asking) wantWished(has []session.Channel, next int) {
	wish := a.wish.Channels
	for n := next; n < min(max(len(wish), len(has)), maxChannels); n++ {
		var w, is session.Channel
		if n < len(wish) {
			w = told(wish[n])
		}
		if n < len(has) {
			is = has[n]
		}
		switch {
		case w.UplinkFrequency == 0:
			if is.UplinkFrequency != 0 {
				a.want(cidNewChannel, newChannelReq(n, 0, 0, 0)...)
			}
		case w.Enabled && !sameUplink(w, is) && !a.Session.MAC.FrequencyRefused(w.UplinkFrequency):
			a.want(cidNewChannel, newChannelReq(n, w.UplinkFrequency, w.MinDataRate, w.MaxDataRate)...)
		}
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

// refuseFrequency notes the frequency of the oldest request that is open, where the device
// has refused it: it is not asked for as another channel either.
func (ctx *UplinkContext) refuseFrequency(id cid, accepted bool) {
	if open := ctx.open(id); len(open) > 0 && !accepted {
		ctx.Session.SetMAC(ctx.Session.MAC.With(func(m *macstate.State) {
			m.RefuseFrequency(readFrequency(open[0].Payload[1:]))
		}))
	}
}

// sameUplink reports whether a channel is as it is wished, but for its downlinks and for
// whether it is in use.
func sameUplink(wish, has session.Channel) bool {
	return has.UplinkFrequency == wish.UplinkFrequency &&
		has.MinDataRate == wish.MinDataRate && has.MaxDataRate == wish.MaxDataRate
}

// newChannelAns: bits 0 and 1 say that the frequency and the data rates are
// accepted.
func newChannelAns(_ *Owed, status []byte, ctx UplinkContext) {
	ctx.refuseFrequency(cidNewChannel, status[0]&1 == 1)
	ctx.answered(cidNewChannel, status[0]&3 == 3, func(p *session.Parameters, asked []byte) {
		has := slices.Clone(channels(ctx.Device, ctx.Session, ctx.Plan, nil))
		n, f := int(asked[0]), readFrequency(asked[1:])
		for len(has) <= n && n < maxChannels {
			has = append(has, session.Channel{})
		}
		switch {
		case n < len(has) && f == 0:
			has[n] = session.Channel{}
		case n < len(has):
			has[n] = macstate.ChannelOn(f, asked[4]&0x0f, asked[4]>>4)
		}
		for n := len(has); n > 0 && has[n-1] == (session.Channel{}); n-- {
			has = has[:n-1]
		}
		p.Channels = has
	})
}
