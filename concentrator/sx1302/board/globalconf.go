package board

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// GlobalConf has the settings read from a global_conf.json.
type GlobalConf struct {
	sx1302.Config
	Device      string        // of the SPI port or the tty (com_path)
	SX1261      string        // device of the radio that scans for LBT
	GNSS        string        // line of the satellite receiver (gps_tty_path); "": none
	AntennaGain radio.Decibel // dBi
	Heard       []HeardChannel
}

// HeardChannel is an enabled channel of a global_conf.json, and its place in the
// file.
type HeardChannel struct {
	Frequency radio.Frequency
	Place     string // as "global_conf.json:42: chan_multiSF_0"
}

// Limits and defaults of a global_conf.json.
const (
	maxAntennaGain = 50        // dBi
	maxRSSIOffset  = 400       // dB
	maxCoefficient = 2_000_000 // of the temperature
	defaultDACGain = 3         // of sx1302_hal's packet forwarder
	maxPayload     = 255       // bytes
	defaultFSKRate = 64_000    // bit/s, likewise
	maxIF          = 1_600_000 // Hz; a radio receives less
)

// ParseGlobalConf reads the set-up of the chip from the global_conf.json of
// Semtech's packet forwarder for the SX1302, as sx1302_hal 2.1.0 reads it: radios,
// channels, gains, fine timestamps and LBT, and also the device and the antenna
// gain. It ignores the rest of the file, and radios and channels that are not
// enabled. It differs from sx1302_hal in two things: a network is public unless the
// file says otherwise, and a radio without tx_freq_min and tx_freq_max may transmit
// on all frequencies.
//
// The errors are ErrConfig and have the form "name:line: key: why", one for each
// fault.
func ParseGlobalConf(name string, text []byte) (GlobalConf, error) {
	root, err := readConf(name, withoutComments(text))
	if err != nil {
		return GlobalConf{}, err
	}
	s := root.at("SX130x_conf")
	if s.missing {
		if old := root.at("SX1301_conf"); !old.missing {
			old.fault("%s", sx1301(root))
		} else {
			root.fault("no SX130x_conf")
		}
		return GlobalConf{}, root.file.err()
	}
	s.object()
	s.key = "" // errors name keys from here on
	g := GlobalConf{
		Device:      s.at("com_path").text(),
		AntennaGain: hundredths(s.at("antenna_gain").number(0, -maxAntennaGain, maxAntennaGain)),
	}
	if tty := root.at("gateway_conf").at("gps_tty_path").text(); strings.HasPrefix(tty, "/dev/") {
		g.GNSS = tty // else it is none, as "" or "N/A" say
	}
	c := &g.Config
	c.ClockSource = uint8(s.at("clksrc").whole(0, 0, sx1302.Chains-1))
	if public := s.at("lorawan_public"); !public.missing {
		c.Private = !public.flag()
	}
	if duplex := s.at("full_duplex"); duplex.flag() {
		duplex.fault("boards of full duplex have a DAC (AD5338R) that would have to be set, which is not done")
	}
	for i := range c.Radios {
		v := s.at(fmt.Sprintf("radio_%d", i))
		c.Radios[i] = v.radio()
	}
	g.parseChannels(s)
	c.FineTimestamps = s.at("fine_timestamp").fineTimestamps()
	c.LBT = s.at("sx1261_conf").lbt()
	g.SX1261 = s.at("sx1261_conf").at("spi_path").text()
	if len(root.file.faults) == 0 {
		if err := c.Validate(); err != nil {
			s.fault("%s", strings.TrimPrefix(err.Error(), sx1302.ErrConfig.Error()+": "))
		}
	}
	return g, root.file.err()
}

// sx1301 says how a gateway with the chip before is used: its packet forwarder stays, and
// talks to the listener of UDP.
func sx1301(root *confValue) string {
	eui := root.at("gateway_conf").at("gateway_ID").text()
	if _, err := strconv.ParseUint(eui, 16, 64); err != nil || len(eui) != 16 {
		eui = "its gateway_ID"
	}
	return fmt.Sprintf(`this gateway has an SX1301, as iC880A, RAK831 and LPS8, which is not driven; keep its packet `+
		`forwarder, with "server_address": "127.0.0.1", "serv_port_up": 1700, "serv_port_down": 1700 in its gateway_conf, `+
		`and here: [[gateway]], driver = "udp", eui = %q`, eui)
}

