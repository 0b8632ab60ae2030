package enddevice

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/v3/enddevice/sheet"
	"lorawand/radio"
)

// deviceJSON is an end device of The Things Stack, as far as it matters here:
// read with what its API leaves open, and written as it writes.
// Source: api/ttn/lorawan/v3/end_device.proto of v3.32.
type deviceJSON struct {
	IDs             idsJSON                 `json:"ids"`
	Name            string                  `json:"name,omitempty"`
	Description     string                  `json:"description,omitempty"`
	Attributes      map[string]string       `json:"attributes,omitempty"`
	VersionIDs      versionIDsJSON          `json:"version_ids,omitzero"`
	Locations       map[string]locationJSON `json:"locations,omitempty"`
	SupportsClassB  yes                     `json:"supports_class_b,omitempty"`
	SupportsClassC  yes                     `json:"supports_class_c,omitempty"`
	LoRaWANVersion  enum[macVersionNames]   `json:"lorawan_version,omitempty"`
	PHYVersion      enum[phyVersionNames]   `json:"lorawan_phy_version,omitempty"`
	FrequencyPlanID string                  `json:"frequency_plan_id,omitempty"`
	SupportsJoin    wrappedBool             `json:"supports_join,omitzero"`
	ResetsJoin      yes                     `json:"resets_join_nonces,omitempty"`
	RootKeys        rootKeysJSON            `json:"root_keys,omitzero"`
	MACSettings     settingsJSON            `json:"mac_settings,omitzero"`
	MACState        *macStateJSON           `json:"mac_state,omitempty"`
	Session         *sessionJSON            `json:"session,omitempty"`
	statusJSON
	UsedDevNonces []number        `json:"used_dev_nonces,omitempty"`
	LastDevNonce  number          `json:"last_dev_nonce,omitzero"`
	LastJoinNonce number          `json:"last_join_nonce,omitzero"`
	LastRJCount0  number          `json:"last_rj_count_0,omitzero"` // of the session
	LastRJCount1  number          `json:"last_rj_count_1,omitzero"`
	Formatters    *formattersJSON `json:"formatters,omitempty"`
	Multicast     yes             `json:"multicast,omitempty"`
	SkipCrypto    wrappedBool     `json:"skip_payload_crypto_override,omitzero"`
	SkipCryptoOld yes             `json:"skip_payload_crypto,omitempty"`
}

type idsJSON struct {
	DeviceID       string             `json:"device_id"`
	ApplicationIDs applicationIDsJSON `json:"application_ids,omitzero"`
	DevEUI         string             `json:"dev_eui,omitempty"`
	JoinEUI        string             `json:"join_eui,omitempty"`
	DevAddr        string             `json:"dev_addr,omitempty"` // only for show
}

type applicationIDsJSON struct {
	ApplicationID string `json:"application_id"`
}

type versionIDsJSON struct {
	Brand    string `json:"brand_id,omitempty"`
	Model    string `json:"model_id,omitempty"`
	Hardware string `json:"hardware_version,omitempty"`
	Firmware string `json:"firmware_version,omitempty"`
	Band     string `json:"band_id,omitempty"`
}

type locationJSON struct {
	Latitude  float64           `json:"latitude,omitempty"`
	Longitude float64           `json:"longitude,omitempty"`
	Altitude  int32             `json:"altitude,omitempty"`
	Accuracy  int32             `json:"accuracy,omitempty"`
	Source    enum[sourceNames] `json:"source,omitempty"`
}

type rootKeysJSON struct {
	AppKey *keyJSON `json:"app_key,omitempty"`
	NwkKey *keyJSON `json:"nwk_key,omitempty"`
}

type keyJSON struct {
	Key       string `json:"key,omitempty"`
	Encrypted string `json:"encrypted_key,omitempty"`
}

type settingsJSON struct {
	macSettingsJSON
	RX1Delay         number      `json:"rx1_delay,omitzero"`
	RX1DROffset      number      `json:"rx1_data_rate_offset,omitzero"`
	RX2DataRate      number      `json:"rx2_data_rate_index,omitzero"`
	RX2Frequency     bigNumber   `json:"rx2_frequency,omitzero"`
	Frequencies      []bigNumber `json:"factory_preset_frequencies,omitempty"`
	Supports32BitCnt wrappedBool `json:"supports_32_bit_f_cnt,omitzero"`
	ResetsFCnt       wrappedBool `json:"resets_f_cnt,omitzero"`
	UplinkDwell      wrappedBool `json:"uplink_dwell_time,omitzero"`
	DownlinkDwell    wrappedBool `json:"downlink_dwell_time,omitzero"`

	DesiredRX1Delay    number `json:"desired_rx1_delay,omitzero"`
	DesiredRX1DROffset number `json:"desired_rx1_data_rate_offset,omitzero"`
	DesiredRX2DataRate number `json:"desired_rx2_data_rate_index,omitzero"`
}

