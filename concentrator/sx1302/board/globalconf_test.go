package board

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/radio/fuzztest"
)

func globalConfFile(t testing.TB) string {
	t.Helper()
	file, err := os.ReadFile("testdata/global_conf.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(file)
}

func TestParseGlobalConf(t *testing.T) {
	c, err := ParseGlobalConf("g.json", []byte(globalConfFile(t)))
	if err != nil || c.Device != "/dev/spidev0.0" || c.SX1261 != "/dev/spidev0.1" || c.AntennaGain != 250 ||
		c.FineTimestamps != sx1302.NoFineTimestamps {
		t.Fatal(c.Device, c.SX1261, c.AntennaGain, c.FineTimestamps, err)
	}
	r := &c.Radios[0]
	if r.Frequency != 867_500_000 || r.RSSIOffset != -21540 || r.RSSITemperature != [5]int32{0, 0, 20410, 2162560, 0} ||
		!r.Transmit || c.Radios[1].Transmit || r.TxLow != 863_000_000 || r.TxHigh != 870_000_000 || c.Radios[1].TxHigh != 0 ||
		len(r.Gains) != 3 || r.Gains[0] != (sx1302.Gain{Power: 12, PowerIndex: 15}) ||
		r.Gains[2] != (sx1302.Gain{Power: 27, PAGain: 1, PowerIndex: 14}) {
		t.Errorf("radio %+v", r)
	}
	if c.Channels[0] != (sx1302.Channel{Enabled: true, Chain: 1, Offset: -400_000}) || c.Channels[4].Enabled ||
		c.Channels[5].Enabled ||
		c.SpreadingFactors != 0xFC || c.Private || !c.Service.Enabled || c.Service.Bandwidth != 250_000 ||
		c.Service.SpreadingFactor != 7 ||
		!c.FSK.Enabled || c.FSK.BitRate != 50_000 || c.FSK.Offset != 300_000 {
		t.Errorf("%+v", c)
	}
	lbt := sx1302.LBT{Enabled: true, Target: -7000, RSSIOffset: 200, Channels: []sx1302.LBTChannel{
		{Frequency: 868_100_000, Bandwidth: 125_000, Scan: 128 * time.Microsecond, Airtime: 400 * time.Millisecond},
	}}
	if !reflect.DeepEqual(c.LBT, lbt) {
		t.Errorf("listens by %+v, want %+v", c.LBT, lbt)
	}
	heard := []HeardChannel{
		{868_100_000, "g.json:35: chan_multiSF_0"},
		{868_300_000, "g.json:36: chan_multiSF_1"},
		{868_500_000, "g.json:37: chan_multiSF_2"},
		{867_100_000, "g.json:38: chan_multiSF_3"},
		{868_300_000, "g.json:40: chan_Lora_std"},
		{868_800_000, "g.json:42: chan_FSK"},
	}
	if !slices.Equal(c.Heard, heard) {
		t.Errorf("hears %+v, want %+v", c.Heard, heard)
	}
}

// Parts of the file that tests replace, and the gains that sx1302_hal has by default.
const (
	confTable = "\"tx_gain_lut\":[\n                {\"rf_power\": 14, \"pa_gain\": 0, \"pwr_idx\": 17},\n" +
		"                {\"rf_power\": 12, \"pa_gain\": 0, \"pwr_idx\": 15},\n                {\"rf_power\": 27, " +
		"\"pa_gain\": 1, \"pwr_idx\": 14}\n            ]"
	confOff   = `{"enable": false, "radio": 0, "if": -200000}`
	confFine  = `"enable": false, "mode": "all_sf"`
	confTail  = "\"gateway_conf\": {\"gateway_ID\": \"AA555A0000000000\", \"server_address\": \"//localhost/*\"}\n}"
	confRadio = `"enable": true, "type": "SX1250", "freq": 868500000`
)

var halGains = []sx1302.Gain{{Power: 14, PAGain: 2, DACGain: 3, MixGain: 10}}

var globalConfDefaults = []struct {
	name, old, now string
	holds          func(c *GlobalConf) bool
}{
	{
		"GNSS", `"gateway_conf": {`, `"gateway_conf": {"gps_tty_path": "/dev/ttyAMA0", `,
		func(c *GlobalConf) bool { return c.GNSS == "/dev/ttyAMA0" },
	},
	{
		"no GNSS", `"gateway_conf": {`, `"gateway_conf": {"gps_tty_path": "", `,
		func(c *GlobalConf) bool { return c.GNSS == "" },
	},
	{
		"exponent", `"freq": 867500000`, `"freq": 8.675e8`,
		func(c *GlobalConf) bool { return c.Radios[0].Frequency == 867_500_000 },
	},
	{
		"behind the point", `"freq": 867500000`, `"freq": 867500000.9`,
		func(c *GlobalConf) bool { return c.Radios[0].Frequency == 867_500_000 },
	},
	{
		"negative", `"if": -400000}`, `"if": -400000.9}`,
		func(c *GlobalConf) bool { return c.Channels[0].Offset == -400_000 },
	},
	{
		"power", `"rf_power": 12,`, `"rf_power": 12.7,`,
		func(c *GlobalConf) bool { return c.Radios[0].Gains[0].Power == 12 },
	},
	{
		"no gains", ",\n            " + confTable, ``,
		func(c *GlobalConf) bool { return slices.Equal(c.Radios[0].Gains, halGains) },
	},
	{
		"empty gains", confTable, `"tx_gain_lut": []`,
		func(c *GlobalConf) bool { return slices.Equal(c.Radios[0].Gains, halGains) },
	},
	{
		"no range", `"tx_freq_min": 863000000, "tx_freq_max": 870000000,`, ``,
		func(c *GlobalConf) bool { return c.Radios[0].TxHigh == 0 },
	},
	{
		"service: no bandwidth", `"bandwidth": 250000, "spread_factor": 7,`, `"spread_factor": 9,`,
		func(c *GlobalConf) bool {
			return c.Service.Bandwidth == 250_000 && c.Service.SpreadingFactor == 9
		},
	},
	{"service: no SF", `"bandwidth": 250000, "spread_factor": 7,`, `"bandwidth": 500000,`, func(c *GlobalConf) bool {
		return c.Service.Bandwidth == 500_000 && c.Service.SpreadingFactor == 7
	}},
	{
		"FSK: no bandwidth", `"if":  300000, "bandwidth": 125000,`, `"if": 300000,`,
		func(c *GlobalConf) bool { return c.FSK.Enabled },
	},
	{"FSK: no rate", `, "datarate": 50000`, ``, func(c *GlobalConf) bool { return c.FSK.BitRate == 64_000 }},
	{
		"no list of SF", `{"spreading_factor_enable": [ 7, 8, 9, 10, 11, 12 ]}`, `{}`,
		func(c *GlobalConf) bool { return c.SpreadingFactors == 0 },
	},
	{"with a header", `"implicit_hdr": false`, `"implicit_hdr": false`, func(c *GlobalConf) bool {
		return !c.Service.Implicit && c.Service.ImplicitLength == 0 && c.Service.ImplicitCodingRate == 0
	}},
	{"without a header", `"implicit_hdr": false`, `"implicit_hdr": true`, func(c *GlobalConf) bool {
		return c.Service.Implicit && c.Service.ImplicitLength == 17 && !c.Service.ImplicitCRC &&
			c.Service.ImplicitCodingRate == 1
	}},
	{
		"nothing of what is off", confOff, `{"enable": false, "radio": 7, "if": "none"}`,
		func(c *GlobalConf) bool { return !c.Channels[4].Enabled },
	},
	{"no antenna", `"antenna_gain": 2.5,`, ``, func(c *GlobalConf) bool { return c.AntennaGain == 0 }},
	{"public unless it says no", `"lorawan_public": true,`, ``, func(c *GlobalConf) bool { return !c.Private }},
	{"private", `"lorawan_public": true`, `"lorawan_public": false`, func(c *GlobalConf) bool { return c.Private }},
	{
		"fine timestamps", confFine, `"enable": true, "mode": "all_sf"`,
		func(c *GlobalConf) bool { return c.FineTimestamps == sx1302.FineTimestampsAll },
	},
	{
		"in capitals", confFine, `"enable": true, "mode": "HIGH_CAPACITY"`,
		func(c *GlobalConf) bool { return c.FineTimestamps == sx1302.FineTimestampsSF10 },
	},
	{
		"off", confFine, `"enable": true, "mode": "off"`,
		func(c *GlobalConf) bool { return c.FineTimestamps == sx1302.NoFineTimestamps },
	},
	{
		"no fine timestamps", confFine, `"enable": false, "mode": "some"`,
		func(c *GlobalConf) bool { return c.FineTimestamps == sx1302.NoFineTimestamps },
	},
	{"comment", "{\n    \"SX130x_conf\"", "/* of\n * two lines */ {\n    \"SX130x_conf\"", func(c *GlobalConf) bool {
		return c.Heard[0].Place == "g.json:36: chan_multiSF_0"
	}},
}

// TestSX1261Offset: the offset of the SX1261 holds for scans too, without LBT.
func TestSX1261Offset(t *testing.T) {
	for key, listens := range map[string]bool{`"lbt": {`: true, `"none": {`: false} {
		text := strings.Replace(globalConfFile(t), `"lbt": {`, key, 1)
		if c, err := ParseGlobalConf("g.json", []byte(text)); err != nil || c.Config.LBT.RSSIOffset != 2_00 ||
			c.Config.LBT.Enabled != listens {
			t.Errorf("%+v, %v, want LBT %t", c.Config.LBT, err, listens)
		}
	}
}

// TestGlobalConfDefaults: what sx1302_hal's packet forwarder takes for what a file
// does not say, and numbers in all forms that JSON allows.
func TestGlobalConfDefaults(t *testing.T) {
	file := globalConfFile(t)
	for _, tt := range globalConfDefaults {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(file, tt.old) {
				t.Fatalf("no %s", tt.old)
			}
			c, err := ParseGlobalConf("g.json", []byte(strings.Replace(file, tt.old, tt.now, 1)))
			if err != nil || !tt.holds(&c) {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

var globalConfFaults = []struct{ name, old, now, want string }{
	{"antenna", `"antenna_gain": 2.5`, `"antenna_gain": 250`, "g.json:7: antenna_gain: 250, must be -50 to 50"},
	{
		"fine timestamp", confFine, `"enable": true, "mode": "some"`,
		`g.json:9: fine_timestamp.mode: "some", must be one of`,
	},
	{"fine timestamp without mode", confFine, `"enable": true`, `g.json:9: fine_timestamp.mode: missing`},
	{
		"LBT target", `"rssi_target": -70`, `"rssi_target": -7000`,
		"g.json:15: sx1261_conf.lbt.rssi_target: -7000, must be -400 to 400",
	},
	{
		"LBT target of the SX1261", `"rssi_target": -70`, `"rssi_target": 30`,
		"g.json:14: sx1261_conf.lbt: a target of 32 dBm",
	},
	{
		"LBT bandwidth", `125000, "scan_time_us"`, `500000, "scan_time_us"`,
		"g.json:16: sx1261_conf.lbt.channels[0]: 500000 Hz cannot be scanned",
	},
	{
		"LBT without bandwidth", `"bandwidth": 125000, "scan_time_us"`, `"scan_time_us"`,
		"g.json:16: sx1261_conf.lbt.channels[0].bandwidth: missing",
	},
	{"no JSON", `"SX130x_conf"`, `SX130x_conf`, "g.json:2: no JSON: invalid character 'S'"},
	{"no end", confTail, `"gateway_conf": {`, "g.json:44: the file ends too early"},
	{"more behind the end", confTail, confTail + "}", "g.json:45: there is more behind its end"},
	{"a second file behind", confTail, confTail + "{}", "g.json:45: there is more behind its end"},
	{
		"not an object", `"SX130x_conf": {`, `"SX130x_conf": 7, "other": {`,
		"g.json:2: SX130x_conf: is a number, must be an object",
	},
	{
		"SX1301", `SX130x_conf`, `SX1301_conf`,
		`g.json:2: SX1301_conf: this gateway has an SX1301, as iC880A, RAK831 and LPS8, which is not driven; keep its ` +
			`packet forwarder, with "server_address": "127.0.0.1", "serv_port_up": 1700, "serv_port_down": 1700 in its ` +
			`gateway_conf, and here: [[gateway]], driver = "udp", eui = "AA555A0000000000"`,
	},
	{"a chip of nobody", `SX130x_conf`, `SX1308_conf`, "g.json:1: no SX130x_conf"},
	{"twice", `"clksrc": 0`, `"clksrc": 0, "clksrc": 1`, `g.json:6: "clksrc" occurs twice`},
	{"clock", `"clksrc": 0`, `"clksrc": 2`, "g.json:6: clksrc: 2, must be 0 to 1"},
	{
		"radio", `"SX1250", "freq": 867500000`, `"SX1276", "freq": 867500000`,
		`g.json:20: radio_0.type: no such radio: "SX1276"`,
	},
	{
		"radio without type", `"type": "SX1250", "freq": 867500000`, `"freq": 867500000`,
		"g.json:19: radio_0.type: missing",
	},
	{"frequency", `"freq": 867500000`, `"freq": 8675`, "g.json:20: radio_0.freq: 8675, must be 100000000 to 1000000000"},
	{
		"frequency of no band", `"freq": 867500000`, `"freq": 600000000`,
		"g.json:20: radio_0.freq: centre 600.0 MHz is in none of the bands",
	},
	{
		"a text for a number", `"freq": 867500000`, `"freq": "867500000"`,
		"g.json:20: radio_0.freq: is a text, must be a number",
	},
	{
		"a number for a switch", `"tx_enable": true`, `"tx_enable": 1`,
		"g.json:22: radio_0.tx_enable: is a number, must be true or false",
	},
	{"null", `"tx_enable": true`, `"tx_enable": null`, "g.json:22: radio_0.tx_enable: is null, must be true or false"},
	{
		"a list for an object", `"radio_0": {`, `"radio_0": [], "radio_2": {`,
		"g.json:19: radio_0: is a list, must be an object",
	},
	{
		"range", `"tx_freq_max": 870000000`, `"tx_freq_max": 860000000`,
		"g.json:22: radio_0.tx_freq_max: 860.0 MHz is below the lowest frequency",
	},
	{"RSSI offset", `-215.4`, `-2154`, "g.json:20: radio_0.rssi_offset: -2154, must be -400 to 400"},
	{"coefficient", `2162.56`, `2162560000`, "g.json:21: radio_0.rssi_tcomp.coeff_d: 2162560000, must be"},
	{"gain", `"pwr_idx": 15}`, `"pwr_idx": 23}`, "g.json:25: radio_0.tx_gain_lut[1]: power index 23 is above 22"},
	{"gain without power", `{"rf_power": 12, `, `{`, "g.json:25: radio_0.tx_gain_lut[1].rf_power: missing"},
	{
		"too many gains", `{"rf_power": 12,`, strings.Repeat(`{"rf_power": 12, "pwr_idx": 1},`, 15) + `{"rf_power": 12,`,
		"g.json:23: radio_0.tx_gain_lut: 18 gains",
	},
	{"SF", `[ 7,`, `[ 4,`, "g.json:34: chan_multiSF_All.spreading_factor_enable[0]: 4, must be 5 to 12"},
	{"channel", `"if": -400000}`, `"if": -800000}`, "g.json:35: chan_multiSF_0.if: -800000 Hz from the centre"},
	{
		"channel of no radio", `"radio": 1, "if": -400000}`, `"radio": 2, "if": -400000}`,
		"g.json:35: chan_multiSF_0.radio: 2, must be 0 to 1",
	},
	{
		"channel of a radio that is off", confRadio, strings.Replace(confRadio, "true", "false", 1),
		"g.json:35: chan_multiSF_0.radio: radio_1 is not enabled",
	},
	{
		"service bandwidth", `250000, "spread_factor"`, `200000, "spread_factor"`,
		"g.json:40: chan_Lora_std.bandwidth: 200000 Hz, must be",
	},
	{
		"no header, no length", `"implicit_hdr": false, "implicit_payload_length": 17,`, `"implicit_hdr": true,`,
		"g.json:40: chan_Lora_std.implicit_payload_length: missing",
	},
	{"FSK rate", `"datarate": 50000`, `"datarate": 100`, "g.json:42: chan_FSK.datarate: 100 bit/s is not within"},
	{
		"full duplex", `"full_duplex": false`, `"full_duplex": true`,
		"g.json:8: full_duplex: boards of full duplex have a DAC",
	},
	{"clock of a radio that is off", `"clksrc": 0`, `"clksrc": 1`, ""},
	{
		"deep", `"com_type": "SPI"`, `"com_type": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40),
		"g.json:3: nested deeper than 32",
	},
}

// TestGlobalConfFaults: each fault is told with its file, its line and its key.
func TestGlobalConfFaults(t *testing.T) {
	file := globalConfFile(t)
	for _, tt := range globalConfFaults {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(file, tt.old) {
				t.Fatalf("no %s", tt.old)
			}
			_, err := ParseGlobalConf("g.json", []byte(strings.Replace(file, tt.old, tt.now, 1)))
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, sx1302.ErrConfig) || !strings.HasPrefix(err.Error(), "g.json:") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %q", err, tt.want)
			}
			for _, word := range []string{"globalConf", "struct", "uint", "json: ", "sx1302:"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("%q is no word of the file: %v", word, err)
				}
			}
		})
	}
	two := strings.NewReplacer(`"clksrc": 0`, `"clksrc": 9`, `"freq": 867500000`, `"freq": 1`).Replace(file)
	if _, err := ParseGlobalConf("g.json", []byte(two)); err == nil ||
		!strings.Contains(err.Error(), "g.json:6: clksrc") || !strings.Contains(err.Error(), "g.json:20: radio_0.freq") {
		t.Errorf("two faults: %v", err)
	}
}

func FuzzParseGlobalConf(f *testing.F) {
	f.Add([]byte(globalConfFile(f)))
	f.Add([]byte(`{"SX130x_conf":{"radio_0":{"enable":true,"type":"SX1257","freq":868500000,"tx_enable":true,` +
		`"tx_gain_lut":[{"dac_gain":255}]}}} /*`))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, b []byte) {
		if c, err := ParseGlobalConf("g.json", b); err == nil && c.Validate() != nil {
			t.Errorf("%+v", c)
		}
	}))
}
