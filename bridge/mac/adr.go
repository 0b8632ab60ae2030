package mac

import (
	"math"

	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// ADR goes by how well the best gateway has heard the last uplinks. All is counted in
// hundredths of a dB.
//
// Source of the algorithm: The Things Stack 3.32.1, pkg/networkserver/mac/adr.go. Other
// than there nothing swings. What chance and fading do to a device that stays where it is must
// not change anything once 40 uplinks have told what to do: then the device rests, until its
// SNR or its losses are others than those that were decided by (macstate.History).
const (
	adrMargin  radio.Decibel = 1500
	adrUplinks               = 20  // from which on the best SNR can be trusted
	adrSlack   radio.Decibel = 250 // that is kept until then

	// What is lost at a data rate is seen by so many uplinks. With fewer left to decide by, the
	// number of transmissions for a raised data rate is foretold: how far the mean SNR will be
	// above the demodulation floor. With less, a frame is sent twice, and with half of it three times.
	adrJudge               = 14
	adrSure  radio.Decibel = 600

	// Once the best SNR is trusted the data rate is raised for a bit more than is needed.
	// The power is raised for a lack of more than adrSlack, and lowered for so much more
	// than is needed, and so much more again for each change that there was.
	adrRise    radio.Decibel = 50
	adrFading  radio.Decibel = 110 // % of what the best is above the mean
	adrSettled radio.Decibel = 300
	adrSwing   radio.Decibel = 150
	maxSwings                = 4 // that count

	maxNbTrans = 3

	// Losses, in %, over the first uplinks with a number of transmissions, from lossAfter
	// uplinks and lossLeast lost frames on: fewer are chance. From then on chance must not
	// change the number any more: it is raised, by one, when lossExcess hundredths of a frame
	// more were lost than is bearable, and lowered when none was lost for long. A frame that
	// is sent twice costs as much as two: The Things Stack bears 10 %.
	lossAfter     = 10
	lossLeast     = 3
	lossTolerated = 8
	lossGrave     = 30
	lossExcess    = 1500

	// Frames that are heard in a row until they are sent less often: what a device came with
	// is soon found to be needless. What was needed is not: then two of the transmissions of
	// each frame are to be heard. Each time that this was wrong, at one data rate, it takes
	// twice as many.
	lessAfter = 15
	lessAgain = 36
	maxRaised = 4 // that count
)

// adapt returns what ADR has decided. ok is false where the device is to stay as it is,
// or nothing is known; then the link is the one that it has.
func (a *asking) adapt() (l link, ok bool) {
	now := link{a.dataRate, a.now.ADRTXPower, max(a.now.ADRNbTrans, 1)}
	if !a.adapts() {
		return now, false
	}
	if s := a.Device.Settings.MAC.ADR.Static; s != nil {
		m := a.Session.MAC
		want := link{a.within(s.DataRate & 0x0f), s.Power & 0x0f, max(s.NbTrans&0x0f, 1)}
		if ok = (want != now || m == nil || !m.LinkADR) && !a.refused(want); ok {
			a.decide(now, want)
		}
		return want, ok
	}
	if l, ok = a.dynamic(now); ok {
		a.decide(now, l)
		return l, true
	}
	return now, false
}

// decide notes what ADR has decided and why, unless it has decided the same before.
func (a *asking) decide(now, l link) {
	heard := a.Device.History.Link()
	d := macstate.Decision{
		FCntUp: a.FCnt, Static: a.Device.Settings.MAC.ADR.Static != nil, From: now.dataRate, Margin: a.margin(),
		SNR: heard.Best, Heard: uint8(heard.Heard), Lost: heard.Lost, Of: heard.Of,
		DataRate: l.dataRate, Power: l.power, NbTrans: l.nbTrans,
	}
	if m := a.Session.MAC; m != nil && m.Decision != nil {
		was := m.Decision
		if was.From == d.From && (link{was.DataRate, was.Power, was.NbTrans}) == l {
			return
		}
	}
	a.decision = &d
}

// margin is how far above the demodulation floor a device is to be heard.
func (a *asking) margin() radio.Decibel {
	if w := a.Device.Settings.MAC.ADR.Margin; w != nil {
		return *w
	}
	return adrMargin
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
	return floor + a.margin(), ok
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
	low, high = a.within(limit(set.MinDataRate, low, larger)), a.within(limit(set.MaxDataRate, high, smaller))
	strongest, weakest = limit(set.MinPower, 0, larger), limit(set.MaxPower, weakest, smaller)
	for m := a.Session.MAC; m != nil && m.NoPowers>>strongest&1 == 1 && strongest < weakest; {
		strongest++
	}
	return low, high, strongest, weakest
}

// dynamic decides by what was heard. It never lowers the data rate: the device does
// that by itself when it is not heard.
func (a *asking) dynamic(now link) (link, bool) {
	heard := a.Device.History.Link()
	need, known := a.floor(now.dataRate)
	if heard.Heard == 0 || !known {
		return now, false
	}
	slack := adrSlack
	if heard.Heard >= adrUplinks {
		slack = 0
	}
	low, high, strongest, weakest := a.bounds()
	l := now
	l.power = min(max(l.power, strongest), weakest)
	top := a.Device.Settings.MAC.ADR.MaxDataRate
	if a.rests(&heard) && l == now && !a.lacks(now, &heard, need, strongest) && (top == nil || now.dataRate <= high) {
		l.nbTrans = a.fewer(now.nbTrans, &heard)
		return l, l != now && !a.refused(link{l.dataRate, l.power, 1})
	}
	left, rise := heard.Best-need-slack, slack
	if heard.Settled {
		rise = adrRise
	}
	if top != nil && now.dataRate > high && !a.refused(link{high, l.power, 1}) {
		need, _ = a.floor(high)
		l.dataRate, left = high, heard.Best-need-slack
	}
	fading := a.fading(&heard)
	for dr := int(high); dr > int(now.dataRate) && dr >= int(low); dr-- {
		full := heard.Best + a.below(now.power) - a.below(strongest)
		next, known := a.floor(uint8(dr))
		if known && full+fading-next >= rise && !a.refused(link{uint8(dr), strongest, 1}) {
			l.dataRate, l.power, left = uint8(dr), strongest, full-next-slack
			break
		}
	}
	l.power = a.power(l, left, slack, heard.Settled && l.dataRate == now.dataRate, weakest, strongest)
	l.nbTrans, l.dataRate = a.nbTrans(now.nbTrans, &heard), a.within(l.dataRate)
	if l.dataRate > now.dataRate && heard.Left < adrJudge {
		l.nbTrans = max(l.nbTrans, a.foretold(now, l, &heard))
	}
	change := l != now && !a.refused(link{l.dataRate, l.power, 1})
	a.Device.History.Decided(a.FCnt, change)
	return l, change
}

// lacks reports whether a device that rests has less than is borne of the SNR that it is to have:
// conditions have changed while ADR decided, and the best SNR was of before.
func (a *asking) lacks(now link, heard *macstate.Link, need radio.Decibel, strongest uint8) bool {
	return heard.Fresh && now.power > strongest && heard.Best < need-2*adrSlack
}

// rests reports whether the device is as ADR has decided: what was decided last is asked, and
// answered.
func (a *asking) rests(heard *macstate.Link) bool {
	asked := uint32(0)
	if m := a.Session.MAC; m != nil {
		asked = m.LinkAt
	}
	return heard.Resting && heard.Want <= asked && !a.woken &&
		len(a.Session.MAC.Open(cidLinkADR, math.MaxUint32)) == 0
}

// fading returns how much better than the best of the uplinks so far the best of many more
// will be, by how much they differ: with a data rate that is raised for the best of a whole
// year a frame costs the least. It is a part of the margin at the most.
func (a *asking) fading(heard *macstate.Link) radio.Decibel {
	if heard.Known < adrUplinks {
		return 0
	}
	return min((heard.Best-heard.Mean)*adrFading/100, max(a.margin(), 0)*2/3)
}

// below returns how far below the greatest power an index is.
func (a *asking) below(power uint8) radio.Decibel {
	below, _ := a.Plan.TXPower(min(power, a.Plan.MaxTXPower()))
	return below
}

// power returns the TXPower index for what is left of the SNR. settled says that the
// one at hand was chosen by as many uplinks as are looked at.
func (a *asking) power(l link, left, slack radio.Decibel, settled bool, weakest, strongest uint8) uint8 {
	lack, more := slack, radio.Decibel(0)
	if settled {
		lack, more = adrSlack, adrSettled
		if m := a.Session.MAC; m != nil {
			more += adrSwing * radio.Decibel(m.Swings)
		}
	}
	if l.power < weakest && left-more >= a.below(l.power+1)-a.below(l.power) {
		for p := weakest; p > l.power; p-- {
			if a.below(p)-a.below(l.power) <= left && !a.refused(link{l.dataRate, p, 1}) {
				return p
			}
		}
	}
	power := l.power
	if left+slack >= -lack {
		return power
	}
	for power > strongest && left+slack+a.below(l.power)-a.below(power) < -slack {
		power--
	}
	return power
}

// nbTrans returns how often each frame is to be sent, by how many were lost.
func (a *asking) nbTrans(n uint8, heard *macstate.Link) uint8 {
	low, high := a.transmissions()
	raised, lowered := uint8(0), false
	if m := a.Session.MAC; m != nil {
		raised, lowered = m.Raised, m.Lowered
	}
	settled := heard.Since > adrUplinks && heard.Of-heard.Lost >= adrUplinks || raised > 0 && (n == 1 || lowered)
	switch lost := heard.Lost * 100; {
	case n > 1 && (raised == 0 && !settled && heard.Run >= lessAfter || heard.Twice >= lessAgain<<again(raised)):
		n--
	case settled && heard.Excess < lossExcess:
	case settled:
		n = max(n, min(n+1, maxNbTrans))
	case heard.Of-heard.Lost < lossAfter || heard.Lost < lossLeast || lost < heard.Of*lossTolerated:
	case lost < heard.Of*lossGrave:
		n = max(n, min(2+n/2, maxNbTrans))
	default:
		n = max(n, maxNbTrans)
	}
	return max(min(n, high), low)
}

// foretold returns how often each frame is to be sent with another link, by how far above the
// demodulation floor it will be heard.
func (a *asking) foretold(now, l link, heard *macstate.Link) uint8 {
	need, known := a.floor(l.dataRate)
	above := heard.Mean + a.below(now.power) - a.below(l.power) - (need - a.margin())
	low, high := a.transmissions()
	n := uint8(1)
	switch {
	case !known || above >= adrSure:
	case above >= adrSure/2:
		n = 2
	default:
		n = 3
	}
	return max(min(n, high), low)
}

// transmissions are the bounds of NbTrans.
func (a *asking) transmissions() (low, high uint8) {
	set := &a.Device.Settings.MAC.ADR
	low, high = 1, maxNbTrans
	if set.MinNbTrans != nil {
		low = min(max(*set.MinNbTrans, 1), 15)
	}
	if set.MaxNbTrans != nil {
		high = min(*set.MaxNbTrans, 15)
	}
	return low, high
}

// fewer returns how often each frame is to be sent by a device that rests.
func (a *asking) fewer(n uint8, heard *macstate.Link) uint8 {
	raised := uint8(0)
	if m := a.Session.MAC; m != nil {
		raised = m.Raised
	}
	if n > 1 && (heard.Spare || heard.Fewer >= macstate.FewerChange<<min(again(raised), 1)) {
		n--
	}
	low, high := a.transmissions()
	return max(min(n, high), low)
}

// again is how often it has turned out, at this data rate, that fewer transmissions are too few.
func again(raised uint8) uint8 { return max(raised, 1) - 1 }