type sessionJSON struct {
	DevAddr          string          `json:"dev_addr,omitempty"`
	Keys             sessionKeysJSON `json:"keys,omitzero"`
	LastFCntUp       number          `json:"last_f_cnt_up,omitzero"`
	LastNFCntDown    number          `json:"last_n_f_cnt_down,omitzero"`
	LastAFCntDown    number          `json:"last_a_f_cnt_down,omitzero"`
	LastConfFCntDown number          `json:"last_conf_f_cnt_down,omitzero"`
}

type sessionKeysJSON struct {
	SessionKeyID string   `json:"session_key_id,omitempty"`
	FNwkSIntKey  *keyJSON `json:"f_nwk_s_int_key,omitempty"`
	SNwkSIntKey  *keyJSON `json:"s_nwk_s_int_key,omitempty"`
	NwkSEncKey   *keyJSON `json:"nwk_s_enc_key,omitempty"`
	AppSKey      *keyJSON `json:"app_s_key,omitempty"`
}

type macStateJSON struct {
	Current        *parametersJSON       `json:"current_parameters,omitempty"`
	Desired        *parametersJSON       `json:"desired_parameters,omitempty"`
	LoRaWANVersion enum[macVersionNames] `json:"lorawan_version,omitempty"` // only written
	Class          enum[classNames]      `json:"device_class,omitempty"`
	PingEvery      enum[pingNames]       `json:"ping_slot_periodicity,omitempty"`
	RecentUplinks  []recentUplink        `json:"recent_uplinks,omitempty"`

	RecentDownlinks []recentDownlink `json:"recent_downlinks,omitempty"`

	LastStatus number        `json:"last_dev_status_f_cnt_up,omitzero"`
	Pending    []requestJSON `json:"pending_requests,omitempty"`
	rejectedJSON
}

// recentUplink is one of the uplinks that The Things Stack has heard in the
// session.
type recentUplink struct {
	Payload struct {
		MHDR struct {
			MType string `json:"m_type,omitempty"` // only written
		} `json:"m_hdr,omitzero"`
		MACPayload json.RawMessage `json:"mac_payload,omitempty"`
	} `json:"payload"`
	Settings json.RawMessage `json:"settings,omitempty"` // only written
}

type parametersJSON struct {
	MaxEIRP          float64              `json:"max_eirp,omitempty"`
	ADRDataRate      number               `json:"adr_data_rate_index,omitzero"`
	ADRTXPower       number               `json:"adr_tx_power_index,omitzero"`
	ADRNbTrans       number               `json:"adr_nb_trans,omitzero"`
	RX1Delay         number               `json:"rx1_delay,omitzero"`
	RX1DROffset      number               `json:"rx1_data_rate_offset,omitzero"`
	RX2DataRate      number               `json:"rx2_data_rate_index,omitzero"`
	RX2Frequency     bigNumber            `json:"rx2_frequency,omitzero"`
	MaxDutyCycle     enum[dutyCycleNames] `json:"max_duty_cycle,omitempty"`
	RejoinTimePeriod enum[rejoinNames]    `json:"rejoin_time_periodicity,omitempty"`
	RejoinCount      enum[rejoinCounts]   `json:"rejoin_count_periodicity,omitempty"`
	Channels         []channelJSON        `json:"channels,omitempty"`
	ADRAckLimitExp   enum[ackLimitNames]  `json:"adr_ack_limit_exponent,omitempty"`
	UplinkDwell      wrappedBool          `json:"uplink_dwell_time,omitzero"`
	DownlinkDwell    wrappedBool          `json:"downlink_dwell_time,omitzero"`
	ADRAckDelayExp   enum[ackDelayNames]  `json:"adr_ack_delay_exponent,omitempty"`
	PingRate         number               `json:"ping_slot_data_rate_index_value,omitzero"`
	pingJSON
}

