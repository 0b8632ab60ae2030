package script

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// ErrScript is the reason for refusing a step of a Script.
var ErrScript = errors.New("sx1302: script")

// Setting is one of the calls that configure sx1302_hal: board (board_setconf),
// rxrf, rxif, demod, txgain, ftime or sx1261.
type Setting struct {
	Set         string  `json:"set"`
	Com         string  `json:"com"`  // how the board is connected; ignored, because the caller opens the board
	Path        string  `json:"path"` // likewise
	Public      bool    `json:"public"`
	ClkSrc      uint8   `json:"clksrc"`
	FullDuplex  bool    `json:"full_duplex"`
	RFChain     uint8   `json:"rf_chain"`
	FreqHz      uint32  `json:"freq_hz"`
	Type        string  `json:"type"`
	RSSIOffset  float64 `json:"rssi_offset"`
	A, B, C     float64
	D, E        float64
	TxEnable    bool   `json:"tx_enable"`
	SingleInput bool   `json:"single_input_mode"`
	IFChain     int    `json:"if_chain"`
	IFHz        int32  `json:"if_hz"`
	BwKHz       uint32 `json:"bw_khz"`
	Datarate    uint32 `json:"datarate"`
	SyncSize    uint8  `json:"sync_word_size"`
	SyncWord    uint64 `json:"sync_word"`
	MultiSF     uint8  `json:"multisf"`
	Enable      *bool  `json:"enable"`
	Mode        string `json:"mode"`
	Implicit    bool   `json:"implicit_hdr"`
	Length      uint8  `json:"implicit_payload_length"`
	CRC         bool   `json:"implicit_crc_en"`
	Coding      uint8  `json:"implicit_coderate"`
	LBT         bool   `json:"lbt"`
	RSSITarget  int8   `json:"rssi_target"`
	Channels    []struct {
		FreqHz uint32 `json:"freq_hz"`
		BwKHz  uint32 `json:"bw_khz"`
		ScanUS uint32 `json:"scan_us"`
		TxMS   uint32 `json:"tx_ms"`
	} `json:"channels"`
	LUT []struct {
		RFPower int8  `json:"rf_power"`
		PAGain  uint8 `json:"pa_gain"`
		PwrIdx  uint8 `json:"pwr_idx"`
		DACGain uint8 `json:"dac_gain"`
		MixGain uint8 `json:"mix_gain"`
		DigGain uint8 `json:"dig_gain"`
	} `json:"lut"`
}

// Config converts the calls to a Config.
func Config(list []Setting) (sx1302.Config, error) {
	var c sx1302.Config
	for i := range list {
		if err := list[i].apply(&c); err != nil {
			return c, fmt.Errorf("%w: %s: %w", ErrScript, list[i].Set, err)
		}
	}
	for i := range c.Radios {
		if r := &c.Radios[i]; r.Transmit && len(r.Gains) == 0 {
			r.Gains = []sx1302.Gain{sx1302.DefaultGain}
		}
	}
	return c, c.Validate()
}

func (x *Setting) apply(c *sx1302.Config) error {
	if x.RFChain >= sx1302.Chains {
		return fmt.Errorf("rf_chain %d, must be 0 or 1", x.RFChain)
	}
	r := &c.Radios[x.RFChain]
	switch x.Set {
	case "board":
		c.Private, c.ClockSource, c.FullDuplex = !x.Public, x.ClkSrc, x.FullDuplex
	case "rxrf":
		return x.radio(r)
	case "rxif":
		return x.channel(c)
	case "demod":
		c.SpreadingFactors = x.MultiSF
	case "ftime":
		return x.fineTimestamps(c)
	case "txgain":
		r.Gains = nil
		for _, g := range x.LUT {
			r.Gains = append(r.Gains, sx1302.Gain{
				Power: g.RFPower, PAGain: g.PAGain, PowerIndex: g.PwrIdx, DACGain: g.DACGain, MixGain: g.MixGain,
				DigGain: g.DigGain,
			})
		}
	case "sx1261":
		c.LBT = x.lbt()
	default:
		return errors.New("no such setting")
	}
	return nil
}

// fineTimestamps returns the mode of fine timestamps; the default is all spreading
// factors.
func (x *Setting) fineTimestamps(c *sx1302.Config) (err error) {
	if x.Enable != nil && !*x.Enable {
		c.FineTimestamps = sx1302.NoFineTimestamps
		return nil
	}
	c.FineTimestamps, err = sx1302.ParseFineTimestamps(cmp.Or(x.Mode, "all_sf"))
	return err
}

