package enddevice

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// deviceJSON is an end device of The Things Stack, as far as it matters here.
// Source: api/ttn/lorawan/v3/end_device.proto of v3.32.
type deviceJSON struct {
	IDs struct {
		DeviceID string `json:"device_id"`
		DevEUI   string `json:"dev_eui"`
		JoinEUI  string `json:"join_eui"`
	} `json:"ids"`
	Name            string                  `json:"name"`
	Description     string                  `json:"description"`
	Attributes      map[string]string       `json:"attributes"`
	VersionIDs      versionIDsJSON          `json:"version_ids"`
	Locations       map[string]locationJSON `json:"locations"`
	SupportsClassB  bool                    `json:"supports_class_b"`
	SupportsClassC  bool                    `json:"supports_class_c"`
	Multicast       bool                    `json:"multicast"`
	LoRaWANVersion  string                  `json:"lorawan_version"`
	PHYVersion      string                  `json:"lorawan_phy_version"`
	FrequencyPlanID string                  `json:"frequency_plan_id"`
	SupportsJoin    bool                    `json:"supports_join"`
	ResetsJoin      bool                    `json:"resets_join_nonces"`
	RootKeys        struct {
		AppKey *keyJSON `json:"app_key"`
		NwkKey *keyJSON `json:"nwk_key"`
	} `json:"root_keys"`
	MACSettings   settingsJSON  `json:"mac_settings"`
	MACState      *macStateJSON `json:"mac_state"`
	Session       *sessionJSON  `json:"session"`
	UsedDevNonces []number      `json:"used_dev_nonces"`
	LastDevNonce  number        `json:"last_dev_nonce"`
	LastJoinNonce number        `json:"last_join_nonce"`
	SkipCrypto    wrappedBool   `json:"skip_payload_crypto_override"`
	SkipCryptoOld bool          `json:"skip_payload_crypto"`
	Formatters    struct {
		Up        string `json:"up_formatter"`
		UpParam   string `json:"up_formatter_parameter"`
		Down      string `json:"down_formatter"`
		DownParam string `json:"down_formatter_parameter"`
	} `json:"formatters"`
}

type versionIDsJSON struct {
	Brand    string `json:"brand_id"`
	Model    string `json:"model_id"`
	Hardware string `json:"hardware_version"`
	Firmware string `json:"firmware_version"`
	Band     string `json:"band_id"`
}

type locationJSON struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Altitude  int32   `json:"altitude"`
	Accuracy  int32   `json:"accuracy"`
	Source    string  `json:"source"`
}

type keyJSON struct {
	Key       string `json:"key"`
	Encrypted string `json:"encrypted_key"`
}

type settingsJSON struct {
	ResetsFCnt       wrappedBool `json:"resets_f_cnt"`
	Supports32BitCnt wrappedBool `json:"supports_32_bit_f_cnt"`
	RX1Delay         number      `json:"rx1_delay"`
	RX1DROffset      number      `json:"rx1_data_rate_offset"`
	RX2DataRate      number      `json:"rx2_data_rate_index"`
	RX2Frequency     number      `json:"rx2_frequency"`
	Frequencies      []number    `json:"factory_preset_frequencies"`

	DesiredRX1Delay    number `json:"desired_rx1_delay"`
	DesiredRX1DROffset number `json:"desired_rx1_data_rate_offset"`
	DesiredRX2DataRate number `json:"desired_rx2_data_rate_index"`
}

type sessionJSON struct {
	DevAddr string `json:"dev_addr"`
	Keys    struct {
		SessionKeyID string   `json:"session_key_id"`
		FNwkSIntKey  *keyJSON `json:"f_nwk_s_int_key"`
		SNwkSIntKey  *keyJSON `json:"s_nwk_s_int_key"`
		NwkSEncKey   *keyJSON `json:"nwk_s_enc_key"`
		AppSKey      *keyJSON `json:"app_s_key"`
	} `json:"keys"`
	LastFCntUp    number `json:"last_f_cnt_up"`
	LastNFCntDown number `json:"last_n_f_cnt_down"`
	LastAFCntDown number `json:"last_a_f_cnt_down"`
}

type macStateJSON struct {
	Current       *parametersJSON `json:"current_parameters"`
	RecentUplinks []struct {
		Payload struct {
			MACPayload json.RawMessage `json:"mac_payload"`
		} `json:"payload"`
	} `json:"recent_uplinks"`
}