func hundredths(v float64) radio.Decibel { return radio.Decibel(math.Round(v * 100)) }

// parseChannels reads the channels of all modems.
func (g *GlobalConf) parseChannels(s *confValue) {
	c := &g.Config
	for _, sf := range s.at("chan_multiSF_All").at("spreading_factor_enable").list() {
		if n := sf.whole(0, 5, 12); n > 0 {
			c.SpreadingFactors |= 1 << (n - 5)
		}
	}
	for i := range c.Channels {
		v := s.at(fmt.Sprintf("chan_multiSF_%d", i))
		c.Channels[i] = g.channel(v, 125_000)
	}
	if v := s.at("chan_Lora_std"); v.enabled() {
		c.Service = v.service()
		c.Service.Channel = g.channel(v, c.Service.Bandwidth)
	}
	if v := s.at("chan_FSK"); v.enabled() {
		c.FSK.BitRate = uint32(v.at("datarate").whole(0, 0, sx1302.MaxBitRate))
		switch {
		case c.FSK.BitRate == 0:
			c.FSK.BitRate = defaultFSKRate
		case c.FSK.BitRate < sx1302.MinBitRate:
			v.at("datarate").fault("%d bit/s is not within %d to %d", c.FSK.BitRate, sx1302.MinBitRate, sx1302.MaxBitRate)
		}
		c.FSK.Channel = g.channel(v, 125_000)
	}
}

// enabled reports whether the value is an object that is enabled.
func (v *confValue) enabled() bool { return !v.missing && v.object() && v.at("enable").flag() }

// channel reads the frequency of a modem, and checks that its radio can receive it.
func (g *GlobalConf) channel(v *confValue, bandwidth uint32) sx1302.Channel {
	if !v.enabled() {
		return sx1302.Channel{}
	}
	ch := sx1302.Channel{
		Enabled: true, Chain: uint8(v.at("radio").whole(0, 0, sx1302.Chains-1)),
		Offset: int32(v.at("if").whole(0, -maxIF, maxIF)),
	}
	r := &g.Radios[ch.Chain]
	switch {
	case !r.Enabled:
		v.at("radio").fault("radio_%d is not enabled", ch.Chain)
	case g.ValidateChannel(ch, bandwidth) != nil:
		v.at("if").fault("%v", g.ValidateChannel(ch, bandwidth))
	default:
		g.Heard = append(g.Heard, HeardChannel{radio.Frequency(int64(r.Frequency) + int64(ch.Offset)), v.place()})
	}
	return ch
}

// service reads the set-up of the LoRa service modem without its channel.
func (v *confValue) service() sx1302.Service {
	s := sx1302.Service{
		Bandwidth:       uint32(v.at("bandwidth").whole(0, 0, math.MaxUint32)),
		SpreadingFactor: uint8(v.at("spread_factor").whole(7, 5, 12)),
	}
	if s.Bandwidth == 0 {
		s.Bandwidth = 250_000
	}
	if s.Bandwidth != 125_000 && s.Bandwidth != 250_000 && s.Bandwidth != 500_000 {
		v.at("bandwidth").fault("%d Hz, must be 125000, 250000 or 500000", s.Bandwidth)
	}
	if s.Implicit = v.at("implicit_hdr").flag(); s.Implicit {
		s.ImplicitLength = uint8(v.at("implicit_payload_length").required().whole(0, 0, maxPayload))
		s.ImplicitCRC = v.at("implicit_crc_en").required().flag()
		s.ImplicitCodingRate = radio.CodingRate(v.at("implicit_coderate").required().whole(0, 0, int64(radio.CodingRate48)))
	}
	return s
}

func (v *confValue) fineTimestamps() sx1302.FineTimestamps {
	if v.missing || !v.object() || !v.at("enable").flag() {
		return sx1302.NoFineTimestamps
	}
	mode := v.at("mode").required()
	f, err := sx1302.ParseFineTimestamps(mode.text())
	if err != nil && !mode.missing {
		mode.fault("%v", err)
	}
	return f
}

