package mac

import "lorawand/bridge/session"

// Of LoRaWAN 1.1: ADR_ACK_LIMIT is 64 and ADR_ACK_DELAY 32 in all regions (RP002-1.0.4, 3).
const (
	ackLimitExp = 6
	ackDelayExp = 5
)

// wantADRParamSetup asks for the owner's ADR_ACK_LIMIT and ADR_ACK_DELAY (LoRaWAN
// 1.1, 5.9).
func wantADRParamSetup(a *asking) {
	w := &a.wish
	if a.Device.Version < session.V1_1 || w.ADRAckLimit == nil && w.ADRAckDelay == nil {
		return
	}
	or := func(p *uint8, standard uint8) uint8 {
		if p == nil {
			return standard
		}
		return *p & 0x0f
	}
	limit, delay := or(a.now.ADRAckLimitExp, ackLimitExp), or(a.now.ADRAckDelayExp, ackDelayExp)
	wantLimit, wantDelay := or(w.ADRAckLimit, limit), or(w.ADRAckDelay, delay)
	if wantLimit != limit || wantDelay != delay {
		a.want(cidADRParamSetup, wantLimit<<4|wantDelay)
	}
}

func adrParamSetupAns(_ *Owed, _ []byte, ctx UplinkContext) {
	ctx.answered(cidADRParamSetup, true, func(p *session.Parameters, asked []byte) {
		limit, delay := asked[0]>>4, asked[0]&0x0f
		p.ADRAckLimitExp, p.ADRAckDelayExp = &limit, &delay
	})
}