type parametersJSON struct {
	MaxEIRP          float64       `json:"max_eirp"`
	ADRDataRate      number        `json:"adr_data_rate_index"`
	ADRTXPower       number        `json:"adr_tx_power_index"`
	ADRNbTrans       number        `json:"adr_nb_trans"`
	ADRAckLimitExp   string        `json:"adr_ack_limit_exponent"`
	ADRAckDelayExp   string        `json:"adr_ack_delay_exponent"`
	RX1Delay         number        `json:"rx1_delay"`
	RX1DROffset      number        `json:"rx1_data_rate_offset"`
	RX2DataRate      number        `json:"rx2_data_rate_index"`
	RX2Frequency     number        `json:"rx2_frequency"`
	MaxDutyCycle     string        `json:"max_duty_cycle"`
	RejoinTimePeriod string        `json:"rejoin_time_periodicity"`
	Channels         []channelJSON `json:"channels"`
}

type channelJSON struct {
	UplinkFrequency   number `json:"uplink_frequency"`
	DownlinkFrequency number `json:"downlink_frequency"`
	MinDataRate       number `json:"min_data_rate_index"`
	MaxDataRate       number `json:"max_data_rate_index"`
	EnableUplink      bool   `json:"enable_uplink"`
}

// number is an integer that may be written as a string, as the name of an
// enumeration that ends in it (RX_DELAY_5), or wrapped into {"value": …}.
type number struct {
	v   uint64
	set bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	switch b[0] {
	case '{':
		var w struct {
			Value json.RawMessage `json:"value"`
		}
		if err := json.Unmarshal(b, &w); err != nil {
			return err
		}
		n.set = true
		if len(w.Value) == 0 {
			return nil // a wrapped zero
		}
		if w.Value[0] == '{' {
			return fmt.Errorf("not a number: %.40s", b)
		}
		return n.UnmarshalJSON(w.Value)
	case '"':
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		text = text[strings.LastIndexByte(text, '_')+1:]
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("not a number: %.40s", b)
	}
	*n = number{v, true}
	return nil
}

// wrappedBool is a bool that may be wrapped into {"value": …}.
type wrappedBool struct{ v, set bool }

// UnmarshalJSON implements json.Unmarshaler.
func (w *wrappedBool) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	w.set = true
	if b[0] != '{' {
		return json.Unmarshal(b, &w.v)
	}
	var j struct {
		Value bool `json:"value"`
	}
	err := json.Unmarshal(b, &j)
	w.v = j.Value
	return err
}

// reader collects the first fault of a device.
type reader struct{ err error }

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
		r.fail(field, fmt.Errorf("wrapped with a key encryption key, which is not told; it is needed in plain"))
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

func (r *reader) frequency(field string, n number) radio.Frequency {
	return radio.Frequency(r.number(field, n, math.MaxUint32))
}

