package mac

import (
	"errors"
	"time"

	"lorawand/radio"
	"lorawand/radio/region"
)

// Window is a receive window that a device opens after an uplink.
type Window struct {
	Name          string        // "RX1", "RX2" or "RXC"
	Delay         time.Duration // from the end of the uplink
	Frequency     radio.Frequency
	DataRate      radio.DataRate
	MaxMACPayload int   // bytes (M of RP002)
	Err           error // why it cannot be used; nil: it can
}

// Airtime returns how long a PHYPayload of size bytes is on the air in the window.
func (w *Window) Airtime(size int) time.Duration {
	airtime, err := radio.TimeOnAir(radio.Packet{
		DataRate: w.DataRate, Size: size, NoCRC: w.DataRate.Modulation == radio.LoRa,
	})
	if err != nil {
		return time.Minute // of a data rate that is in no table: nothing can take it
	}
	return airtime
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
		delay := r.Delay + time.Duration(i)*plan.Delays().Between
		if out[i], err = window(plan, [...]string{"RX1", "RX2"}[i], delay, w); err != nil {
			return out, err
		}
	}
	out[0].Err = noRX1
	return out, nil
}

// window is a receive window with what a plan says of its data rate.
func window(plan *region.Plan, name string, delay time.Duration, w region.Window) (Window, error) {
	rate, err := plan.DataRate(w.DataRate)
	if err != nil {
		return Window{}, err
	}
	maxMACPayload, err := plan.DownlinkMaxMACPayload(w.DataRate)
	if err != nil {
		return Window{}, err
	}
	return Window{Name: name, Delay: delay, Frequency: w.Frequency, DataRate: rate, MaxMACPayload: maxMACPayload}, nil
}

var errNoUplink = errors.New("no uplink has opened it")

// Always returns what a device that listens at all times listens on: there is no RX1, and
// in place of RX2 what has its parameters.
func (r Receive) Always(plan *region.Plan) (out [2]Window, err error) {
	out[0].Err = errNoUplink
	out[1], err = window(plan, "RXC", 0, r.RX2)
	return out, err
}
