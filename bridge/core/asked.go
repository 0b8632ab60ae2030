package core

import (
	"errors"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/mac"
	"lorawand/radio"
)

// macContext is what decides what an uplink, which may have answers, makes us owe and ask.
func (c *Core) macContext(r *reception, up *radio.Uplink, answers bool) mac.UplinkContext {
	m := &r.match
	ctx := mac.UplinkContext{
		Device: m.Device, Session: m.Session, FCnt: m.FCnt, Rate: up.DataRate, At: c.now.at(up.Ended),
		Begun: m.Reset, RX1Delay: uint8(c.opts.RX1Delay / time.Second),
	}
	ctx.Plan, _ = m.Device.PlanIn(m.Session) // nil: not reached, a device without a plan is not served
	if answers {
		ctx.Told = func(request string, accepted bool) {
			kind := map[bool]event.Kind{true: event.MACAccepted, false: event.MACRefused}[accepted]
			c.report(event.Event{Kind: kind, Device: m.Device.ID, FCnt: m.FCnt, Err: errors.New(request)})
		}
	}
	return ctx
}

// asked reports each command that a frame asks its device for.
func (c *Core) asked(x *opportunity, d *mac.Downlink) {
	for _, r := range d.Owed.Requests() {
		c.report(event.Event{Kind: event.MACAsked, Device: x.device.ID, FCnt: x.uplink.fCnt, Err: errors.New(mac.Words(r))})
	}
}

// delayed notes that RX1 opens with another delay, which the frame itself has told.
func (r *reception) delayed(rx1 time.Duration) {
	r.closed, r.expires, r.rx1 = r.closed.Add(rx1-r.rx1), r.expires.Add(rx1-r.rx1), rx1
}
