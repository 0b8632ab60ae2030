package region

import "lorawand/radio"

// power is what the TXPower of a LinkADRReq means: dB below the greatest EIRP of
// the band's devices, by index.
type power struct {
	eirp radio.Decibel // dBm, where no MaxEIRP was told by TxParamSetupReq
	last uint8         // the highest index
	down []uint8       // dB below by index; nil: 2 dB for each
}

// Powers of the regional parameters, by the greatest EIRP and the highest index.
// Sources: RP002-1.0.4, the section on LinkADRReq of each band; for versions
// before it LoRaWAN regional parameters 1.0.2 and 1.0.3.
var (
	power12To5  = power{eirp: 1215, last: 5}
	power14To5  = power{eirp: 1400, last: 5}
	power14To7  = power{eirp: 1400, last: 7}
	power16To5  = power{eirp: 1600, last: 5}
	power16To7  = power{eirp: 1600, last: 7}
	power19To7  = power{eirp: 1915, last: 7}
	power30To10 = power{eirp: 3000, last: 10}
	// The Things Stack has an index 15 with 1.0.3, which later versions keep for
	// "leave it": a device of either takes 14.
	power30To14 = power{eirp: 3000, last: 14}

	power17CN = power{eirp: 1700, last: 7, down: []uint8{0, 1, 3, 5, 7, 10, 12, 15}}
	power20KR = power{eirp: 2000, last: 6, down: []uint8{0, 6, 10, 12, 15, 18, 20}}
)

// DeviceMaxEIRP returns the power of a device at TXPower 0 that was told no other
// by TxParamSetupReq, in dBm.
func (p *Plan) DeviceMaxEIRP() radio.Decibel { return p.band.edition.power.eirp }

// MaxTXPower returns the highest TXPower index, which is the least power.
func (p *Plan) MaxTXPower() uint8 { return p.band.edition.power.last }

// TXPower returns how far below the greatest EIRP a device sends with a TXPower
// index; ok is false where the band has no such index.
func (p *Plan) TXPower(index uint8) (below radio.Decibel, ok bool) {
	w := p.band.edition.power
	switch {
	case index > w.last:
		return 0, false
	case w.down != nil:
		return radio.Decibel(w.down[index]) * 100, true
	}
	return radio.Decibel(index) * 200, true
}

// ADRDataRates returns the uplink data rate indices between which ADR chooses: those
// of the channels with several, less what the dwell time leaves no room for.
func (p *Plan) ADRDataRates() (low, high uint8) {
	for _, c := range p.band.channels {
		if c.MinDR < c.MaxDR {
			high = max(high, c.MaxDR)
		}
	}
	for low < high {
		if n, err := p.MaxMACPayload(low); err == nil && n > 0 {
			break
		}
		low++
	}
	return low, high
}

// DemodulationFloor returns the SNR below which a spreading factor (5 to 12) is not
// heard, or 0 for what is no spreading factor.
//
// Source: Semtech SX1276 datasheet rev 7, table 13; SX1261/2 rev 2.1, table 6-1,
// for SF5.
func DemodulationFloor(spreadingFactor uint8) radio.Decibel {
	if spreadingFactor < 5 || spreadingFactor > 12 {
		return 0
	}
	return -250 * radio.Decibel(int(spreadingFactor)-4)
}

// BootDwell returns the limits that devices keep from their start on until a
// TxParamSetupReq tells other ones; ok is false where the versions and the makers
// don't agree (AS923, see Told).
func (p *Plan) BootDwell() (l DwellLimits, ok bool) {
	return p.band.edition.boot, !p.band.edition.bootUnknown
}

// NewChannels returns which channel numbers NewChannelReq may set: from first up
// to, not including, end; none (0, 0) where all channels are laid down. Their
// frequencies are multiples of 100 Hz.
func (p *Plan) NewChannels() (first, end int) {
	if p.band.fixed {
		return 0, 0
	}
	return len(p.band.channels), dynamicChannels
}
