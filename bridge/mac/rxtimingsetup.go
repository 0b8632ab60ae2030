package mac

import "lorawand/bridge/session"

// wantRXTimingSetup asks for the RX1 delay that the owner wants, else the network
// (LoRaWAN L2 1.0.4, 5.7).
func wantRXTimingSetup(a *asking) {
	delay := a.RX1Delay
	if w := a.wish.RX1Delay; w != nil {
		delay = max(*w, 1)
	}
	if delay = min(delay, 15); delay != 0 && delay != a.now.RX1Delay {
		a.want(cidRXTimingSetup, delay)
	}
}

func rxTimingSetupAns(o *Owed, _ []byte, ctx UplinkContext) {
	ctx.sticky(o, cidRXTimingSetup, ctx.answered(cidRXTimingSetup, true, func(p *session.Parameters, asked []byte) {
		p.RX1Delay = max(asked[0], 1)
	}))
}
