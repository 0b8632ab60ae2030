package mac

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// wantDlChannels asks for the frequency of RX1 of each channel that the owner wishes
// another one for (LoRaWAN L2 1.0.4, 5.6; since 1.0.2). A channel that is new, or about
// to be, has its uplink's.
func wantDlChannels(a *asking) {
	wish := a.wish.Channels
	if len(wish) == 0 || a.Plan.FixedChannels() || a.Device.Version < session.V1_0_2 {
		return
	}
	var room [maxChannels]session.Channel
	has := channels(a.Device, a.Session, a.Plan, room[:0])
	for n := range min(len(wish), maxChannels) {
		w := told(wish[n])
		req := newChannelReq(n, w.UplinkFrequency, w.MinDataRate, w.MaxDataRate)
		now := w.UplinkFrequency
		switch {
		case n < len(has) && has[n].UplinkFrequency == w.UplinkFrequency:
			now = has[n].DownlinkFrequency
		case a.Session.MAC.FrequencyRefused(w.UplinkFrequency),
			a.Session.MAC.HasRefused(macstate.New(cidNewChannel, req...)):
			continue
		}
		f := w.DownlinkFrequency
		if w.Enabled && f != 0 && f != now && !a.Session.MAC.FrequencyRefused(f) {
			a.want(cidDlChannel, appendFrequency(append(make([]byte, 0, 4), byte(n)), f)...)
		}
	}
}

// dlChannelAns: bits 0 and 1 say that the frequency is accepted and the channel
// exists.
func dlChannelAns(o *Owed, status []byte, ctx UplinkContext) {
	ctx.refuseFrequency(cidDlChannel, status[0]&1 == 1)
	ctx.sticky(o, cidDlChannel, ctx.answered(cidDlChannel, status[0]&3 == 3, func(p *session.Parameters, asked []byte) {
		has := slices.Clone(channels(ctx.Device, ctx.Session, ctx.Plan, nil))
		if n := int(asked[0]); n < len(has) {
			has[n].DownlinkFrequency = readFrequency(asked[1:])
		}
		p.Channels = has
	}))
}

// downlinkFrequency returns the frequency of RX1 that DlChannelReq has set for the
// channel of an uplink; ok is false where it has set none.
func (r *Receive) downlinkFrequency(up radio.Frequency) (f radio.Frequency, ok bool) {
	if r.told == nil {
		return 0, false
	}
	for i := range r.told.Channels {
		if c := &r.told.Channels[i]; c.Enabled && c.UplinkFrequency == up && c.DownlinkFrequency != 0 {
			return c.DownlinkFrequency, true
		}
	}
	return 0, false
}
