package mac

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// wantRejoinParamSetup asks for rejoin-requests as often as the owner wants them
// (LoRaWAN 1.1, 5.12).
func wantRejoinParamSetup(a *asking) {
	w := &a.wish
	if a.Device.Version < session.V1_1 || w.RejoinTime == nil || w.RejoinCount == nil {
		return
	}
	b := *w.RejoinTime<<4 | *w.RejoinCount&0x0f
	if m := a.Session.MAC; m != nil && m.RejoinTold && m.Rejoin == b {
		return
	}
	a.want(cidRejoinParam, b)
}

// rejoinParamSetupAns: bit 0 says that the device keeps to the time too, which it
// need not.
func rejoinParamSetupAns(_ *Owed, status []byte, ctx UplinkContext) {
	var told byte
	if !ctx.answered(cidRejoinParam, true, func(p *session.Parameters, asked []byte) {
		told = asked[0]
		if status[0]&1 == 1 {
			n := told >> 4
			p.RejoinTimePeriod = &n
		}
	}) {
		return
	}
	ctx.Session.SetMAC(ctx.Session.MAC.With(func(m *macstate.State) { m.Rejoin, m.RejoinTold = told, true }))
}
