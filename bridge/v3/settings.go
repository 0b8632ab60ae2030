package v3

import (
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// AppendReceptions appends a Reception for each antenna of a gateway that has heard
// a frame. receivedAt is the zero time where the calendar is not known.
func AppendReceptions(dst []Reception, g *gateway.Gateway, up *radio.Uplink, receivedAt time.Time) []Reception {
	for i := range up.Receptions {
		dst = append(dst, Reception{
			Gateway: g, Uplink: up, Antenna: &up.Receptions[i], ReceivedAt: receivedAt, ShowTime: !receivedAt.IsZero(),
		})
	}
	return dst
}

// SettingsOf returns the settings of an uplink of a device in the copy that g has
// heard. A data rate or channel that is not in the device's frequency plan has
// index 0.
func SettingsOf(d *session.Device, g *gateway.Gateway, up *radio.Uplink, showTime bool) Settings {
	s := Settings{Uplink: up, ShowTime: showTime}
	plan := g.Plan
	if p, err := d.FrequencyPlan(); err == nil {
		plan = p
	}
	dr, err := plan.UplinkDataRate(up.DataRate)
	if err != nil {
		return s
	}
	s.DataRateIndex = dr
	if ch, err := plan.UplinkChannel(up.Frequency, dr); err == nil {
		s.DeviceChannelIndex = uint8(ch)
	}
	return s
}
