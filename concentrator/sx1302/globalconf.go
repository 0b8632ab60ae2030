package sx1302

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"lorawand/radio"
)

// globalConf is the part of a global_conf.json of Semtech's packet forwarder
// that sets the chip up.
type globalConf struct {
	SX130x *struct {
		Public   *bool         `json:"lorawan_public"`
		Clock    uint8         `json:"clksrc"`
		Duplex   bool          `json:"full_duplex"`
		Radio0   globalRadio   `json:"radio_0"`
		Radio1   globalRadio   `json:"radio_1"`
		MultiAll globalMultiSF `json:"chan_multiSF_All"`
		Multi0   globalChannel `json:"chan_multiSF_0"`
		Multi1   globalChannel `json:"chan_multiSF_1"`
		Multi2   globalChannel `json:"chan_multiSF_2"`
		Multi3   globalChannel `json:"chan_multiSF_3"`
		Multi4   globalChannel `json:"chan_multiSF_4"`
		Multi5   globalChannel `json:"chan_multiSF_5"`
		Multi6   globalChannel `json:"chan_multiSF_6"`
		Multi7   globalChannel `json:"chan_multiSF_7"`
		Standard globalChannel `json:"chan_Lora_std"`
		FSK      globalChannel `json:"chan_FSK"`
		SX1261   globalSX1261  `json:"sx1261_conf"`
		Antenna  float64       `json:"antenna_gain"`
		Fine     struct {
			Enable bool   `json:"enable"`
			Mode   string `json:"mode"`
		} `json:"fine_timestamp"`
	} `json:"SX130x_conf"`
}

type globalRadio struct {
	Enable      bool    `json:"enable"`
	Type        string  `json:"type"`
	Frequency   uint32  `json:"freq"`
	RSSIOffset  float64 `json:"rssi_offset"`
	SingleInput bool    `json:"single_input_mode"`
	TxEnable    bool    `json:"tx_enable"`
	Temperature struct {
		A float64 `json:"coeff_a"`
		B float64 `json:"coeff_b"`
		C float64 `json:"coeff_c"`
		D float64 `json:"coeff_d"`
		E float64 `json:"coeff_e"`
	} `json:"rssi_tcomp"`
	Gains []struct {
		Power      int8   `json:"rf_power"`
		PAGain     uint8  `json:"pa_gain"`
		PowerIndex uint8  `json:"pwr_idx"`
		DACGain    *uint8 `json:"dac_gain"`
		MixGain    uint8  `json:"mix_gain"`
		DigGain    uint8  `json:"dig_gain"`
	} `json:"tx_gain_lut"`
}

type globalSX1261 struct {
	Path       string  `json:"spi_path"`
	RSSIOffset float64 `json:"rssi_offset"`
	LBT        struct {
		Enable     bool    `json:"enable"`
		RSSITarget float64 `json:"rssi_target"`
		Channels   []struct {
			Frequency uint32 `json:"freq_hz"`
			Bandwidth uint32 `json:"bandwidth"`
			ScanTime  uint32 `json:"scan_time_us"`
			Airtime   uint32 `json:"transmit_time_ms"`
		} `json:"channels"`
	} `json:"lbt"`
}

type globalMultiSF struct {
	SpreadingFactors []uint8 `json:"spreading_factor_enable"`
}

type globalChannel struct {
	Enable          bool   `json:"enable"`
	Radio           uint8  `json:"radio"`
	IF              int32  `json:"if"`
	Bandwidth       uint32 `json:"bandwidth"`
	SpreadingFactor uint8  `json:"spread_factor"`
	Implicit        bool   `json:"implicit_hdr"`
	ImplicitLength  uint8  `json:"implicit_payload_length"`
	ImplicitCRC     bool   `json:"implicit_crc_en"`
	ImplicitCoding  uint8  `json:"implicit_coderate"`
	BitRate         uint32 `json:"datarate"`
}

