package enddevice

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// Form is what is written of a device.
type Form struct {
	Keys    bool // root keys and session keys
	Session bool // the session of a device that joins; that of another is always written

	// HandOver writes a session as The Things Stack's importer takes it: see handOver.
	HandOver bool
	RX1Delay uint8 // that the network tells devices, in s; 0: 5
}

// Append appends a device as The Things Stack writes it, on one line. What it
// knows and The Things Stack does not is left out; Parse reads all of the rest
// back.
func Append(dst []byte, d *session.Device, f Form) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(jsonOf(d, f)); err != nil {
		return dst, fmt.Errorf("device %v: %w", d.ID, err)
	}
	return append(dst, bytes.TrimRight(b.Bytes(), "\n")...), nil
}

func jsonOf(d *session.Device, f Form) *deviceJSON {
	j := &deviceJSON{
		IDs:  idsJSON{DeviceID: d.ID.Device, ApplicationIDs: applicationIDsJSON{d.ID.Application}},
		Name: d.Name, Description: d.Description, Attributes: d.Attributes, VersionIDs: versionIDsJSON(d.VersionIDs),
		SupportsClassB: yes(d.ClassB), SupportsClassC: yes(d.ClassC), FrequencyPlanID: d.Plan,
		LoRaWANVersion: enum[macVersionNames](versionName(d)), PHYVersion: enum[phyVersionNames](d.PHYVersionName()),
		SupportsJoin: supportsJoin(d), ResetsJoin: yes(d.Settings.ResetsJoinNonce), MACSettings: settingsOf(&d.Settings),
		statusJSON:   statusOf(d.Session),
		LastDevNonce: some(d.LastDevNonce), LastJoinNonce: some(d.LastJoinNonce), LastRJCount1: lastOf(d.NextRJCount1),
		Multicast: yes(d.Multicast), SkipCrypto: wrappedBool{d.SkipCrypto, d.SkipCrypto},
		Formatters: formattersOf(&d.Formatters),
	}
	if !d.DevEUI.IsZero() {
		j.IDs.DevEUI = d.DevEUI.String()
	}
	if d.HasJoinEUI {
		j.IDs.JoinEUI = d.JoinEUI.String()
	}
	for name, l := range d.Locations {
		if j.Locations == nil {
			j.Locations = map[string]locationJSON{}
		}
		j.Locations[name] = locationJSON{
			Latitude: l.Latitude, Longitude: l.Longitude, Altitude: l.Altitude, Accuracy: l.Accuracy,
			Source: enum[sourceNames](l.Source),
		}
	}
	for _, n := range d.UsedDevNonces {
		j.UsedDevNonces = append(j.UsedDevNonces, number{uint64(n), true})
	}
	if f.Keys {
		j.RootKeys = rootKeysJSON{AppKey: keyOf(d.RootKeys.AppKey), NwkKey: keyOf(d.RootKeys.NwkKey)}
	}
	if s := d.Session; s != nil && (f.Session || !d.SupportsJoin) {
		j.IDs.DevAddr = s.DevAddr.String()
		j.Session = sessionOf(s, f)
		j.MACState = macStateOf(d, s, f.RX1Delay)
		if s.MAC != nil {
			j.LastRJCount0 = lastOf(s.MAC.NextRJCount0)
		}
		if f.Keys {
			j.MACState = withLastSent(j.MACState, d)
		}
		if f.HandOver {
			j.handOver(d, f.RX1Delay)
		}
	}
	return j
}

// lastOf returns the number before the next one, if there was one.
func lastOf(next uint32) number {
	if next == 0 {
		return number{}
	}
	return number{uint64(next) - 1, true}
}

// supportsJoin is written where it is true, as The Things Stack does, and where the
// rest would be taken to say so.
func supportsJoin(d *session.Device) wrappedBool {
	known := !d.RootKeys.AppKey.IsZero() || !d.RootKeys.NwkKey.IsZero() ||
		d.LastDevNonce > 0 || d.LastJoinNonce > 0 || len(d.UsedDevNonces) > 0
	if s := d.Session; s != nil {
		known = known || len(s.KeyID) > 0
	}
	return wrappedBool{d.SupportsJoin, d.SupportsJoin || known}
}

func versionName(d *session.Device) string {
	if name, ok := macVersions[d.Version]; ok {
		return name
	}
	return d.VersionName
}

// macVersions are the names of The Things Stack (MACVersion).
var macVersions = map[session.Version]string{
	session.V1_0_0: "MAC_V1_0", session.V1_0_1: "MAC_V1_0_1", session.V1_0_2: "MAC_V1_0_2", session.V1_0_3: "MAC_V1_0_3",
	session.V1_0_4: "MAC_V1_0_4", session.V1_1: "MAC_V1_1",
}

// sessionKey is a key of radio/frame, of which this package knows no more.
type sessionKey interface {
	IsZero() bool
	MarshalText() ([]byte, error)
}

func keyOf(k sessionKey) *keyJSON {
	if k.IsZero() {
		return nil
	}
	text, _ := k.MarshalText() // it never fails
	return &keyJSON{Key: string(text)}
}

