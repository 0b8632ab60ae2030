package enddevice

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// macSettingsJSON are the members of mac_settings that say what a device is asked.
type macSettingsJSON struct {
	DesiredRX2   bigNumber            `json:"desired_rx2_frequency,omitzero"`
	MaxDutyCycle enum[dutyCycleNames] `json:"desired_max_duty_cycle,omitempty"`
	MaxEIRP      enum[eirpNames]      `json:"desired_max_eirp,omitempty"`
	ADRAckLimit  enum[ackLimitNames]  `json:"desired_adr_ack_limit_exponent,omitempty"`
	ADRAckDelay  enum[ackDelayNames]  `json:"desired_adr_ack_delay_exponent,omitempty"`
	StatusCount  number               `json:"status_count_periodicity,omitzero"`
	StatusTime   span                 `json:"status_time_periodicity,omitzero"`
	ClassCTime   span                 `json:"class_c_timeout,omitzero"`
	ClassBTime   span                 `json:"class_b_timeout,omitzero"`
	PingEvery    enum[pingNames]      `json:"ping_slot_periodicity,omitempty"`
	PingRate     number               `json:"ping_slot_data_rate_index,omitzero"`
	pingJSON
	PingSlot     bigNumber   `json:"desired_ping_slot_frequency,omitzero"`
	PingSlotRate number      `json:"desired_ping_slot_data_rate_index,omitzero"`
	Beacon       bigNumber   `json:"desired_beacon_frequency,omitzero"`
	ADR          *adrJSON    `json:"adr,omitempty"`
	UseADR       wrappedBool `json:"use_adr,omitzero"`
	ADRMargin    *float64    `json:"adr_margin,omitempty"` // dB
}

// adrJSON says how data rate and power are set; one of its members is there.
type adrJSON struct {
	Static   *adrStaticJSON  `json:"static,omitempty"`
	Dynamic  *adrDynamicJSON `json:"dynamic,omitempty"`
	Disabled *struct{}       `json:"disabled,omitempty"`
}

type adrStaticJSON struct {
	DataRate number `json:"data_rate_index,omitzero"`
	Power    number `json:"tx_power_index,omitzero"`
	NbTrans  number `json:"nb_trans,omitzero"`
}

type adrDynamicJSON struct {
	Margin      *float64 `json:"margin,omitempty"` // dB
	MinDataRate number   `json:"min_data_rate_index,omitzero"`
	MaxDataRate number   `json:"max_data_rate_index,omitzero"`
	MinPower    number   `json:"min_tx_power_index,omitzero"`
	MaxPower    number   `json:"max_tx_power_index,omitzero"`
	MinNbTrans  number   `json:"min_nb_trans,omitzero"`
	MaxNbTrans  number   `json:"max_nb_trans,omitzero"`
}

// span is a time as The Things Stack writes it: "20s".
type span struct {
	v   time.Duration
	set bool
}

// IsZero reports whether there is none.
func (s span) IsZero() bool { return !s.set }

// MarshalJSON implements json.Marshaler.
func (s span) MarshalJSON() ([]byte, error) {
	return json.Marshal(strconv.FormatFloat(s.v.Seconds(), 'f', -1, 64) + "s")
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *span) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil || text == nil {
		return err
	}
	v, err := time.ParseDuration(*text)
	*s = span{max(v, 0), err == nil}
	return err
}

func (j *macSettingsJSON) settings(r *reader) macstate.Settings {
	const in = "mac_settings."
	s := macstate.Settings{
		MaxDutyCycle: j.MaxDutyCycle.exponent(), ADRAckLimit: j.ADRAckLimit.exponent(), ADRAckDelay: j.ADRAckDelay.exponent(),
	}
	s.Ping = j.ping(r, in, j.PingRate)
	every(&s.Ping, j.PingEvery)
	if j.DesiredRX2.set {
		f := r.frequency(in+"desired_rx2_frequency", j.DesiredRX2)
		s.RX2Frequency = &f
	}
	if j.MaxEIRP != "" {
		p, ok := eirpOf(j.MaxEIRP)
		if !ok {
			r.fail(in+"desired_max_eirp", fmt.Errorf("%.40q, not one from DEVICE_EIRP_8 to DEVICE_EIRP_36", string(j.MaxEIRP)))
		}
		s.MaxEIRP = &p
	}
	if j.StatusCount.set {
		n := uint32(r.number(in+"status_count_periodicity", j.StatusCount, math.MaxUint32))
		s.StatusCount = &n
	}
	switch v := j.StatusTime.v; {
	case v > 0 && v < time.Second:
		r.note("mac_settings.status_time_periodicity is %v, and left out: ttn-lw-migrate writes such times", v)
	case j.StatusTime.set:
		s.StatusTime = &j.StatusTime.v
	}
	if j.ClassCTime.set {
		s.ClassCTimeout = &j.ClassCTime.v
	}
	if j.ClassBTime.set {
		s.ClassBTimeout = &j.ClassBTime.v
	}
	if j.PingSlot.set {
		f := r.frequency(in+"desired_ping_slot_frequency", j.PingSlot)
		s.PingFrequency = &f
	}
	s.PingDataRate = r.small(in+"desired_ping_slot_data_rate_index", j.PingSlotRate, 15)
	if j.Beacon.set {
		f := r.frequency(in+"desired_beacon_frequency", j.Beacon)
		s.Beacon = &f
	}
	s.ADR = j.adr(r)
	return s
}

