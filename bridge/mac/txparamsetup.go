package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio"
)

// maxEIRPs are what TxParamSetupReq can tell, in dBm (LoRaWAN L2 1.0.4, 5.8).
var maxEIRPs = [16]radio.Decibel{
	800, 1000, 1200, 1300, 1400, 1600, 1800, 2000, 2100, 2400, 2600, 2700, 2900, 3000, 3300, 3600,
}

// wantTxParamSetup tells the dwell times and the power of the plan, where the band
// has them.
func wantTxParamSetup(a *asking) {
	if !a.Plan.TxParamSetup() || a.Device.Version < session.V1_0_2 {
		return
	}
	limits := a.Plan.DwellLimits()
	power := a.Plan.MaxEIRP()
	if w := a.wish.MaxEIRP; w != nil {
		power = *w
	}
	if w := a.wish.UplinkDwell; w != nil {
		limits.Uplink = *w
	}
	if w := a.wish.DownlinkDwell; w != nil {
		limits.Downlink = *w
	}
	index := len(maxEIRPs) - 1
	for index > 0 && maxEIRPs[index] > power {
		index--
	}
	up, down := a.now.UplinkDwell, a.now.DownlinkDwell
	if up != nil && down != nil && *up == limits.Uplink && *down == limits.Downlink && a.now.MaxEIRP == maxEIRPs[index] {
		return
	}
	b := byte(index)
	if limits.Uplink {
		b |= 1 << 4
	}
	if limits.Downlink {
		b |= 1 << 5
	}
	a.want(cidTxParamSetup, b)
}

func txParamSetupAns(o *Owed, _ []byte, ctx UplinkContext) {
	ctx.sticky(o, cidTxParamSetup, ctx.answered(cidTxParamSetup, true, func(p *session.Parameters, asked []byte) {
		up, down := asked[0]>>4&1 == 1, asked[0]>>5&1 == 1
		p.UplinkDwell, p.DownlinkDwell, p.MaxEIRP = &up, &down, maxEIRPs[asked[0]&0x0f]
	}))
}
