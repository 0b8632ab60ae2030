package board

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lorawand/concentrator/sx1302"
)

// Boards that are wired for 433 and 470 MHz have a single-ended input, all others
// a differential one: of sx1302_hal's global_conf.json files those for CN490 set
// single_input_mode, for both radios, and no other does. It is a switch of the
// SX1250; the SX1257 has none.
func TestBoardSingleInput(t *testing.T) {
	low := []string{"CN470", "EU433"}
	for _, b := range boards(t) {
		want := b.Radios[0].Type == sx1302.SX1250 && slices.Contains(low, b.Regions[0])
		for chain, r := range b.Radios {
			if r.SingleInput != want {
				t.Errorf("%s for %v: single input of radio %d is %v, want %v", b.Name, b.Regions, chain, r.SingleInput, want)
			}
		}
		for _, region := range b.Regions {
			if slices.Contains(low, region) != slices.Contains(low, b.Regions[0]) {
				t.Errorf("%s: one row for %v, whose inputs differ", b.Name, b.Regions)
			}
		}
	}
}

func boards(t *testing.T) []Board {
	t.Helper()
	all, err := Boards()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Gains of modules, by dBm at the connector. Boards with the same front end have
// the same, whoever makes them.
const (
	corecellGains = "12:0:15 13:0:16 14:0:17 15:0:19 16:0:20 17:0:22 18:1:1 19:1:2 20:1:3 21:1:4 22:1:5 23:1:6 " +
		"24:1:7 25:1:9 26:1:11 27:1:14"
	corecellUSB923 = "0:0:0 12:0:15 13:0:16 14:0:17 15:0:19 16:0:20 17:0:22 18:1:1 19:1:2 20:1:3 21:1:4 22:1:5 " +
		"23:1:6 24:1:9"
	corecellAS923 = "0:0:0 12:0:15 13:0:16 14:0:17 15:0:19 16:0:20 17:0:22 18:1:1 19:1:2 20:1:3 21:1:4 22:1:5 23:1:6 " +
		"24:1:7 26:1:8 27:1:9"
	cn470Gains = "-6:0:0 -3:0:1 0:0:2 3:1:3 6:1:4 10:1:5 11:1:6 12:1:7 13:1:8 14:1:9 16:1:10 20:1:11 23:1:12 " +
		"25:1:13 26:1:14 27:1:15"
	draginoGains = "12:0:16 13:0:17 14:0:18 15:0:19 16:0:21 17:0:22 18:1:3 19:1:4 20:1:5 21:1:6 22:1:7 23:1:8 " +
		"24:1:9 25:1:11 26:1:13 27:1:17"
	multitechEU = "10:0:12 11:0:13 12:0:14 13:0:15 14:0:16 16:0:17 17:1:0 18:1:1 19:1:2 21:1:4 22:1:5 23:1:6 " +
		"24:1:7 25:1:8 26:1:11 27:1:14"
	multitechUS = "11:0:14 12:0:15 13:0:16 15:0:17 16:0:18 17:0:19 18:0:20 19:1:3 20:1:4 21:1:5 22:1:6 23:1:7 " +
		"24:1:8 25:1:10 26:1:12 27:1:15"
	rak868Gains = "12:1:4 13:1:5 14:1:6 15:1:7 16:1:8 17:1:9 18:1:10 19:1:11 20:1:12 21:1:13 22:1:14 23:1:16 " +
		"24:1:17 25:1:18 26:1:19 27:1:22"
	rak915Gains = "12:1:6 13:1:7 14:1:8 15:1:9 16:1:10 17:1:11 18:1:12 19:1:13 20:1:14 21:1:15 22:1:16 23:1:17 " +
		"24:1:18 25:1:19 26:1:21 27:1:22"
	rakAS923Gains = "12:1:1 13:1:2 14:1:3 15:1:4 16:1:5 17:1:6 18:1:8 19:1:13 20:1:10 21:1:15 22:1:12 23:1:13 " +
		"24:1:14 25:1:16 26:1:17 27:1:19"
	sx1257Gains = "-6:0:0:3:8:0 -3:0:0:3:10:0 0:0:0:3:12:0 3:1:0:3:8:0 6:1:0:3:10:0 10:1:0:3:12:0 11:1:0:3:13:0 " +
		"12:2:0:3:9:0 13:1:0:3:15:0 " +
		"14:2:0:3:10:0 16:2:0:3:11:0 20:3:0:3:9:0 23:3:0:3:10:0 25:3:0:3:11:0 26:3:0:3:12:0 27:3:0:3:14:0"
)

// Slots of MultiTech's gateways, whose lines only the maker's tool reaches.
const (
	mtacReset = "command: /dev/spidev0.0 ap1/creset=1 ap1/creset=0 ap1/lbtreset=0 ap1/lbtreset=1 ap1/reset=0 " +
		"ap1/reset=1 " +
		"/dev/spidev1.0 ap2/creset=1 ap2/creset=0 ap2/lbtreset=0 ap2/lbtreset=1 ap2/reset=0 ap2/reset=1"
	mtcapReset = "command: lora/reset=0 lora/reset=1"
)

// boardHosts is how each board is connected: device, reset, power, reset of the
// SX1261, bus of the sensor, and which gains it has in EU868, US915, AS923, CN470.
// HATs use the lines of a Raspberry Pi's header; gateways those of their own CPU.
var boardHosts = map[string]struct {
	device, reset, power, sx1261, i2c string
	eu868, us915, as923, cn470        string
	source                            string
}{
	"pg1302": {
		"/dev/spidev0.0", "header:23", "", "", "", draginoGains, draginoGains, "", "",
		"vendor/dragino/pg1302.rs",
	},
	"lr1302": {
		"/dev/spidev0.0", "header:17", "header:18", "header:5", "/dev/i2c-1", corecellGains,
		corecellGains, corecellGains, "", "vendor/elecrow/lr1302.rs",
	},
	"emb_lr1302_mpcie": {
		"/dev/spidev0.0", "header:4", "header:17", "", "/dev/i2c-1", corecellGains,
		corecellGains, "", "", "vendor/embit/emb_lr1302_mpcie.rs",
	},
	"gwc_02_lw_868": {"", "", "", "", "", corecellGains, "", "", "", "vendor/miromico/gwc_02_lw_868.rs"},
	"gwc_02_lw_915": {
		"", "", "", "", "", "", corecellGains, corecellGains, "",
		"vendor/miromico/gwc_02_lw_915.rs",
	},
	"mtac_003e00": {
		"/dev/spidev0.0", mtacReset, "", "", "", multitechEU, "", "", "",
		"vendor/multitech/mtac_003e00.rs",
	},
	"mtac_003u00": {
		"/dev/spidev0.0", mtacReset, "", "", "", "", multitechUS, "", "",
		"vendor/multitech/mtac_003u00.rs",
	},
	"mtcap3_003e00": {
		"/dev/spidev1.0", mtcapReset, "", "", "", multitechEU, "", "", "",
		"vendor/multitech/mtcap3_003e00.rs",
	},
	"mtcap3_003u00": {
		"/dev/spidev1.0", mtcapReset, "", "", "", "", multitechUS, "", "",
		"vendor/multitech/mtcap3_003u00.rs",
	},
	"rak2287": {
		"/dev/spidev0.0", "header:17", "", "", "", rak868Gains, rak915Gains, rakAS923Gains,
		cn470Gains, "vendor/rak/rak2287.rs",
	},
	"rak5146": {
		"/dev/spidev0.0", "header:17", "", "", "", rak868Gains, rak915Gains, rak915Gains,
		cn470Gains, "vendor/rak/rak5146.rs",
	},
	"wm1302": {
		"/dev/spidev0.0", "header:17", "header:18", "header:5", "/dev/i2c-1", corecellGains,
		corecellGains, corecellGains, "", "vendor/seeed/wm1302.rs",
	},
	"sx1302c490gw1": {
		"/dev/spidev0.0", "header:23", "header:18", "", "/dev/i2c-1", "", "", "", cn470Gains,
		"vendor/semtech/sx1302c490gw1.rs",
	},
	"sx1302c868gw1": {
		"/dev/spidev0.0", "header:23", "header:18", "", "/dev/i2c-1", corecellGains, "", "",
		"", "vendor/semtech/sx1302c868gw1.rs",
	},
	"sx1302c915gw1": {
		"/dev/spidev0.0", "header:23", "header:18", "", "/dev/i2c-1", "", corecellGains, "",
		"", "vendor/semtech/sx1302c915gw1.rs",
	},
	"sx1302css868gw1": {"", "", "", "", "", corecellGains, "", "", "", "vendor/semtech/sx1302css868gw1.rs"},
	"sx1302css915gw1": {"", "", "", "", "", "", corecellGains, "", "", "vendor/semtech/sx1302css915gw1.rs"},
	"sx1302css923gw1": {"", "", "", "", "", "", "", corecellAS923, "", "vendor/semtech/sx1302css923gw1.rs"},
	"sx1302_lorawan_gateway_hat": {
		"/dev/spidev0.0", "header:23", "header:18", "", "/dev/i2c-1", corecellGains,
		corecellGains, corecellGains, "", "vendor/waveshare/sx1302_lorawan_gateway_hat.rs",
	},
	"lps8n": {
		"/dev/spidev1.0", "", "", "", "/dev/i2c-0", draginoGains, draginoGains, "", "",
		"chirpstack-openwrt-feed",
	},
	"rak7268v2": {
		"/dev/spidev0.1", "/dev/gpiochip0:11", "", "", "/dev/i2c-0", rak868Gains, rak915Gains,
		rakAS923Gains, cn470Gains, "chirpstack-openwrt-feed",
	},
	"rak7267": {"", "", "", "", "", rak868Gains, rak915Gains, rak915Gains, cn470Gains, "chirpstack-openwrt-feed"},
	"rak7289v2": {
		"", "/dev/gpiochip0:11", "", "", "", rak868Gains, rak915Gains, rak915Gains, cn470Gains,
		"chirpstack-openwrt-feed",
	},
	"rak7391": {
		"", "/dev/gpiochip0:17", "", "", "", rak868Gains, rak915Gains, rak915Gains, cn470Gains,
		"chirpstack-openwrt-feed",
	},
	"sensecap_m2": {
		"/dev/spidev0.1", "/dev/gpiochip0:14", "/dev/gpiochip0:3", "/dev/gpiochip0:15", "/dev/i2c-0",
		corecellGains, corecellGains, corecellGains, "", "chirpstack-openwrt-feed",
	},
	"sx1257_reference": {
		"/dev/spidev0.0", "header:23", "header:18", "header:22", "", sx1257Gains, "", "", "",
		"global_conf.json.sx1257.EU868",
	},
	"corecell_usb": {"", "", "", "", "", "", "", corecellUSB923, "", "global_conf.json.sx1250.AS923.USB"},
}

func TestBoardHosts(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range boards(t) {
		seen[b.Name] = true
		want, ok := boardHosts[b.Name]
		if !ok {
			t.Errorf("%s: no facts about it", b.Name)
			continue
		}
		if b.Device != want.device || b.Reset != want.reset || b.Power != want.power || b.SX1261Reset != want.sx1261 ||
			b.I2C != want.i2c ||
			b.USB != (want.device == "") || !strings.Contains(b.Source, want.source) {
			t.Errorf("%s: %+v, want %+v", b.Name, b, want)
		}
	}
	for name, want := range boardHosts {
		if !seen[name] {
			t.Errorf("%s is not in the table", name)
		}
		for region, gains := range map[string]string{
			"EU868": want.eu868, "US915": want.us915, "AS923": want.as923,
			"CN470": want.cn470,
		} {
			b, err := FindBoard(name, region)
			if (err == nil) != (gains != "") || err == nil && gainText(&b.Radios[0]) != gains {
				t.Errorf("%s for %s: %s, %v; want %s", name, region, gainText(&b.Radios[0]), err, gains)
			}
		}
	}
}

func gainText(r *sx1302.Radio) string {
	var out []string
	for _, g := range r.Gains {
		text := fmt.Sprintf("%d:%d:%d", g.Power, g.PAGain, g.PowerIndex)
		if r.Type != sx1302.SX1250 {
			text += fmt.Sprintf(":%d:%d:%d", g.DACGain, g.MixGain, g.DigGain)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// The corrections of the RSSI are those of Semtech's designs, which all makers
// have copied: one for 868 and 915 MHz, one for 470 MHz, one for the SX1257.
func TestBoardRSSI(t *testing.T) {
	for _, b := range boards(t) {
		r := b.Radios[0]
		offset, coefficients := -21540, [5]int32{0, 0, 20410, 2162560, 0}
		switch {
		case r.Type == sx1302.SX1257:
			offset, coefficients = -19600, [5]int32{-6, 789, -14992, 1988572, 105236996}
		case b.Regions[0] == "CN470":
			offset = -20700
		}
		if int(r.RSSIOffset) != offset || r.RSSITemperature != coefficients || b.ClockSource != 0 || !r.Transmit {
			t.Errorf("%s for %v: %+v", b.Name, b.Regions, r)
		}
		other := b.Radios[1]
		if other.RSSIOffset != r.RSSIOffset || other.RSSITemperature != r.RSSITemperature || other.Type != r.Type ||
			other.Transmit || other.Gains != nil {
			t.Errorf("%s for %v: radio B %+v", b.Name, b.Regions, other)
		}
	}
}