// lbt reads the settings for LBT with the SX1261.
func (v *confValue) lbt() sx1302.LBT {
	if v.missing || !v.object() {
		return sx1302.LBT{}
	}
	l := sx1302.LBT{RSSIOffset: hundredths(v.at("rssi_offset").number(0, -maxRSSIOffset, maxRSSIOffset))}
	b, before := v.at("lbt"), len(v.file.faults)
	if !b.enabled() {
		return l
	}
	l.Enabled, l.Target = true, hundredths(b.at("rssi_target").number(0, -maxRSSIOffset, maxRSSIOffset))
	for _, ch := range b.at("channels").list() {
		const longest = 1 << 31
		c := sx1302.LBTChannel{
			Frequency: ch.at("freq_hz").required().frequency(),
			Bandwidth: uint32(ch.at("bandwidth").required().whole(0, 0, longest)),
			Scan:      time.Duration(ch.at("scan_time_us").required().whole(0, 0, longest)) * time.Microsecond,
			Airtime:   time.Duration(ch.at("transmit_time_ms").required().whole(0, 0, longest)) * time.Millisecond,
		}
		if err := c.Validate(); err != nil && len(v.file.faults) == before {
			ch.fault("%v", err)
		}
		l.Channels = append(l.Channels, c)
	}
	if err := l.Validate(); err != nil && len(v.file.faults) == before {
		b.fault("%v", err)
	}
	return l
}

// frequency reads a frequency within the range of the radios.
func (v *confValue) frequency() radio.Frequency {
	return radio.Frequency(v.whole(sx1302.MinFrequency, sx1302.MinFrequency, sx1302.MaxFrequency))
}

// radio reads a radio.
func (v *confValue) radio() sx1302.Radio {
	if !v.enabled() {
		return sx1302.Radio{}
	}
	before := len(v.file.faults)
	r := sx1302.Radio{
		Enabled: true, Frequency: radio.Frequency(v.at("freq").required().whole(0, sx1302.MinFrequency, sx1302.MaxFrequency)),
		SingleInput: v.at("single_input_mode").flag(), Transmit: v.at("tx_enable").flag(),
		RSSIOffset: hundredths(v.at("rssi_offset").number(0, -maxRSSIOffset, maxRSSIOffset)),
	}
	var err error
	if r.Type, err = sx1302.ParseRadioType(v.at("type").required().text()); err != nil && !v.at("type").missing {
		v.at("type").fault("%v", err)
	}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		coefficient := v.at("rssi_tcomp").at("coeff_"+name).number(0, -maxCoefficient, maxCoefficient)
		r.RSSITemperature[i] = int32(math.Round(coefficient * 1000))
	}
	if r.Transmit {
		r.TxLow = radio.Frequency(v.at("tx_freq_min").whole(0, 0, sx1302.MaxFrequency))
		r.TxHigh = radio.Frequency(v.at("tx_freq_max").whole(0, 0, sx1302.MaxFrequency))
		r.Gains = v.gains(r.Type)
	}
	if len(v.file.faults) == before {
		if key, err := r.Validate(false); err != nil {
			v.at(key).fault("%v", err)
		}
	}
	return r
}

// gains reads the gains of a transmitting radio.
func (v *confValue) gains(t sx1302.RadioType) []sx1302.Gain {
	var out []sx1302.Gain
	list := v.at("tx_gain_lut").list()
	if len(list) > sx1302.MaxGains {
		v.at("tx_gain_lut").fault("%d gains, must be 1 to %d", len(list), sx1302.MaxGains)
		return []sx1302.Gain{sx1302.DefaultGain}
	}
	for _, e := range list {
		before := len(v.file.faults)
		g := sx1302.Gain{
			Power:  int8(e.at("rf_power").required().whole(0, math.MinInt8, math.MaxInt8)),
			PAGain: uint8(e.at("pa_gain").whole(0, 0, math.MaxUint8)),
		}
		if t == sx1302.SX1250 {
			g.PowerIndex = uint8(e.at("pwr_idx").required().whole(0, 0, math.MaxUint8))
		} else {
			g.DACGain = uint8(e.at("dac_gain").whole(defaultDACGain, 0, math.MaxUint8))
			g.MixGain = uint8(e.at("mix_gain").required().whole(0, 0, math.MaxUint8))
			g.DigGain = uint8(e.at("dig_gain").whole(0, 0, math.MaxUint8))
		}
		if err := g.Validate(t); err != nil && len(v.file.faults) == before {
			e.fault("%v", err)
		}
		out = append(out, g)
	}
	if len(out) == 0 {
		return []sx1302.Gain{sx1302.DefaultGain}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Power < out[j].Power })
	return out
}
