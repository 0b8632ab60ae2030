package mac

import (
	"lorawand/radio"
)

// ADR goes by how well the best gateway has heard the last uplinks. All is counted in
// hundredths of a dB.
//
// Source of the algorithm: The Things Stack 3.32.1, pkg/networkserver/mac/adr.go. Other
// than there nothing swings: a power that is long in use is lowered only for 2 dB more
// than the step, and NbTrans only where nothing is lost, and not to what has lost too
// much before.
const (
	adrMargin  radio.Decibel = 1500
	adrUplinks               = 20  // from which on the best SNR can be trusted
	adrSlack   radio.Decibel = 250 // that is kept until then
	adrSettled radio.Decibel = 200 // more than is needed, before a power that is long in use is lowered
	lossAfter                = 10  // uplinks from which on losses count
	maxNbTrans               = 3

	// Losses, in %: fewer are borne; at more, frames are sent as often as possible.
	lossTolerated = 10
	lossGrave     = 30
)

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
	low, high = a.Plan.ADRDataRates()
	weakest = a.Plan.MaxTXPower()
	limit := func(p *uint8, n uint8, pick func(uint8, uint8) uint8) uint8 {
		if p == nil {
			return n
		}
		return pick(*p, n)
	}
	larger := func(a, b uint8) uint8 { return max(a, b) }
	smaller := func(a, b uint8) uint8 { return min(a, b) }
	low, high = limit(set.MinDataRate, low, larger), limit(set.MaxDataRate, high, smaller)
	strongest, weakest = limit(set.MinPower, 0, larger), limit(set.MaxPower, weakest, smaller)
	for m := a.Session.MAC; m != nil && m.NoPowers>>strongest&1 == 1 && strongest < weakest; {
		strongest++
	}
	return low, high, strongest, weakest
}

// dynamic decides by what was heard. It never lowers the data rate: the device does
// that by itself when it is not heard.
func (a *asking) dynamic(now link) (link, bool) {
	best, heard, lost, of, settled := a.Device.History.Link()
	if heard == 0 {
		return now, false
	}
	need, known := a.floor(now.dataRate)
	if !known {
		return now, false
	}
	slack := adrSlack
	if heard >= adrUplinks {
		slack = 0
	}
	low, high, strongest, weakest := a.bounds()
	l := now
	l.power = min(max(l.power, strongest), weakest)
	left := best - need - slack
	for dr := int(high); dr > int(now.dataRate) && dr >= int(low); dr-- {
		full := best + a.below(now.power) - a.below(strongest)
		next, known := a.floor(uint8(dr))
		if known && full-next-slack >= 0 && !a.refused(link{uint8(dr), strongest, 1}) {
			l.dataRate, l.power, left = uint8(dr), strongest, full-next-slack
			break
		}
	}
	l.power = a.power(l, left, slack, weakest, strongest, settled && l.dataRate == now.dataRate)
	l.nbTrans = a.nbTrans(now.nbTrans, lost, of, settled)
	return l, l != now && !a.refused(link{l.dataRate, l.power, 1})
}

// below returns how far below the greatest power an index is.
func (a *asking) below(power uint8) radio.Decibel {
	below, _ := a.Plan.TXPower(min(power, a.Plan.MaxTXPower()))
	return below
}

// power returns the TXPower index for what is left of the SNR. settled says that the one
// at hand has been in use for long.
func (a *asking) power(l link, left, slack radio.Decibel, weakest, strongest uint8, settled bool) uint8 {
	if l.power < weakest && (!settled || left-adrSettled >= a.below(l.power+1)-a.below(l.power)) {
		for p := weakest; p > l.power; p-- {
			if a.below(p)-a.below(l.power) <= left && !a.refused(link{l.dataRate, p, 1}) {
				return p
			}
		}
	}
	power := l.power
	for power > strongest && left+slack+a.below(l.power)-a.below(power) < -slack {
		power--
	}
	return power
}

// nbTrans returns how often each frame is to be sent, by how many were lost. settled
// says that more were heard than are looked at: then it takes more to change anything.
func (a *asking) nbTrans(n uint8, lost, of uint32, settled bool) uint8 {
	set := &a.Device.Settings.MAC.ADR
	low, high := uint8(1), uint8(maxNbTrans)
	if set.MinNbTrans != nil {
		low = min(max(*set.MinNbTrans, 1), 15)
	}
	if set.MaxNbTrans != nil {
		high = min(*set.MaxNbTrans, 15)
	}
	enough := uint32(1)
	if m := a.Session.MAC; m != nil {
		enough += uint32(m.LossyAt)
	}
	tolerated := uint32(lossTolerated)
	if settled {
		tolerated = 2 * lossTolerated
	}
	switch heard := of - lost; {
	case heard < lossAfter:
	case lost == 0 && heard >= adrUplinks:
		n = min(n, uint8(enough))
	case lost*100 < of*tolerated:
	case lost*100 < of*lossGrave:
		n = max(n, min(2+n/2, maxNbTrans))
	default:
		n = max(n, maxNbTrans)
	}
	return max(min(n, high), low)
}
