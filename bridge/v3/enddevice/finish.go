package enddevice

import (
	"errors"
	"fmt"
	"strings"

	"lorawand/bridge/session"
)

// finish fills in what follows from the rest, and checks the whole. note is told
// what the owner is to know.
func finish(d *session.Device, o Options, note func(format string, args ...any)) error {
	before11 := d.Version != session.VersionUnknown && d.Version < session.V1_1
	if keys := &d.RootKeys; before11 && d.SupportsJoin && keys.AppKey.IsZero() && !keys.NwkKey.IsZero() {
		keys.AppKey, keys.NwkKey = keys.NwkKey, keys.AppKey
		note("nwk_key is taken as app_key, with which a device of LoRaWAN %v joins; "+
			"if it has LoRaWAN 1.1, set lorawan_version and app_key", d.Version)
	}
	if named := unheeded(d); len(named) > 0 {
		note("%s: a device that joins goes by what its join tells it; desired_%s says what that is",
			strings.Join(named, ", "), named[0])
	}
	if s := d.Session; s != nil {
		if d.Version < session.V1_1 { // one key and one counter for all
			s.Keys.SNwkSIntKey, s.Keys.NwkSEncKey = s.Keys.FNwkSIntKey, s.Keys.FNwkSIntKey
			s.NFCntDown = max(s.NFCntDown, s.AFCntDown)
			s.AFCntDown = s.NFCntDown
		}
		if err := settle(d, s, o); err != nil {
			return err
		}
	}
	if err := d.Check(); err != nil {
		return err
	}
	return checkBounds(d)
}

// unheeded returns the settings that a device has for nothing: it joins before it
// is heard, and a join tells them.
func unheeded(d *session.Device) (named []string) {
	if !d.SupportsJoin || d.Session != nil {
		return nil
	}
	is, wish := &d.Settings, &d.Settings.Desired
	for _, f := range []struct {
		name     string
		is, wish *uint8
	}{
		{"rx1_delay", is.RX1Delay, wish.RX1Delay},
		{"rx1_data_rate_offset", is.RX1DROffset, wish.RX1DROffset},
		{"rx2_data_rate_index", is.RX2DataRate, wish.RX2DataRate},
	} {
		if f.is != nil && (f.wish == nil || *f.wish != *f.is) {
			named = append(named, f.name)
		}
	}
	return named
}

// settle decides what the device of a session goes by: its current parameters,
// else mac_settings, else the band's. A join has told the device others than the
// band's, so without current parameters mac_settings must name the RX1 delay, or
// the owner must ask for the plan's defaults.
func settle(d *session.Device, s *session.Session, o Options) error {
	factory := factoryParameters(d)
	switch p := s.Parameters; {
	case p != nil:
		// The Things Stack leaves out what is 0. Neither of these can be.
		if p.RX1Delay == 0 {
			p.RX1Delay = factory.RX1Delay
		}
		if p.RX2Frequency == 0 {
			p.RX2Frequency = factory.RX2Frequency
		}
	case !d.SupportsJoin: // the settings hold until somebody tells the device otherwise
	case o.AssumePlanDefaults:
		s.Parameters = joinedParameters(d)
	case d.Settings.RX1Delay != nil:
		s.Parameters = &factory
	default:
		return errNoMACState
	}
	return nil
}

var errNoMACState = errors.New("session without mac_state: when and where the device listens is not told; " +
	"mac_settings.rx1_delay tells it, or with --assume-plan-defaults it is taken to be as after a join with the " +
	"frequency plan's defaults")

// joinDelay is the RX1 delay that The Things Stack tells devices that join, in
// s.
const joinDelay = 5

// factoryParameters are those of a device that nobody has told anything. Of a
// plan that is not known they are what the settings name.
func factoryParameters(d *session.Device) (p session.Parameters) {
	if plan, err := d.FrequencyPlan(); err == nil {
		return d.FactoryParameters(plan)
	}
	d.Settings.Apply(&p)
	return p
}

// joinedParameters are those that a join with The Things Stack gives, but where
// the settings say what the device uses.
func joinedParameters(d *session.Device) *session.Parameters {
	p := session.Parameters{RX1Delay: joinDelay}
	if plan, err := d.FrequencyPlan(); err == nil {
		p = d.JoinedParameters(plan, joinDelay)
	}
	d.Settings.Apply(&p)
	return &p
}

// ErrMissing is the reason for refusing a device that lacks a field.
var ErrMissing = errors.New("missing")

var errNoVersion = fmt.Errorf("%w; --version names that of devices that have none", ErrMissing)
