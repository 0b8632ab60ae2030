package v3

import (
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// AppendReceptions appends what each antenna of a gateway has heard of a frame.
// receivedAt is the zero time where the calendar is not known.
func AppendReceptions(dst []Reception, g *gateway.Gateway, up *radio.Uplink, receivedAt time.Time) []Reception {
	for i := range up.Receptions {
		dst = append(dst, Reception{
			Gateway: g, Uplink: up, Antenna: &up.Receptions[i], ReceivedAt: receivedAt, ShowTime: !receivedAt.IsZero(),
		})
	}
	return dst
}

// SettingsOf returns the settings of an uplink of a device, whose copy g has heard.
// What the frequency plan of the device does not have keeps index 0.
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
