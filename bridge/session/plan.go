package session

import "lorawand/radio/region"

// regionalParameters are those that most devices of a version have.
var regionalParameters = [...]region.Version{
	V1_0_0: region.V1_0, V1_0_1: region.V1_0_1, V1_0_2: region.V1_0_2B, V1_0_3: region.V1_0_3A,
	V1_0_4: region.RP002_1_0_3, V1_1: region.V1_1B,
}

// RegionalParameters returns the version of the regional parameters that the
// owner names, or the most likely one.
func (d *Device) RegionalParameters() region.Version {
	if v := region.ParseVersion(d.PHYVersion); v != region.VersionUnknown {
		return v
	}
	if int(d.Version) < len(regionalParameters) {
		return regionalParameters[d.Version]
	}
	return region.VersionUnknown
}

// PHYVersionName returns The Things Stack's name of the device's version of the
// regional parameters; what its owner says where that is not known.
func (d *Device) PHYVersionName() string {
	said := region.ParseVersion(d.PHYVersion)
	v := d.RegionalParameters()
	told := d.PHYVersion != "" && d.PHYVersion != region.VersionUnknown.String()
	if told && said == region.VersionUnknown || v == region.VersionUnknown {
		return d.PHYVersion
	}
	return v.String()
}

// PHYVersionOf returns the name that The Things Stack gives a number of its
// enumeration of versions, or "".
func PHYVersionOf(number uint64) string {
	if v := region.VersionNumber(number); v != region.VersionUnknown {
		return v.String()
	}
	return ""
}

// FrequencyPlan returns the plan as the device has it when it starts, or
// region.ErrPlan.
func (d *Device) FrequencyPlan() (*region.Plan, error) { return d.PlanIn(nil) }

// PlanIn returns the plan as the device has it in a session: its current dwell
// times, else those that its owner names, else nothing is known of them.
func (d *Device) PlanIn(s *Session) (*region.Plan, error) {
	p, err := region.Lookup(d.Plan)
	if err != nil {
		return nil, err
	}
	p = p.For(d.RegionalParameters())
	up, down := d.Settings.UplinkDwell, d.Settings.DownlinkDwell
	if s != nil && s.Parameters != nil && s.Parameters.DownlinkDwell != nil {
		up, down = s.Parameters.UplinkDwell, s.Parameters.DownlinkDwell
	}
	if down == nil {
		return p, nil
	}
	limits := region.DwellLimits{Uplink: p.DwellLimits().Uplink, Downlink: *down}
	if up != nil {
		limits.Uplink = *up
	}
	return p.Told(limits), nil
}