type channelJSON struct {
	UplinkFrequency   bigNumber `json:"uplink_frequency,omitzero"`
	DownlinkFrequency bigNumber `json:"downlink_frequency,omitzero"`
	MinDataRate       number    `json:"min_data_rate_index,omitzero"`
	MaxDataRate       number    `json:"max_data_rate_index,omitzero"`
	EnableUplink      yes       `json:"enable_uplink,omitempty"`
}

// reader collects the first fault of a device, and what its owner is to know.
type reader struct {
	err   error
	notes []string
}

// note adds a line for the owner: what was made of the file, and the way out.
func (r *reader) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *reader) fail(field string, err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("%s: %w", field, err)
	}
}

// text reads an identifier or a key from its text, if there is one.
func (r *reader) text(field, text string, into interface{ UnmarshalText([]byte) error }) bool {
	if text == "" {
		return false
	}
	r.fail(field, into.UnmarshalText([]byte(text)))
	return true
}

func (r *reader) key(field string, k *keyJSON, into interface{ UnmarshalText([]byte) error }) {
	if k == nil {
		return
	}
	if k.Key == "" && k.Encrypted != "" {
		r.fail(field, fmt.Errorf("the key is wrapped with a key encryption key; give it unwrapped"))
		return
	}
	r.text(field+".key", k.Key, into)
}

// number returns n if it is at most limit.
func (r *reader) number(field string, n number, limit uint64) uint64 {
	if n.v > limit {
		r.fail(field, fmt.Errorf("%d, at most %d", n.v, limit))
	}
	return n.v
}

func (r *reader) small(field string, n number, limit uint64) *uint8 {
	if !n.set {
		return nil
	}
	v := uint8(r.number(field, n, limit))
	return &v
}

func (r *reader) frequency(field string, n bigNumber) radio.Frequency {
	return radio.Frequency(r.number(field, n.number, math.MaxUint32))
}

// device makes the device, with what its owner is to know, or tells the first
// fault.
func (j *deviceJSON) device(o Options) (*session.Device, []string, error) {
	var r reader
	d := &session.Device{
		ID:          session.ID{Application: o.Application, Device: j.IDs.DeviceID},
		VersionName: string(j.LoRaWANVersion), Version: sheet.Version(string(j.LoRaWANVersion)),
		PHYVersion: string(j.PHYVersion),
		Plan:       j.FrequencyPlanID, SupportsJoin: j.joins(&r),
		ClassB: bool(j.SupportsClassB), ClassC: bool(j.SupportsClassC), Multicast: bool(j.Multicast),
		SkipCrypto: j.SkipCrypto.v || bool(j.SkipCryptoOld),
		Name:       j.Name, Description: j.Description, Attributes: j.Attributes,
		VersionIDs: session.VersionIDs(j.VersionIDs),
		Formatters: j.Formatters.formatters(&r),
	}
	o.defaults(d)
	if d.VersionName == "" {
		r.fail("lorawan_version", errNoVersion)
	}
	r.text("ids.dev_eui", j.IDs.DevEUI, &d.DevEUI)
	d.HasJoinEUI = r.text("ids.join_eui", j.IDs.JoinEUI, &d.JoinEUI)
	r.key("root_keys.app_key", j.RootKeys.AppKey, &d.RootKeys.AppKey)
	r.key("root_keys.nwk_key", j.RootKeys.NwkKey, &d.RootKeys.NwkKey)
	for name, l := range j.Locations {
		if d.Locations == nil {
			d.Locations = map[string]session.Location{}
		}
		d.Locations[name] = session.Location{
			Latitude: l.Latitude, Longitude: l.Longitude, Altitude: l.Altitude, Accuracy: l.Accuracy, Source: string(l.Source),
		}
	}
	j.nonces(&r, d)
	d.Settings = j.MACSettings.settings(&r)
	d.Settings.ResetsJoinNonce = bool(j.ResetsJoin)
	if j.Session != nil && !j.neverJoined(&r, d) {
		d.Session = j.Session.session(&r)
		if m := j.MACState; m != nil && r.err == nil {
			d.Session.Heard = d.Session.Heard || m.heard()
			d.Session.Parameters = m.Current.parameters(&r)
			if r.err == nil {
				d.Session.MAC = m.state(&r, &j.statusJSON, d, o.RX1Delay)
			}
		}
		j.rejoins(&r, d.Session)
	}
	if r.err != nil {
		return nil, nil, r.err
	}
	err := finish(d, o, r.note)
	if err == nil && d.Session != nil {
		j.MACState.setLastSent(&r, d)
		err = r.err
	}
	return d, r.notes, err
}