// settingKeys are the keys of each setting.
var settingKeys = map[string][]string{
	"board": {"com", "path", "public", "clksrc", "full_duplex"},
	"rxrf":  {"rf_chain", "freq_hz", "type", "rssi_offset", "a", "b", "c", "d", "e", "tx_enable", "single_input_mode"},
	"rxif": {
		"if_chain", "rf_chain", "if_hz", "bw_khz", "datarate", "sync_word_size", "sync_word", "implicit_hdr",
		"implicit_payload_length", "implicit_crc_en", "implicit_coderate",
	},
	"demod":  {"multisf"},
	"txgain": {"rf_chain", "lut"},
	"ftime":  {"enable", "mode"},
	"sx1261": {"lbt", "rssi_target", "rssi_offset", "channels"},
}

// UnmarshalJSON implements json.Unmarshaler. It refuses keys that the setting does
// not have, because a mistyped key would leave its default.
func (x *Setting) UnmarshalJSON(b []byte) error {
	var set struct {
		Set string `json:"set"`
	}
	if err := json.Unmarshal(b, &set); err != nil {
		return err
	}
	keys, ok := settingKeys[set.Set]
	if !ok {
		return fmt.Errorf("%.40q: no such setting", set.Set)
	}
	if err := onlyKeys(b, append([]string{"set"}, keys...)...); err != nil {
		return fmt.Errorf("%s: %w", set.Set, err)
	}
	type plain Setting
	return strictly(b, (*plain)(x))
}

// onlyKeys returns an error if an object has other keys.
func onlyKeys(object []byte, keys ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(keys, key) {
			return fmt.Errorf("unknown key %.40q; there are %s", key, cmp.Or(strings.Join(keys, ", "), "none"))
		}
	}
	return nil
}