// adr reads adr, or the older use_adr and adr_margin.
func (j *macSettingsJSON) adr(r *reader) macstate.ADR {
	const in = "mac_settings.adr."
	a := macstate.ADR{Margin: decibel(j.ADRMargin), Disabled: j.UseADR.set && !j.UseADR.v}
	if j.ADR == nil {
		return a
	}
	a.Disabled = j.ADR.Disabled != nil
	if s := j.ADR.Static; s != nil {
		a.Static = &macstate.Static{
			DataRate: uint8(r.number(in+"static.data_rate_index", s.DataRate, 15)),
			Power:    uint8(r.number(in+"static.tx_power_index", s.Power, 15)),
			NbTrans:  uint8(r.number(in+"static.nb_trans", s.NbTrans, 15)),
		}
	}
	if d := j.ADR.Dynamic; d != nil {
		if d.Margin != nil {
			a.Margin = decibel(d.Margin)
		}
		a.MinDataRate = r.small(in+"dynamic.min_data_rate_index", d.MinDataRate, 15)
		a.MaxDataRate = r.small(in+"dynamic.max_data_rate_index", d.MaxDataRate, 15)
		a.MinPower = r.small(in+"dynamic.min_tx_power_index", d.MinPower, 15)
		a.MaxPower = r.small(in+"dynamic.max_tx_power_index", d.MaxPower, 15)
		a.MinNbTrans = r.small(in+"dynamic.min_nb_trans", d.MinNbTrans, 15)
		a.MaxNbTrans = r.small(in+"dynamic.max_nb_trans", d.MaxNbTrans, 15)
	}
	return a
}

// decibel reads dB, within what a radio can have.
func decibel(v *float64) *radio.Decibel {
	if v == nil {
		return nil
	}
	d := radio.Decibel(math.Round(min(max(*v, -100), 100) * 100))
	return &d
}

// macSettingsOf is the way back.
func macSettingsOf(s *session.Settings) macSettingsJSON {
	m := &s.MAC
	j := macSettingsJSON{
		MaxDutyCycle: wordOf[dutyCycleNames](m.MaxDutyCycle), ADRAckLimit: wordOf[ackLimitNames](m.ADRAckLimit),
		ADRAckDelay: wordOf[ackDelayNames](m.ADRAckDelay), PingSlotRate: optional(m.PingDataRate),
		PingEvery: everyOf(m.Ping), PingRate: optional(m.Ping.DataRate), pingJSON: pingOf(m.Ping),
	}
	if m.ClassBTimeout != nil {
		j.ClassBTime = span{*m.ClassBTimeout, true}
	}
	if m.PingFrequency != nil {
		j.PingSlot = bigNumber{number{uint64(*m.PingFrequency), true}}
	}
	if m.Beacon != nil {
		j.Beacon = bigNumber{number{uint64(*m.Beacon), true}}
	}
	if m.RX2Frequency != nil {
		j.DesiredRX2 = bigNumber{number{uint64(*m.RX2Frequency), true}}
	}
	if m.MaxEIRP != nil {
		j.MaxEIRP = eirpWord(*m.MaxEIRP)
	}
	if m.StatusCount != nil {
		j.StatusCount = number{uint64(*m.StatusCount), true}
	}
	if m.StatusTime != nil {
		j.StatusTime = span{*m.StatusTime, true}
	}
	if m.ClassCTimeout != nil {
		j.ClassCTime = span{*m.ClassCTimeout, true}
	}
	switch a := &m.ADR; {
	case a.Disabled:
		j.ADR = &adrJSON{Disabled: &struct{}{}}
	case a.Static != nil:
		set := func(n uint8) number { return number{uint64(n), true} }
		j.ADR = &adrJSON{Static: &adrStaticJSON{set(a.Static.DataRate), set(a.Static.Power), set(a.Static.NbTrans)}}
	case *a != macstate.ADR{}:
		d := &adrDynamicJSON{
			MinDataRate: optional(a.MinDataRate), MaxDataRate: optional(a.MaxDataRate), MinPower: optional(a.MinPower),
			MaxPower: optional(a.MaxPower), MinNbTrans: optional(a.MinNbTrans), MaxNbTrans: optional(a.MaxNbTrans),
		}
		if a.Margin != nil {
			margin := float64(*a.Margin) / 100
			d.Margin = &margin
		}
		j.ADR = &adrJSON{Dynamic: d}
	}
	return j
}

// eirpOf returns the power that a word names. The words of TxParamSetupReq end with it, in dBm.
func eirpOf(word enum[eirpNames]) (power radio.Decibel, ok bool) {
	_, text, _ := strings.Cut(string(word), "DEVICE_EIRP_")
	n, err := strconv.ParseUint(text, 10, 8)
	return radio.Decibel(n) * 100, err == nil && word.exponent() != nil
}

// eirpWord names the highest power of TxParamSetupReq that is not above another one, or the lowest.
func eirpWord(power radio.Decibel) (word enum[eirpNames]) {
	for n := range uint8(maxExponent + 1) {
		next := wordOf[eirpNames](&n)
		if p, _ := eirpOf(next); p > power && word != "" {
			break
		}
		word = next
	}
	return word
}