// device makes the device, or tells the first fault.
func (j *deviceJSON) device(o Options) (*session.Device, error) {
	var r reader
	d := &session.Device{
		ID:          session.ID{Application: o.Application, Device: j.IDs.DeviceID},
		VersionName: j.LoRaWANVersion, Version: version(j.LoRaWANVersion), PHYVersion: j.PHYVersion,
		Plan: j.FrequencyPlanID, SupportsJoin: j.SupportsJoin,
		ClassB: j.SupportsClassB, ClassC: j.SupportsClassC, Multicast: j.Multicast, SkipCrypto: j.SkipCrypto.v || j.SkipCryptoOld,
		Name: j.Name, Description: j.Description, Attributes: j.Attributes, VersionIDs: session.VersionIDs(j.VersionIDs),
		Formatters: session.Formatters{
			Up: j.Formatters.Up, UpParameter: j.Formatters.UpParam, Down: j.Formatters.Down, DownParameter: j.Formatters.DownParam,
		},
	}
	if d.Plan == "" {
		d.Plan = o.Plan
	}
	if j.LoRaWANVersion == "" {
		r.fail("lorawan_version", fmt.Errorf("missing"))
	}
	r.text("ids.dev_eui", j.IDs.DevEUI, &d.DevEUI)
	d.HasJoinEUI = r.text("ids.join_eui", j.IDs.JoinEUI, &d.JoinEUI)
	r.key("root_keys.app_key", j.RootKeys.AppKey, &d.RootKeys.AppKey)
	r.key("root_keys.nwk_key", j.RootKeys.NwkKey, &d.RootKeys.NwkKey)
	for name, l := range j.Locations {
		if d.Locations == nil {
			d.Locations = map[string]session.Location{}
		}
		d.Locations[name] = session.Location(l)
	}
	j.nonces(&r, d)
	d.Settings = j.MACSettings.settings(&r)
	d.Settings.ResetsJoinNonce = j.ResetsJoin
	if j.Session != nil && (j.Session.DevAddr != "" || !j.SupportsJoin) {
		d.Session = j.Session.session(&r, d.Version)
		if m := j.MACState; m != nil && r.err == nil {
			d.Session.Heard = d.Session.Heard || m.heard()
			d.Session.Parameters = m.Current.parameters(&r)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return d, d.Check()
}

func version(s string) session.Version {
	return session.ParseVersion(strings.ReplaceAll(strings.TrimPrefix(s, "MAC_V"), "_", "."))
}

func (j *deviceJSON) nonces(r *reader, d *session.Device) {
	for _, n := range j.UsedDevNonces {
		d.UsedDevNonces = append(d.UsedDevNonces, uint16(r.number("used_dev_nonces", n, math.MaxUint16)))
	}
	d.LastDevNonce = uint16(r.number("last_dev_nonce", j.LastDevNonce, math.MaxUint16))
	d.LastJoinNonce = uint32(r.number("last_join_nonce", j.LastJoinNonce, 1<<24-1))
}

func (j *settingsJSON) settings(r *reader) session.Settings {
	s := session.Settings{
		ResetsFCnt:  j.ResetsFCnt.v,
		Counter16:   j.Supports32BitCnt.set && !j.Supports32BitCnt.v,
		RX1Delay:    r.small("mac_settings.rx1_delay", j.RX1Delay, 15),
		RX1DROffset: r.small("mac_settings.rx1_data_rate_offset", j.RX1DROffset, 7),
		RX2DataRate: r.small("mac_settings.rx2_data_rate_index", j.RX2DataRate, 15),
		Desired: session.Desired{
			RX1Delay:    r.small("mac_settings.desired_rx1_delay", j.DesiredRX1Delay, 15),
			RX1DROffset: r.small("mac_settings.desired_rx1_data_rate_offset", j.DesiredRX1DROffset, 7),
			RX2DataRate: r.small("mac_settings.desired_rx2_data_rate_index", j.DesiredRX2DataRate, 15),
		},
	}
	if j.RX2Frequency.set {
		f := r.frequency("mac_settings.rx2_frequency", j.RX2Frequency)
		s.RX2Frequency = &f
	}
	for _, n := range j.Frequencies {
		s.Frequencies = append(s.Frequencies, r.frequency("mac_settings.factory_preset_frequencies", n))
	}
	return s
}

func (j *sessionJSON) session(r *reader, v session.Version) *session.Session {
	s := &session.Session{
		FCntUp:    uint32(r.number("session.last_f_cnt_up", j.LastFCntUp, math.MaxUint32)),
		NFCntDown: uint32(r.number("session.last_n_f_cnt_down", j.LastNFCntDown, math.MaxUint32)),
		AFCntDown: uint32(r.number("session.last_a_f_cnt_down", j.LastAFCntDown, math.MaxUint32)),
	}
	s.Heard = s.FCntUp > 0
	if !r.text("session.dev_addr", j.DevAddr, &s.DevAddr) {
		r.fail("session.dev_addr", fmt.Errorf("missing"))
	}
	k := &j.Keys
	r.key("session.keys.f_nwk_s_int_key", k.FNwkSIntKey, &s.Keys.FNwkSIntKey)
	r.key("session.keys.s_nwk_s_int_key", k.SNwkSIntKey, &s.Keys.SNwkSIntKey)
	r.key("session.keys.nwk_s_enc_key", k.NwkSEncKey, &s.Keys.NwkSEncKey)
	r.key("session.keys.app_s_key", k.AppSKey, &s.Keys.AppSKey)
	if v < session.V1_1 { // one key for all
		s.Keys.SNwkSIntKey, s.Keys.NwkSEncKey = s.Keys.FNwkSIntKey, s.Keys.FNwkSIntKey
	}
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
		MaxEIRP:     radio.Decibel(math.Round(min(max(j.MaxEIRP, 0), 40) * 100)),
		ADRDataRate: small("adr_data_rate_index", j.ADRDataRate, 15), ADRTXPower: small("adr_tx_power_index", j.ADRTXPower, 15),
		ADRNbTrans: small("adr_nb_trans", j.ADRNbTrans, 15), ADRAckLimitExp: j.ADRAckLimitExp, ADRAckDelayExp: j.ADRAckDelayExp,
		RX1Delay: small("rx1_delay", j.RX1Delay, 15), RX1DROffset: small("rx1_data_rate_offset", j.RX1DROffset, 7),
		RX2DataRate: small("rx2_data_rate_index", j.RX2DataRate, 15), RX2Frequency: r.frequency(in+"rx2_frequency", j.RX2Frequency),
		MaxDutyCycle: j.MaxDutyCycle, RejoinTimePeriod: j.RejoinTimePeriod,
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
			Enabled:           c.EnableUplink,
		})
	}
	return p
}
