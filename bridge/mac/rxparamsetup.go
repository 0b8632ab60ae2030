package mac

import "lorawand/bridge/session"

// wantRXParamSetup asks for the RX1 data rate offset, and the data rate and frequency
// of RX2, that the owner wants, else the plan (LoRaWAN L2 1.0.4, 5.4).
func wantRXParamSetup(a *asking) {
	rx2 := a.Plan.RX2()
	offset, dataRate, frequency := a.now.RX1DROffset, rx2.DataRate, rx2.Frequency
	if w := a.wish.RX1DROffset; w != nil {
		offset = *w
	}
	if w := a.wish.RX2DataRate; w != nil {
		dataRate = *w
	}
	if w := a.wish.RX2Frequency; w != nil && *w != 0 {
		frequency = *w
	}
	offset, dataRate, frequency = offset&7, dataRate&0x0f, tellable(frequency)
	if offset == a.now.RX1DROffset && dataRate == a.now.RX2DataRate && frequency == a.now.RX2Frequency {
		return
	}
	var b [4]byte
	a.want(cidRXParamSetup, appendFrequency(append(b[:0], offset<<4|dataRate), frequency)...)
}

// rxParamSetupAns: bits 0 to 2 say that the channel, the data rate of RX2 and the
// offset are accepted.
func rxParamSetupAns(o *Owed, status []byte, ctx UplinkContext) {
	ctx.sticky(o, cidRXParamSetup, ctx.answered(cidRXParamSetup, status[0]&7 == 7,
		func(p *session.Parameters, asked []byte) {
			p.RX1DROffset, p.RX2DataRate, p.RX2Frequency = asked[0]>>4&7, asked[0]&0x0f, readFrequency(asked[1:])
		}))
}
