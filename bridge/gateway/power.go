package gateway

import "lorawand/radio"

// Range of the powers that may replace a refused one, in whole dBm, because
// forwarders take no fractions. Most forwarders send only with the powers in their
// TX table.
const (
	leastPower = 0
	mostPower  = leastPower + 63
)

// RefusesPower records that the gateway has refused a power. It reports whether
// that is new and can be recorded.
func (g *Gateway) RefusesPower(d radio.Decibel) bool {
	p := wholePower(d)
	if p < leastPower || p > mostPower || g.refused&powerBit(p) != 0 {
		return false
	}
	g.refused |= powerBit(p)
	return true
}

// Power returns the power to ask for in place of d: the highest power up to d that
// the gateway has not refused, or d if it has refused all.
func (g *Gateway) Power(d radio.Decibel) radio.Decibel {
	wanted := wholePower(d)
	if wanted > mostPower {
		return d
	}
	for p := wanted; p >= leastPower; p-- {
		switch {
		case g.refused&powerBit(p) != 0:
		case p == wanted:
			return d
		default:
			return radio.Decibel(p * 100)
		}
	}
	return d
}

// powerReference is the gain of a half-wave dipole in hundredths of a dBi. Limits
// are in EIRP, but gateways are told the ERP minus the gain of the antenna, as The
// Things Stack does; so a gain of 0 stands for a dipole.
const powerReference = 215

// MaxPower returns the power to ask for on a frequency: the maximum of the plan, or
// the next lower power that the gateway has not refused. On a frequency outside of
// the plan it is 0.
func (g *Gateway) MaxPower(f radio.Frequency) radio.Decibel {
	sub, err := g.Plan.SubBand(f)
	if err != nil {
		return 0
	}
	return g.Power(sub.MaxEIRP - powerReference - g.AntennaGain)
}

// ForgetPowers forgets the refused powers: the gateway may have another table now.
func (g *Gateway) ForgetPowers() { g.refused = 0 }

func powerBit(p int) uint64 { return 1 << (p - leastPower) }

// wholePower rounds down to whole dBm.
func wholePower(d radio.Decibel) int {
	v := int(d)
	if v < 0 {
		v -= 99
	}
	return v / 100
}