func settingsOf(s *session.Settings) settingsJSON {
	j := settingsJSON{
		macSettingsJSON: macSettingsOf(s),
		ResetsFCnt:      wrappedBool{s.ResetsFCnt, s.ResetsFCnt}, Supports32BitCnt: wrappedBool{!s.Counter16, s.Counter16},
		RX1Delay: optional(s.RX1Delay), RX1DROffset: optional(s.RX1DROffset), RX2DataRate: optional(s.RX2DataRate),
		UplinkDwell: boolOf(s.UplinkDwell), DownlinkDwell: boolOf(s.DownlinkDwell),
		DesiredRX1Delay: optional(s.Desired.RX1Delay), DesiredRX1DROffset: optional(s.Desired.RX1DROffset),
		DesiredRX2DataRate: optional(s.Desired.RX2DataRate),
	}
	if s.RX2Frequency != nil {
		j.RX2Frequency = bigNumber{number{uint64(*s.RX2Frequency), true}}
	}
	for _, f := range s.Frequencies {
		j.Frequencies = append(j.Frequencies, bigNumber{number{uint64(f), true}})
	}
	return j
}

// sessionOf writes counters of downlinks as used that are reserved.
func sessionOf(s *session.Session, f Form) *sessionJSON {
	m := s.Marks()
	j := &sessionJSON{
		DevAddr: s.DevAddr.String(), LastFCntUp: some(s.FCntUp), LastNFCntDown: some(max(s.NFCntDown, m.N)),
		LastAFCntDown: some(max(s.AFCntDown, m.A)), LastConfFCntDown: some(s.ConfFCntDown),
	}
	if f.Keys {
		j.Keys = sessionKeysJSON{
			SessionKeyID: base64.StdEncoding.EncodeToString(s.KeyID), FNwkSIntKey: keyOf(s.Keys.FNwkSIntKey),
			SNwkSIntKey: keyOf(s.Keys.SNwkSIntKey), NwkSEncKey: keyOf(s.Keys.NwkSEncKey), AppSKey: keyOf(s.Keys.AppSKey),
		}
	}
	return j
}

// macStateOf returns nil where there is nothing to tell.
func macStateOf(d *session.Device, s *session.Session, rx1Delay uint8) *macStateJSON {
	m := &macStateJSON{LoRaWANVersion: enum[macVersionNames](versionName(d))}
	switch {
	case s.Parameters != nil:
		m.Current = parametersOf(d, known(d, *s.Parameters))
	case d.SupportsJoin || s.MAC.Pings() != macstate.Ping{}:
		m.Current = parametersOf(d, known(d, factoryParameters(d)))
	}
	m.Desired = m.Current
	switch {
	case m.Current != nil:
		m.Desired = desiredOf(d, s, rx1Delay)
	case s.MAC != nil:
		m.Desired = wishOf(s.MAC.Wish)
	}
	m.tell(s.MAC)
	m.tellClasses(d, s)
	m.tellMasks(d, s.MAC)
	if s.Heard && s.FCntUp == 0 {
		// Else the first uplink would be taken once more.
		m.RecentUplinks = []recentUplink{firstUplink(d, s)}
	}
	if m.Current == nil && m.RecentUplinks == nil && s.MAC == nil {
		return nil
	}
	return m
}

// known adds to what a device was told the channels that it was made with, where it does not join
// and was told none.
func known(d *session.Device, p session.Parameters) *session.Parameters {
	if len(p.Channels) == 0 && !d.SupportsJoin {
		p.Channels = madeWith(d)
	}
	return &p
}

// madeWith are the channels of a device that has joined nothing: it returns nil for the plans whose
// channels are fixed.
func madeWith(d *session.Device) []session.Channel {
	plan, err := d.FrequencyPlan()
	if err != nil || plan.FixedChannels() {
		return nil
	}
	made := d.Settings.Frequencies
	if len(made) == 0 {
		for _, c := range plan.DefaultChannels() {
			made = append(made, c.Frequency)
		}
	}
	return macstate.FactoryChannels(made, plan, nil)
}

func parametersOf(d *session.Device, p *session.Parameters) *parametersJSON {
	j := &parametersJSON{
		MaxEIRP: float64(p.MaxEIRP) / 100, ADRDataRate: some(p.ADRDataRate), ADRTXPower: some(p.ADRTXPower),
		ADRNbTrans:     some(p.ADRNbTrans),
		ADRAckLimitExp: wordOf[ackLimitNames](p.ADRAckLimitExp), ADRAckDelayExp: wordOf[ackDelayNames](p.ADRAckDelayExp),
		RX1Delay: some(p.RX1Delay), RX1DROffset: some(p.RX1DROffset),
		RX2DataRate: some(p.RX2DataRate), RX2Frequency: frequency(p.RX2Frequency),
		MaxDutyCycle: wordOf[dutyCycleNames](p.MaxDutyCycle), RejoinTimePeriod: wordOf[rejoinNames](p.RejoinTimePeriod),
		UplinkDwell: boolOf(p.UplinkDwell), DownlinkDwell: boolOf(p.DownlinkDwell),
	}
	channels := p.Channels
	if len(channels) == 0 {
		channels = planChannels(d)
	}
	for _, c := range channels {
		j.Channels = append(j.Channels, channelOf(c))
	}
	return j
}

// planChannels are the channels of a device that has joined and was told
// nothing since: those of the plan for its usual data rates. It returns nil for
// the plans whose channels are fixed.
func planChannels(d *session.Device) (out []session.Channel) {
	plan, err := d.FrequencyPlan()
	if err != nil || plan.FixedChannels() {
		return nil
	}
	for _, c := range plan.Channels() {
		if c.MinDR == 0 {
			out = append(out, session.Channel{
				UplinkFrequency: c.Frequency, DownlinkFrequency: c.Frequency, MinDataRate: c.MinDR, MaxDataRate: c.MaxDR,
				Enabled: true,
			})
		}
	}
	return out
}
