package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/region"
)

// wantPingSlotChannel asks for the frequency and data rate of ping slots that the owner wants,
// where they are not those of the band (LoRaWAN L2 1.0.4, 14.3).
func wantPingSlotChannel(a *asking) {
	w := &a.wish
	if !a.Device.ClassB || w.PingFrequency == nil && w.PingDataRate == nil {
		return
	}
	band, err := a.Plan.PingSlot(a.Device.RegionalParameters(), radio.DevAddr{}, 0)
	if err != nil {
		return
	}
	now := a.Device.Settings.MAC.Pings(a.Session.MAC)
	frequency, dataRate, rate := now.Frequency, band.DataRate, band.DataRate
	if now.DataRate != nil {
		dataRate, rate = *now.DataRate, *now.DataRate
	}
	if w.PingFrequency != nil {
		frequency = tellable(*w.PingFrequency)
	}
	if w.PingDataRate != nil {
		dataRate = *w.PingDataRate & 0x0f
	}
	// Where channels take turns another DevAddr has another one, and the device does not stay on it.
	other, err := a.Plan.PingSlot(a.Device.RegionalParameters(), radio.DevAddr{3: 1}, 0)
	stays := err == nil && other.Frequency == band.Frequency
	same := frequency == now.Frequency || now.Frequency == 0 && stays && frequency == band.Frequency
	if same && dataRate == rate {
		return
	}
	var b [4]byte
	a.want(cidPingSlotChannel, append(appendFrequency(b[:0], frequency), dataRate)...)
}

// pingSlotChannelAns: bits 0 and 1 say that the frequency and the data rate are accepted.
func pingSlotChannelAns(_ *Owed, status []byte, ctx UplinkContext) {
	var told []byte
	ctx.answered(cidPingSlotChannel, status[0]&3 == 3, func(_ *session.Parameters, asked []byte) { told = asked })
	if told == nil {
		return
	}
	p, rate := ctx.Session.MAC.Pings(), told[3]&0x0f
	p.Frequency, p.DataRate = readFrequency(told), &rate
	ctx.Session.SetMAC(ctx.Session.MAC.WithPing(p))
}

// PingSlot returns what a device listens on in a ping slot after the beacon of a time, as
// Always does.
func PingSlot(
	d *session.Device, s *session.Session, plan *region.Plan, beacon radio.GPSTime,
) (out [2]Window, err error) {
	out[0].Err = errNoUplink
	w, err := plan.PingSlot(d.RegionalParameters(), s.DevAddr, beacon)
	if err != nil {
		return out, err
	}
	told := d.Settings.MAC.Pings(s.MAC)
	if told.Frequency != 0 {
		w.Frequency = told.Frequency
	}
	if told.DataRate != nil {
		w.DataRate = *told.DataRate
	}
	out[1], err = window(plan, "PING", 0, w)
	return out, err
}