// strictly decodes an object. Unknown keys, also of the objects in it, are an
// error.
func strictly(object []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// lbt returns the settings of LBT.
func (x *Setting) lbt() sx1302.LBT {
	l := sx1302.LBT{
		Enabled: x.LBT, Target: radio.Decibel(x.RSSITarget) * 100,
		RSSIOffset: radio.Decibel(math.Round(x.RSSIOffset * 100)),
	}
	for _, ch := range x.Channels {
		l.Channels = append(l.Channels, sx1302.LBTChannel{
			Frequency: radio.Frequency(ch.FreqHz), Bandwidth: ch.BwKHz * 1000,
			Scan: time.Duration(ch.ScanUS) * time.Microsecond, Airtime: time.Duration(ch.TxMS) * time.Millisecond,
		})
	}
	return l
}

// radio sets a radio, but keeps its gains, which may be set before.
func (x *Setting) radio(r *sx1302.Radio) error {
	t, err := sx1302.ParseRadioType(strings.ToUpper(cmp.Or(x.Type, "sx1250")))
	if err != nil {
		err = fmt.Errorf("no such radio: %q", x.Type)
	}
	*r = sx1302.Radio{
		Enabled: true, Type: t, Frequency: radio.Frequency(x.FreqHz),
		RSSIOffset:  radio.Decibel(math.Round(x.RSSIOffset * 100)),
		SingleInput: x.SingleInput, Transmit: x.TxEnable, Gains: r.Gains,
	}
	for i, v := range []float64{x.A, x.B, x.C, x.D, x.E} {
		r.RSSITemperature[i] = int32(math.Round(v * 1000))
	}
	return err
}

func (x *Setting) channel(c *sx1302.Config) error {
	ch := sx1302.Channel{Enabled: true, Chain: x.RFChain, Offset: x.IFHz}
	switch {
	case x.IFChain == sx1302.ServiceChannel:
		c.Service = sx1302.Service{
			Channel: ch, SpreadingFactor: uint8(min(x.Datarate, math.MaxUint8)), Bandwidth: x.BwKHz * 1000,
			Implicit: x.Implicit, ImplicitLength: x.Length, ImplicitCRC: x.CRC, ImplicitCodingRate: radio.CodingRate(x.Coding),
		}
	case x.IFChain == sx1302.FSKChannel:
		c.FSK = sx1302.FSKModem{Channel: ch, BitRate: x.Datarate, SyncWord: x.SyncWord, SyncWordSize: x.SyncSize}
	case x.IFChain < 0 || x.IFChain > sx1302.FSKChannel:
		return fmt.Errorf("if_chain %d, must be 0 to %d", x.IFChain, sx1302.FSKChannel)
	default:
		c.Channels[x.IFChain] = ch
	}
	return nil
}

// Send has the arguments of send (lgw_send).
type Send struct {
	BwKHz    uint32  `json:"bw_khz"`
	Coding   uint8   `json:"coderate"`
	Count    uint32  `json:"count_us"`
	Datarate uint32  `json:"datarate"`
	FDevKHz  *uint32 `json:"f_dev_khz"` // default 25
	Freq     uint32  `json:"freq_hz"`
	Offset   int32   `json:"freq_offset_khz"`
	Invert   bool    `json:"invert_pol"`
	Mode     string  `json:"mode"`
	Mod      string  `json:"modulation"`
	NoCRC    bool    `json:"no_crc"`
	NoHeader bool    `json:"no_header"`
	Payload  string  `json:"payload"`
	Preamble uint16  `json:"preamble"`
	Chain    uint8   `json:"rf_chain"`
	Power    int32   `json:"rf_power"`
}

// triggers are the kinds of triggers by their names in tx_mode.
var triggers = map[string]sx1302.Trigger{
	"immediate": sx1302.TriggerNow, "timestamp": sx1302.TriggerTime, "gps": sx1302.TriggerPPS,
}

// Transmission returns the packet to send.
func (s *Send) Transmission() (sx1302.Transmission, error) {
	payload, err := hex.DecodeString(s.Payload)
	if err != nil {
		return sx1302.Transmission{}, fmt.Errorf("%w: payload: %w", ErrScript, err)
	}
	trigger, ok := triggers[s.Mode]
	if !ok {
		return sx1302.Transmission{}, fmt.Errorf("%w: mode %q, must be immediate, timestamp or gps", ErrScript, s.Mode)
	}
	t := sx1302.Transmission{
		Chain: s.Chain, Frequency: radio.Frequency(s.Freq),
		DataRate:   radio.LoRaDataRate(uint8(min(s.Datarate, math.MaxUint8)), s.BwKHz*1000),
		CodingRate: radio.CodingRate(s.Coding), Power: radio.Decibel(s.Power * 100), Payload: payload, Preamble: s.Preamble,
		NoCRC: s.NoCRC, ImplicitHeader: s.NoHeader, InvertPolarity: s.Invert, Time: s.Count, Trigger: trigger,
		MayExceed: true,
	}
	switch s.Mod {
	case "LORA":
	case "FSK":
		t.DataRate, t.Deviation = radio.FSKDataRate(s.Datarate), defaultDeviation
		t.DataRate.Bandwidth = s.BwKHz * 1000
		if s.FDevKHz != nil {
			t.Deviation = *s.FDevKHz * 1000
		}
	case "CW":
		t.Carrier, t.CarrierOffset = true, s.Offset*1000
	default:
		return t, fmt.Errorf("%w: modulation %q, must be LORA, FSK or CW", ErrScript, s.Mod)
	}
	return t, nil
}

// airtime returns the time on air in ms as sx1302_hal computes it: with low data
// rate optimisation for SF11 and SF12 at any bandwidth.
func (s *Send) airtime(t *sx1302.Transmission) int64 {
	n := int64(len(t.Payload))
	switch {
	case t.Carrier:
		return 0
	case t.DataRate.Modulation == radio.FSK:
		return 8*1000*(int64(t.PreambleLength())+fskSyncDefault+1+n+2*bit(!t.NoCRC))/int64(max(t.DataRate.BitRate, 1)) + 1
	}
	sf := int64(t.DataRate.SpreadingFactor)
	if !knownBandwidth(t.DataRate.Bandwidth) || sf < 5 || sf > 12 || t.CodingRate < radio.CodingRate45 ||
		t.CodingRate > radio.CodingRate48 {
		return 0
	}
	sync, header := int64(425), int64(8)
	if sf < 7 {
		sync, header = 625, 0
	}
	bits := 8*n + 16*bit(!t.NoCRC) - 4*sf + header + 20*bit(!t.ImplicitHeader)
	perBlock := 4 * (sf - 2*bit(sf >= 11))
	symbols := (max(bits, 0) + perBlock - 1) / perBlock * (int64(t.CodingRate) + 4)
	hundredths := 100*(int64(t.PreambleLength())+8+symbols) + sync
	us := hundredths * (1_000_000 << sf) / int64(t.DataRate.Bandwidth) / 100
	return (us + 500) / 1000
}

func knownBandwidth(hz uint32) bool { return hz == 125_000 || hz == 250_000 || hz == 500_000 }

// bit returns 1 for true.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// defaultDeviation is the deviation of LoRaWAN's FSK, Hz.
const defaultDeviation = 25_000

// fskSyncDefault is the length of the default sync word, bytes.
const fskSyncDefault = 3

// stepLine is a line of a script: the configuration, or a call.
type stepLine struct {
	K      string          `json:"k"`
	G      *int            `json:"g"`
	Fn     string          `json:"fn"`
	Args   json.RawMessage `json:"args"`
	Config []Setting       `json:"config"`
}
