package session

import (
	"time"

	"lorawand/bridge/session/macstate"
	"lorawand/radio/region"
)

// FactoryParameters are those of a device before the first MAC command: the
// owner's settings of the receive windows, else the defaults of the band (RP002).
func (d *Device) FactoryParameters(plan *region.Plan) Parameters {
	rx2 := plan.BandRX2()
	p := Parameters{
		RX1Delay: uint8(plan.Delays().RX1 / time.Second), RX2DataRate: rx2.DataRate, RX2Frequency: rx2.Frequency,
	}
	d.Settings.Apply(&p)
	return p
}

// JoinedParameters are what a join-accept tells: what the owner wishes, else
// the network's RX1 delay, in s, and the plan's RX2 data rate. It cannot tell the
// frequency of RX2, which stays that of the device's making.
func (d *Device) JoinedParameters(plan *region.Plan, rx1Delay uint8) Parameters {
	p := Parameters{RX1Delay: rx1Delay, RX2DataRate: plan.RX2().DataRate, RX2Frequency: plan.BandRX2().Frequency}
	w := &d.Settings.Desired
	if w.RX1Delay != nil {
		p.RX1Delay = max(*w.RX1Delay, 1)
	}
	if w.RX1DROffset != nil {
		p.RX1DROffset = *w.RX1DROffset
	}
	if w.RX2DataRate != nil {
		p.RX2DataRate = *w.RX2DataRate
	}
	if f := d.Settings.RX2Frequency; f != nil && *f != 0 {
		p.RX2Frequency = *f
	}
	return p
}

// Wish returns what the owner wants of the device in a session: what was wished for the
// session, else what is set for the device.
func (d *Device) Wish(s *Session) macstate.Wish {
	set, desired := &d.Settings.MAC, &d.Settings.Desired
	w := macstate.Wish{
		RX1Delay: desired.RX1Delay, RX1DROffset: desired.RX1DROffset, RX2DataRate: desired.RX2DataRate,
		RX2Frequency: set.RX2Frequency, MaxDutyCycle: set.MaxDutyCycle, MaxEIRP: set.MaxEIRP,
		ADRAckLimit: set.ADRAckLimit, ADRAckDelay: set.ADRAckDelay,
		PingFrequency: set.PingFrequency, PingDataRate: set.PingDataRate, Beacon: set.Beacon,
	}
	if s.MAC == nil {
		return w
	}
	return s.MAC.Wish.Over(w)
}

// Apply sets the parameters that the settings name. A delay of 0 means 1 s
// (LoRaWAN L2 1.0.4, 5.7), a frequency of 0 that of the band.
func (s *Settings) Apply(p *Parameters) {
	if s.RX1Delay != nil {
		p.RX1Delay = max(*s.RX1Delay, 1)
	}
	if s.RX1DROffset != nil {
		p.RX1DROffset = *s.RX1DROffset
	}
	if s.RX2DataRate != nil {
		p.RX2DataRate = *s.RX2DataRate
	}
	if s.RX2Frequency != nil && *s.RX2Frequency != 0 {
		p.RX2Frequency = *s.RX2Frequency
	}
}

// followSettings keeps the parameters of the old registration's session if the new
// registration has the same session without parameters. Settings that have changed
// since replace the parameters they name.
func (d *Device) followSettings(old *Device) {
	if d.Session == nil || d.Session.Parameters != nil {
		return
	}
	for _, s := range old.Sessions() {
		if d.Session.IsSame(s) && s.Parameters != nil {
			p := *s.Parameters
			d.Settings.changed(&old.Settings).Apply(&p)
			d.Session.Parameters = &p
		}
	}
}

// changed returns the settings of receive windows that are not what they were.
func (s *Settings) changed(was *Settings) *Settings {
	return &Settings{
		RX1Delay: changed(s.RX1Delay, was.RX1Delay), RX1DROffset: changed(s.RX1DROffset, was.RX1DROffset),
		RX2DataRate: changed(s.RX2DataRate, was.RX2DataRate), RX2Frequency: changed(s.RX2Frequency, was.RX2Frequency),
	}
}

func changed[T comparable](is, was *T) *T {
	if is != nil && was != nil && *is == *was {
		return nil
	}
	return is
}
