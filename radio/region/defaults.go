package region

import "lorawand/radio"

// DefaultChannels returns the channels that every device of the band has, in the
// order in which devices number them. The caller must not change them.
func (p *Plan) DefaultChannels() []Channel { return p.band.channels }

// MaxEIRP returns the greatest power that the plan's sub-bands allow, dBm.
func (p *Plan) MaxEIRP() (most radio.Decibel) {
	for _, s := range p.subBands {
		most = max(most, s.MaxEIRP)
	}
	return most
}
