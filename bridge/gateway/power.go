package gateway

import "lorawand/radio"

// Range of the powers that may replace a refused one, in whole dBm: forwarders
// take no fractions. Most forwarders send only with the powers of their TX table.
const (
	leastPower = 0
	mostPower  = leastPower + 63
)

// RefusesPower notes that the gateway does not send with a power. It reports
// whether that is new, and can be remembered.
func (g *Gateway) RefusesPower(d radio.Decibel) bool {
	p := wholePower(d)
	if p < leastPower || p > mostPower || g.refused&powerBit(p) != 0 {
		return false
	}
	g.refused |= powerBit(p)
	return true
}

// Power returns the power to ask for where d is wanted: the next lower one that
// the gateway has not refused, or d where there is none.
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

// powerReference is the gain of a half-wave dipole in hundredths of a dBi.
// Limits are EIRP, and what gateways are told is ERP less the antenna's gain:
// as The Things Stack has it, and a gain of 0 means.
const powerReference = 215

// MaxPower returns the power to ask for on a frequency: the most that the plan
// allows, unless the gateway has refused that. On a frequency that the plan does
// not allow it is 0.
func (g *Gateway) MaxPower(f radio.Frequency) radio.Decibel {
	sub, err := g.Plan.SubBand(f)
	if err != nil {
		return 0
	}
	return g.Power(sub.MaxEIRP - powerReference - g.AntennaGain)
}

// ForgetPowers forgets what the gateway has refused: it may have another table.
func (g *Gateway) ForgetPowers() { g.refused = 0 }

func powerBit(p int) uint64 { return 1 << (p - leastPower) }

// wholePower rounds down.
func wholePower(d radio.Decibel) int {
	v := int(d)
	if v < 0 {
		v -= 99
	}
	return v / 100
}
