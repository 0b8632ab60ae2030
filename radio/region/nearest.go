package region

import "lorawand/radio"

const (
	// nearChannel is how far beside its channel a frequency may be told: a packet
	// forwarder with single precision is up to 32 Hz wrong, one that tells where
	// the frame was and not its channel up to the error of the device's crystal
	// (20 ppm at 700 MHz).
	nearChannel = 15_000 // Hz
	// coarseStep is what some forwarders round to.
	coarseStep = 100_000 // Hz
)

// NearestChannel returns the frequency of the uplink channel of a data rate index
// that a gateway means by f: the nearest one within 15 kHz; or, of a whole multiple
// of 100 kHz, the only one that can have been rounded to that. Where there is none
// it returns f: devices may have channels that the plan lacks.
func (p *Plan) NearestChannel(f radio.Frequency, dr uint8) radio.Frequency {
	channels := p.channels
	if p.band.fixed {
		channels = p.band.channels
	}
	nearest, least := f, int64(nearChannel)+1
	coarse, fit := f, 0
	for _, c := range channels {
		if dr < c.MinDR || c.MaxDR < dr {
			continue
		}
		d := max(int64(c.Frequency)-int64(f), int64(f)-int64(c.Frequency))
		if d < least {
			nearest, least = c.Frequency, d
		}
		if d <= coarseStep/2 && c.Frequency != coarse {
			coarse = c.Frequency
			fit++
		}
	}
	if least > nearChannel && f%coarseStep == 0 && fit == 1 {
		return coarse
	}
	return nearest
}
