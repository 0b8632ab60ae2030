package mac

import "lorawand/bridge/session"

// wantDutyCycle asks for the owner's limit to the device's time on air (LoRaWAN L2
// 1.0.4, 5.3).
func wantDutyCycle(a *asking) {
	want, now := a.wish.MaxDutyCycle, uint8(0)
	if a.now.MaxDutyCycle != nil {
		now = *a.now.MaxDutyCycle
	}
	if want == nil || *want&0x0f == now {
		return
	}
	a.want(cidDutyCycle, *want&0x0f)
}

func dutyCycleAns(_ *Owed, _ []byte, ctx UplinkContext) {
	ctx.answered(cidDutyCycle, true, func(p *session.Parameters, asked []byte) {
		n := asked[0]
		p.MaxDutyCycle = &n
	})
}