func (g *globalChannel) channel() Channel {
	return Channel{Enabled: g.Enable, Chain: g.Radio, Offset: g.IF}
}

// GlobalConf is what is taken from a global_conf.json.
type GlobalConf struct {
	Config
	SX1261      string        // device of the radio that listens before talking
	AntennaGain radio.Decibel // dBi
}

// ParseGlobalConf reads what the global_conf.json of Semtech's packet forwarder
// for the SX1302 sets the chip up for: radios, channels, gains, fine timestamps,
// and listening before talking with the device of the SX1261; and the gain of the
// antenna. The rest of the file is left aside. It returns ErrConfig for what the
// chip cannot do.
func ParseGlobalConf(file []byte) (GlobalConf, error) {
	var g globalConf
	if err := json.Unmarshal(withoutComments(file), &g); err != nil {
		return GlobalConf{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s := g.SX130x
	if s == nil {
		return GlobalConf{}, fmt.Errorf("%w: no SX130x_conf; files for the SX1301 are of no use", ErrConfig)
	}
	if math.Abs(s.Antenna) > maxAntennaGain {
		return GlobalConf{}, fmt.Errorf("%w: antenna_gain %v is not within ±%d dBi", ErrConfig, s.Antenna, maxAntennaGain)
	}
	var err error
	c := Config{ClockSource: s.Clock, FullDuplex: s.Duplex, Private: s.Public != nil && !*s.Public}
	for i, r := range []*globalRadio{&s.Radio0, &s.Radio1} {
		if c.Radios[i], err = r.radio(); err != nil {
			return GlobalConf{}, fmt.Errorf("%w: radio_%d: %w", ErrConfig, i, err)
		}
	}
	for i, ch := range []*globalChannel{&s.Multi0, &s.Multi1, &s.Multi2, &s.Multi3, &s.Multi4, &s.Multi5, &s.Multi6, &s.Multi7} {
		c.Channels[i] = ch.channel()
	}
	for _, sf := range s.MultiAll.SpreadingFactors {
		if sf < 5 || sf > 12 {
			return GlobalConf{}, fmt.Errorf("%w: chan_multiSF_All: no such spreading factor: %d", ErrConfig, sf)
		}
		c.SpreadingFactors |= 1 << (sf - 5)
	}
	c.Service = s.Standard.service()
	c.FSK = FSKModem{Channel: s.FSK.channel(), BitRate: s.FSK.BitRate}
	if s.Fine.Enable {
		if c.FineTimestamps, err = ParseFineTimestamps(s.Fine.Mode); err != nil {
			return GlobalConf{}, fmt.Errorf("%w: fine_timestamp: %w", ErrConfig, err)
		}
	}
	c.LBT, err = s.SX1261.listening()
	if err != nil {
		return GlobalConf{}, fmt.Errorf("%w: sx1261_conf: %w", ErrConfig, err)
	}
	return GlobalConf{c, s.SX1261.Path, radio.Decibel(math.Round(s.Antenna * 100))}, c.Validate()
}

// ParseFineTimestamps reads a choice as Semtech's files name it, or "off".
func ParseFineTimestamps(mode string) (FineTimestamps, error) {
	switch mode {
	case "off":
		return NoFineTimestamps, nil
	case "all_sf":
		return FineTimestampsAll, nil
	case "high_capacity":
		return FineTimestampsSF10, nil
	}
	return NoFineTimestamps, fmt.Errorf("%.40q, must be one of all_sf, high_capacity, off", mode)
}

func (g *globalChannel) service() Service {
	return Service{
		Channel: g.channel(), SpreadingFactor: g.SpreadingFactor, Bandwidth: g.Bandwidth,
		Implicit: g.Implicit, ImplicitLength: g.ImplicitLength, ImplicitCRC: g.ImplicitCRC, ImplicitCodingRate: radio.CodingRate(g.ImplicitCoding),
	}
}

func (g *globalSX1261) listening() (LBT, error) {
	if math.Abs(g.RSSIOffset) > maxRSSIOffset || math.Abs(g.LBT.RSSITarget) > maxRSSIOffset {
		return LBT{}, fmt.Errorf("rssi_target %v or rssi_offset %v is not within ±%d", g.LBT.RSSITarget, g.RSSIOffset, maxRSSIOffset)
	}
	l := LBT{Enabled: g.LBT.Enable, Target: radio.Decibel(math.Round(g.LBT.RSSITarget * 100)), RSSIOffset: radio.Decibel(math.Round(g.RSSIOffset * 100))}
	for _, ch := range g.LBT.Channels {
		l.Channels = append(l.Channels, LBTChannel{
			Frequency: radio.Frequency(ch.Frequency), Bandwidth: ch.Bandwidth,
			Scan: time.Duration(ch.ScanTime) * time.Microsecond, Airtime: time.Duration(ch.Airtime) * time.Millisecond,
		})
	}
	return l, nil
}

func (g *globalRadio) radio() (Radio, error) {
	r := Radio{Enabled: g.Enable, Frequency: radio.Frequency(g.Frequency), SingleInput: g.SingleInput, Transmit: g.TxEnable}
	if !g.Enable {
		return r, nil
	}
	var err error
	if r.Type, err = parseRadioType(g.Type); err != nil {
		return r, err
	}
	if math.Abs(g.RSSIOffset) > maxRSSIOffset {
		return r, fmt.Errorf("rssi_offset %v is not within ±%d", g.RSSIOffset, maxRSSIOffset)
	}
	r.RSSIOffset = radio.Decibel(math.Round(g.RSSIOffset * 100))
	t := &g.Temperature
	for i, v := range []float64{t.A, t.B, t.C, t.D, t.E} {
		if math.Abs(v) > maxCoefficient {
			return r, fmt.Errorf("rssi_tcomp: %v is not within ±%d", v, maxCoefficient)
		}
		r.RSSITemperature[i] = int32(math.Round(v * 1000))
	}
	for _, e := range g.Gains {
		gain := Gain{Power: e.Power, PAGain: e.PAGain, PowerIndex: e.PowerIndex}
		if r.Type != SX1250 {
			gain.PowerIndex, gain.DACGain, gain.MixGain, gain.DigGain = 0, defaultDACGain, e.MixGain, e.DigGain
			if e.DACGain != nil {
				gain.DACGain = *e.DACGain
			}
		}
		r.Gains = append(r.Gains, gain)
	}
	slices.SortStableFunc(r.Gains, func(a, b Gain) int { return int(a.Power) - int(b.Power) })
	return r, nil
}

// Limits and defaults of a global_conf.json.
const (
	maxAntennaGain = 50        // dBi
	maxRSSIOffset  = 400       // dB
	maxCoefficient = 2_000_000 // of the temperature
	defaultDACGain = 3         // of sx1302_hal's packet forwarder
)

// withoutComments blanks the C comments that Semtech's files have.
func withoutComments(text []byte) []byte {
	out := slices.Clone(text)
	const (
		code = iota
		quoted
		block
		line
	)
	state := code
	for i := 0; i < len(out); i++ {
		two := string(out[i:min(i+2, len(out))])
		switch {
		case state == quoted:
			if out[i] == '\\' {
				i++
			} else if out[i] == '"' {
				state = code
			}
		case state == code && out[i] == '"':
			state = quoted
		case state == code && two == "/*":
			state = block
			out[i], out[i+1] = ' ', ' '
			i++
		case state == code && two == "//":
			state = line
			out[i] = ' '
		case state == block && two == "*/":
			state = code
			out[i], out[i+1] = ' ', ' '
			i++
		case state == line && out[i] == '\n':
			state = code
		case state == block || state == line:
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return out
}
