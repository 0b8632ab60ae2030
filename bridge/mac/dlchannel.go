package mac

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// wantDlChannels asks for the frequency of RX1 of each channel that the owner wants
// another one for (LoRaWAN L2 1.0.4, 5.6; since 1.0.2).
func wantDlChannels(a *asking) {
	want := a.Device.Settings.MAC.DownlinkFrequencies
	if len(want) == 0 || a.Plan.FixedChannels() || a.Device.Version < session.V1_0_2 {
		return
	}
	var room [maxChannels]session.Channel
	for i, c := range channels(a.Device, a.Session, a.Plan, room[:0]) {
		if f, ok := want[uint8(i)]; ok && c.Enabled && f != 0 && f != c.DownlinkFrequency {
			var b [4]byte
			a.want(cidDlChannel, appendFrequency(append(b[:0], byte(i)), f)...)
		}
	}
}

// dlChannelAns: bits 0 and 1 say that the frequency is accepted and the channel
// exists.
func dlChannelAns(o *Owed, status []byte, ctx UplinkContext) {
	ctx.sticky(o, ctx.answered(cidDlChannel, status[0]&3 == 3, func(p *session.Parameters, asked []byte) {
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
