package mac

import (
	"time"

	"lorawand/bridge/session/macstate"
)

// How often a device is asked for its status. Source: The Things Stack 3.32.1,
// pkg/networkserver/config.go.
const (
	statusCount = 200
	statusTime  = 24 * time.Hour
)

// wantDevStatus asks for the battery and the margin from time to time (LoRaWAN L2
// 1.0.4, 5.5).
func wantDevStatus(a *asking) {
	count, every := uint32(statusCount), statusTime
	if w := a.Device.Settings.MAC.StatusCount; w != nil {
		count = *w
	}
	if w := a.Device.Settings.MAC.StatusTime; w != nil {
		every = *w
	}
	if count == 0 && every == 0 {
		return
	}
	var last *macstate.Status
	if m := a.Session.MAC; m != nil {
		last = m.Status
	}
	// Either way: the calendar may have stepped back.
	late := last != nil && every > 0 && !a.At.IsZero() && !last.At.IsZero() && a.At.Sub(last.At).Abs() >= every
	if last == nil || count > 0 && a.FCnt-last.FCntUp >= count || late {
		a.want(cidDevStatus)
	}
}

// devStatusAns has the battery, and a margin of 6 bits with a sign.
func devStatusAns(_ *Owed, payload []byte, ctx UplinkContext) {
	open := ctx.open(cidDevStatus)
	if len(open) == 0 {
		return
	}
	status := &macstate.Status{FCntUp: ctx.FCnt, At: ctx.At, Battery: payload[0], Margin: int8(payload[1]<<2) >> 2}
	ctx.Session.SetMAC(ctx.Session.MAC.Answered(open[0], true).With(func(m *macstate.State) { m.Status = status }))
	ctx.tell(open[0], true)
}
