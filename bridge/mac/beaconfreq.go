package mac

import "lorawand/bridge/session"

// wantBeaconFreq asks the device to look for beacons on the frequency that its owner wants; 0
// is that of the band (LoRaWAN L2 1.0.4, 14.2).
func wantBeaconFreq(a *asking) {
	w := a.wish.Beacon
	if !a.Device.ClassB || w == nil || tellable(*w) == a.Device.Settings.MAC.Pings(a.Session.MAC).Beacon {
		return
	}
	var b [3]byte
	a.want(cidBeaconFreq, appendFrequency(b[:0], *w)...)
}

// beaconFreqAns: bit 0 says that the frequency is accepted.
func beaconFreqAns(_ *Owed, status []byte, ctx UplinkContext) {
	var told []byte
	ctx.answered(cidBeaconFreq, status[0]&1 == 1, func(_ *session.Parameters, asked []byte) { told = asked })
	if told == nil {
		return
	}
	p := ctx.Session.MAC.Pings()
	p.Beacon = readFrequency(told)
	ctx.Session.SetMAC(ctx.Session.MAC.WithPing(p))
}