// neverJoined reports whether the session of a device that joins is an empty one:
// without address, or without keys, as dumps have it before the first join.
func (j *deviceJSON) neverJoined(r *reader, d *session.Device) bool {
	k := &j.Session.Keys
	switch {
	case !d.SupportsJoin:
		return false
	case j.Session.DevAddr == "":
		return true
	case !k.FNwkSIntKey.none() || !k.SNwkSIntKey.none() || !k.NwkSEncKey.none() || !k.AppSKey.none():
		return false
	}
	if strings.Trim(j.Session.DevAddr, "0") != "" {
		r.note("its session has no keys and is left out: the device has to join anew; " +
			"export it with session.keys to take it along")
	}
	return true
}

// none reports whether there is no key: none, an empty one, or zeros alone.
func (k *keyJSON) none() bool { return k == nil || k.Encrypted == "" && strings.Trim(k.Key, "0") == "" }

// joins reports whether the device joins. Where supports_join is not told, a
// device with root keys does, as in a table; so does one with the nonces of joins,
// and one that has a JoinEUI, if it has the named session of a join or none. supports_join
// false says otherwise.
func (j *deviceJSON) joins(r *reader) bool {
	if j.SupportsJoin.set {
		return j.SupportsJoin.v
	}
	s := j.Session
	reason := ""
	switch {
	case j.RootKeys.AppKey != nil || j.RootKeys.NwkKey != nil:
		reason = "root keys"
	case len(j.UsedDevNonces) > 0 || j.LastDevNonce.v > 0 || j.LastJoinNonce.v > 0:
		reason = "nonces of joins"
	case s != nil && s.Keys.SessionKeyID != "" && j.IDs.JoinEUI != "":
		reason = "the session of a join"
	case (s == nil || s.DevAddr == "") && j.IDs.JoinEUI != "":
		reason = "a join_eui and no session"
	default:
		return false
	}
	r.note("supports_join is not told, and it has %s: taken as a device that joins (OTAA); "+
		"supports_join false says otherwise", reason)
	return true
}

func (j *deviceJSON) nonces(r *reader, d *session.Device) {
	for _, n := range j.UsedDevNonces {
		d.UsedDevNonces = append(d.UsedDevNonces, uint16(r.number("used_dev_nonces", n, math.MaxUint16)))
	}
	d.LastDevNonce = uint16(r.number("last_dev_nonce", j.LastDevNonce, math.MaxUint16))
	d.LastJoinNonce = uint32(r.number("last_join_nonce", j.LastJoinNonce, 1<<24-1))
	if n := j.LastRJCount1; n.set {
		d.NextRJCount1 = uint32(r.number("last_rj_count_1", n, math.MaxUint16)) + 1
	}
}

// rejoins reads what rejoin-requests in the session have used.
func (j *deviceJSON) rejoins(r *reader, s *session.Session) {
	if n := j.LastRJCount0; n.set {
		next := uint32(r.number("last_rj_count_0", n, math.MaxUint16)) + 1
		s.MAC = s.MAC.With(func(m *macstate.State) { m.NextRJCount0 = next })
	}
}

func (j *settingsJSON) settings(r *reader) session.Settings {
	s := session.Settings{
		ResetsFCnt:  j.ResetsFCnt.v,
		Counter16:   j.Supports32BitCnt.set && !j.Supports32BitCnt.v,
		RX1Delay:    r.small("mac_settings.rx1_delay", j.RX1Delay, 15),
		RX1DROffset: r.small("mac_settings.rx1_data_rate_offset", j.RX1DROffset, 7),
		RX2DataRate: r.small("mac_settings.rx2_data_rate_index", j.RX2DataRate, 15),
		UplinkDwell: j.UplinkDwell.optional(), DownlinkDwell: j.DownlinkDwell.optional(),
		Desired: session.Desired{
			RX1Delay:    r.small("mac_settings.desired_rx1_delay", j.DesiredRX1Delay, 15),
			RX1DROffset: r.small("mac_settings.desired_rx1_data_rate_offset", j.DesiredRX1DROffset, 7),
			RX2DataRate: r.small("mac_settings.desired_rx2_data_rate_index", j.DesiredRX2DataRate, 15),
		},
	}
	s.MAC = j.macSettingsJSON.settings(r)
	if j.RX2Frequency.set {
		f := r.frequency("mac_settings.rx2_frequency", j.RX2Frequency)
		s.RX2Frequency = &f
	}
	for _, n := range j.Frequencies {
		s.Frequencies = append(s.Frequencies, r.frequency("mac_settings.factory_preset_frequencies", n))
	}
	return s
}

