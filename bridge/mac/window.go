package mac

import (
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// Window is a receive window that a device opens after an uplink.
type Window struct {
	Name          string        // "RX1" or "RX2"
	Delay         time.Duration // from the end of the uplink
	Frequency     radio.Frequency
	DataRate      radio.DataRate
	MaxMACPayload int   // bytes (M of RP002)
	Err           error // why it cannot be used; nil: it can
}

// After returns the windows that a device opens after an uplink on a frequency
// with a data rate: RX1 and RX2. Where both sides do not agree on an RX1 there is
// still RX2, and the Err of RX1 says why.
func (r Receive) After(plan *region.Plan, f radio.Frequency, rate radio.DataRate) ([2]Window, error) {
	var out [2]Window
	dr, err := plan.UplinkDataRate(rate)
	if err != nil {
		return out, err
	}
	rx1, noRX1 := plan.RX1(f, dr, r.RX1DROffset)
	if noRX1 != nil {
		rx1 = r.RX2
	} else if other, ok := r.downlinkFrequency(f); ok && !plan.FixedChannels() {
		rx1.Frequency = other
	}
	for i, w := range [2]region.Window{rx1, r.RX2} {
		rate, err := plan.DataRate(w.DataRate)
		if err != nil {
			return out, err
		}
		maxMACPayload, err := plan.DownlinkMaxMACPayload(w.DataRate)
		if err != nil {
			return out, err
		}
		out[i] = Window{
			Name: [...]string{"RX1", "RX2"}[i], Delay: r.Delay + time.Duration(i)*plan.Delays().Between,
			Frequency: w.Frequency, DataRate: rate, MaxMACPayload: maxMACPayload,
		}
	}
	out[0].Err = noRX1
	return out, nil
}
