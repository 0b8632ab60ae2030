package mac

import (
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// Wish returns what the owner wants of a device in a session: what was wished for the
// session, else what is set for the device.
func Wish(d *session.Device, s *session.Session) macstate.Wish {
	set, desired := &d.Settings.MAC, &d.Settings.Desired
	w := macstate.Wish{
		RX1Delay: desired.RX1Delay, RX1DROffset: desired.RX1DROffset, RX2DataRate: desired.RX2DataRate,
		RX2Frequency: set.RX2Frequency, MaxDutyCycle: set.MaxDutyCycle, MaxEIRP: set.MaxEIRP,
		ADRAckLimit: set.ADRAckLimit, ADRAckDelay: set.ADRAckDelay,
	}
	if s.MAC == nil {
		return w
	}
	return s.MAC.Wish.Over(w)
}