func (j *sessionJSON) session(r *reader) *session.Session {
	s := &session.Session{
		FCntUp:       uint32(r.number("session.last_f_cnt_up", j.LastFCntUp, math.MaxUint32)),
		NFCntDown:    uint32(r.number("session.last_n_f_cnt_down", j.LastNFCntDown, math.MaxUint32)),
		AFCntDown:    uint32(r.number("session.last_a_f_cnt_down", j.LastAFCntDown, math.MaxUint32)),
		ConfFCntDown: uint32(r.number("session.last_conf_f_cnt_down", j.LastConfFCntDown, math.MaxUint32)),
	}
	s.Heard = s.FCntUp > 0
	if !r.text("session.dev_addr", j.DevAddr, &s.DevAddr) {
		r.fail("session.dev_addr", ErrMissing)
	}
	k := &j.Keys
	r.key("session.keys.f_nwk_s_int_key", k.FNwkSIntKey, &s.Keys.FNwkSIntKey)
	r.key("session.keys.s_nwk_s_int_key", k.SNwkSIntKey, &s.Keys.SNwkSIntKey)
	r.key("session.keys.nwk_s_enc_key", k.NwkSEncKey, &s.Keys.NwkSEncKey)
	r.key("session.keys.app_s_key", k.AppSKey, &s.Keys.AppSKey)
	if k.SessionKeyID != "" {
		id, err := base64.StdEncoding.DecodeString(k.SessionKeyID)
		r.fail("session.keys.session_key_id", err)
		s.KeyID = id
	}
	return s
}

// heard reports whether an uplink of the session was heard: The Things Stack
// leaves out a last_f_cnt_up of 0, which may be none or the first.
func (m *macStateJSON) heard() bool {
	for _, u := range m.RecentUplinks {
		if len(u.Payload.MACPayload) > 0 && string(u.Payload.MACPayload) != "null" {
			return true
		}
	}
	return false
}

func (j *parametersJSON) parameters(r *reader) *session.Parameters {
	if j == nil {
		return nil
	}
	const in = "mac_state.current_parameters."
	small := func(name string, n number, limit uint64) uint8 { return uint8(r.number(in+name, n, limit)) }
	p := &session.Parameters{
		MaxEIRP:        radio.Decibel(math.Round(min(max(j.MaxEIRP, 0), 40) * 100)),
		ADRDataRate:    small("adr_data_rate_index", j.ADRDataRate, 15),
		ADRTXPower:     small("adr_tx_power_index", j.ADRTXPower, 15),
		ADRNbTrans:     small("adr_nb_trans", j.ADRNbTrans, 15),
		ADRAckLimitExp: j.ADRAckLimitExp.exponent(), ADRAckDelayExp: j.ADRAckDelayExp.exponent(),
		RX1Delay: small("rx1_delay", j.RX1Delay, 15), RX1DROffset: small("rx1_data_rate_offset", j.RX1DROffset, 7),
		RX2DataRate:  small("rx2_data_rate_index", j.RX2DataRate, 15),
		RX2Frequency: r.frequency(in+"rx2_frequency", j.RX2Frequency),
		MaxDutyCycle: j.MaxDutyCycle.exponent(), RejoinTimePeriod: j.RejoinTimePeriod.exponent(),
		UplinkDwell: j.UplinkDwell.optional(), DownlinkDwell: j.DownlinkDwell.optional(),
	}
	if len(j.Channels) > 96 {
		r.fail(in+"channels", fmt.Errorf("%d, at most 96", len(j.Channels)))
		return nil
	}
	for _, c := range j.Channels {
		p.Channels = append(p.Channels, session.Channel{
			UplinkFrequency:   r.frequency(in+"channels.uplink_frequency", c.UplinkFrequency),
			DownlinkFrequency: r.frequency(in+"channels.downlink_frequency", c.DownlinkFrequency),
			MinDataRate:       small("channels.min_data_rate_index", c.MinDataRate, 15),
			MaxDataRate:       small("channels.max_data_rate_index", c.MaxDataRate, 15),
			Enabled:           bool(c.EnableUplink),
		})
	}
	return p
}
