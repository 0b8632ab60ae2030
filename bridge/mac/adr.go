package mac

import (
	"lorawand/bridge/session"
	"lorawand/radio"
)

// ADR goes by how well the best gateway has heard the last uplinks. All is counted in
// hundredths of a dB.
//
// Source of the algorithm: The Things Stack 3.32.1, pkg/networkserver/mac/adr.go. Other
// than there, a power that is in use for long is lowered only for twice what a step
// needs, and NbTrans only where nothing is lost: so that nothing swings.
const (
	adrMargin  radio.Decibel = 1500
	adrUplinks               = 20  // from which on the best SNR can be trusted
	adrSlack   radio.Decibel = 250 // that is kept until then
	powerStep  radio.Decibel = 200 // from one TXPower index to the next (RP002)
	lossAfter                = 10  // uplinks from which on losses count
	maxNbTrans               = 3
)

// powers are the greatest TXPower index of each band that has not 7 (RP002-1.0.4;
// regional parameters 1.0.2 rev B for the first two, which have 10 in all versions).
var powers = map[string]uint8{"US_902_928": 10, "AU_915_928": 10, "EU_433": 5, "IN_865_867": 10}

// adapt returns what ADR has decided. ok is false where the device is to stay as it is,
// or nothing is known; then the link is the one that it has.
func (a *asking) adapt() (l link, ok bool) {
	now := link{a.dataRate, a.now.ADRTXPower, max(a.now.ADRNbTrans, 1)}
	m := a.Session.MAC
	if m != nil && m.LinkADR && a.dataRate < a.now.ADRDataRate {
		now.power = 0 // the device has not heard us, and has gone back by itself
	}
	set := &a.Device.Settings.MAC.ADR
	if !a.adr || set.Disabled {
		return now, false
	}
	if s := set.Static; s != nil {
		want := link{s.DataRate, s.Power, max(s.NbTrans, 1)}
		return want, (want != now || m == nil || !m.LinkADR) && !a.refused(want)
	}
	if l, ok = a.dynamic(now); ok {
		return l, true
	}
	return now, false
}

// refused reports whether the device has refused the data rate or the power.
func (a *asking) refused(l link) bool {
	m := a.Session.MAC
	return m != nil && (m.NoRates>>l.dataRate&1 == 1 || m.NoPowers>>l.power&1 == 1)
}

// floor returns the SNR that demodulation takes, and the margin. ok is false where the
// data rate has none.
func (a *asking) floor(dataRate uint8) (radio.Decibel, bool) {
	rate, err := a.Plan.DataRate(dataRate)
	if err != nil {
		return 0, false
	}
	floor, ok := Floor(rate)
	margin := adrMargin
	if w := a.Device.Settings.MAC.ADR.Margin; w != nil {
		margin = *w
	}
	return floor + margin, ok
}

// bounds are what ADR may choose from.
func (a *asking) bounds() (low, high, strongest, weakest uint8) {
	set := &a.Device.Settings.MAC.ADR
	low, high = a.rates()
	weakest = 7
	if n, ok := powers[a.Plan.BandID()]; ok {
		weakest = n
	}
	limit := func(p *uint8, n uint8, pick func(uint8, uint8) uint8) uint8 {
		if p == nil {
			return n
		}
		return pick(*p, n)
	}
	larger := func(a, b uint8) uint8 { return max(a, b) }
	smaller := func(a, b uint8) uint8 { return min(a, b) }
	low, high = limit(set.MinDataRate, low, larger), limit(set.MaxDataRate, high, smaller)
	return low, high, limit(set.MinPower, 0, larger), limit(set.MaxPower, weakest, smaller)
}

// rates returns the data rates that the device's channels share with the plan's.
func (a *asking) rates() (low, high uint8) {
	var room [maxChannels]session.Channel
	low = 15
	add := func(from, to uint8) {
		if from < to {
			low, high = min(low, from), max(high, to)
		}
	}
	if a.Plan.FixedChannels() {
		for _, c := range a.Plan.Channels() {
			add(c.MinDR, c.MaxDR)
		}
		return low, high
	}
	for _, c := range channels(a.Device, a.Session, a.Plan, room[:0]) {
		add(c.MinDataRate, c.MaxDataRate)
	}
	return low, high
}

// dynamic decides by what was heard. It never lowers the data rate: the device does
// that by itself when it is not heard.
func (a *asking) dynamic(now link) (link, bool) {
	since, best, lost, of := a.Device.History.Link()
	if of == 0 {
		return now, false
	}
	need, known := a.floor(now.dataRate)
	if !known {
		return now, false
	}
	slack := adrSlack
	if of-lost >= adrUplinks {
		slack = 0
	}
	low, high, strongest, weakest := a.bounds()
	l := now
	l.power = min(max(l.power, strongest), weakest)
	left := best - need - slack
	for dr := int(high); dr > int(now.dataRate) && dr >= int(low); dr-- {
		full := best + powerStep*radio.Decibel(now.power-min(now.power, strongest))
		next, known := a.floor(uint8(dr))
		if known && full-next-slack >= 0 && !a.refused(link{uint8(dr), strongest, 1}) {
			l.dataRate, l.power, left = uint8(dr), strongest, full-next-slack
			break
		}
	}
	l.power = a.power(l, left, slack, weakest, strongest, since > adrUplinks && l.dataRate == now.dataRate)
	l.nbTrans = a.nbTrans(now.nbTrans, lost, of)
	return l, l != now && !a.refused(link{l.dataRate, l.power, 1})
}

// power returns the TXPower index for what is left of the SNR. settled says that it has
// been in use for long.
func (a *asking) power(l link, left, slack radio.Decibel, weakest, strongest uint8, settled bool) uint8 {
	power := l.power
	enough := powerStep
	if settled {
		enough = 2 * powerStep
	}
	for steps := left / powerStep; left >= enough && steps > 0 && power < weakest; steps-- {
		power++
	}
	for left += slack; left < -slack && power > strongest; left += powerStep {
		power--
	}
	for power > strongest && power > l.power && a.refused(link{l.dataRate, power, 1}) {
		power--
	}
	return power
}

// nbTrans returns how often each frame is to be sent, by how many were lost.
func (a *asking) nbTrans(n uint8, lost, of uint32) uint8 {
	set := &a.Device.Settings.MAC.ADR
	low, high := uint8(1), uint8(maxNbTrans)
	if set.MinNbTrans != nil {
		low = max(*set.MinNbTrans, 1)
	}
	if set.MaxNbTrans != nil {
		high = max(min(*set.MaxNbTrans, 15), low)
	}
	heard := of - lost
	switch {
	case heard < lossAfter:
	case lost == 0 && heard >= adrUplinks:
		n = 1 + n/3
	case lost*100 < of*10:
	case lost*100 < of*30:
		n = 2 + n/2
	default:
		n = maxNbTrans
	}
	return min(max(n, low), high)
}
