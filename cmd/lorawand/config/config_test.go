package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/radio"
	"lorawand/radio/region"
)

func TestDefaultFileIsTheDefault(t *testing.T) {
	c, err := Parse([]byte(DefaultFile))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Network.DevAddrPrefixes = []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	empty, err := Parse(nil)
	if err != nil || !reflect.DeepEqual(empty, Default()) {
		t.Errorf("an empty file: %+v, %v", empty, err)
	}
	// The examples behind # are good too.
	text := regexp.MustCompile(`(?m)^# (\[|[a-z_0-9]+ = )`).ReplaceAllString(DefaultFile, "$1")
	c, err = Parse([]byte(text))
	if err != nil || len(c.Gateways) != 2 || len(c.Upstreams) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	if f := c.Forwards; len(f) != 2 || f[0].Server != "eu1.cloud.example:1700" || f[0].Frames != ForeignFrames {
		t.Errorf("forward %+v", f)
	}
	if b := c.Backfills; len(b) != 1 || b[0].Forward != c.Forwards[1].Server || b[0].BackfillRate != 5 {
		t.Errorf("backfill %+v", b)
	}
	g := c.Gateways[0]
	if g.ID != "eui-0242020000247803" || g.Location.Latitude != 52.3731 || g.Location.Altitude != 12 ||
		!*g.EnforceDutyCycle {
		t.Errorf("gateway %+v", g)
	}
	if s := c.Gateways[1].SX1302; s.Board != "rak2287" || s.GNSS.Device != "/dev/ttyAMA0" {
		t.Errorf("sx1302 %+v", s)
	}
}

// everyKey is a configuration with all keys that users rely on.
const everyKey = `
[store]
path = "/x"
ephemeral = true
commit_interval = "0s"
[control]
socket = "/y"
[log]
level = "debug"
format = "json"
[network]
net_id = "000013"
dev_addr_prefixes = ["26000000/7", "01ABCDEF/32", "00000000/0"]
deduplication_window = "50ms"
rx1_delay = "1s"
default_frequency_plan = "EU_863_870"
[mqtt]
listen = []
tls_listen = [":8883"]
websocket_listen = [":8083"]
certificate = "c"
key = "k"
client_ca = "a"
tenant = "tti"
legacy_fields = false
zero_fields = true
attributes = true
keep_sessions = true
[mqtt.limits]
clients = 1
unauthenticated = 2
unauthenticated_per_address = 3
connect_timeout = "1s"
packet_size = 2048
inflight = 4
receive_maximum = 5
writes_pending = 6
write_deadline = "1s"
subscriptions = 7
offline_messages = 8
offline_bytes = 9000
offline_bytes_total = 10000
kept_bytes_total = 11000
session_expiry = "1h"
[http]
listen = ""
api_listen = "0.0.0.0:80"
[udp]
listen = ""
allow = ["192.168.1.0/24", "fd00::/8", "192.0.2.7/32"]
accept_unknown = true
[formatter]
javascript = false
deadline = "50ms"
wait = "5s"
[[gateway]]
eui = "a1c0ffee00000000"
antenna_gain = -1.5
enforce_duty_cycle = false
[[gateway]]
id = "mine"
eui = "A1C0FFEE00000001"
driver = "virtual"
frequency_plan = "EU_863_870_TTN"
[[gateway]]
driver = "sx1302"
[gateway.sx1302]
board = "wm1302"
device = "/dev/spidev1.0"
reset = "exec:/usr/bin/reset"
power = "none"
sx1261 = "/dev/spidev1.1"
sx1261_reset = "/dev/gpiochip1:3"
temperature = "/dev/i2c-0"
firmware = "f"
global_conf = ""
clock_source = 0
single_input = false
fine_timestamps = "high_capacity"
rssi_offset = -210.5
tx_gains = ["12:0:15", "14:0:16"]
silence = "1h"
noise_floor = "15m"
[gateway.sx1302.gnss]
device = "/dev/ttyAMA0"
beacon = true
`

// Every key that users rely on is accepted.
func TestEveryKey(t *testing.T) {
	c, err := Parse([]byte(everyKey))
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.CommitInterval.D() != 0 || c.Network.RX1Delay.D() != time.Second || len(c.MQTT.Listen) != 0 ||
		c.UDP.Listen != "" || len(c.UDP.Networks()) != 3 || c.UDP.Networks()[1].String() != "fd00::/8" || !c.MQTT.ZeroFields {
		t.Errorf("%+v", c)
	}
	if g := c.Gateways; g[0].Driver != "udp" || g[0].FrequencyPlan != "EU_863_870" || *g[0].EnforceDutyCycle ||
		*g[0].AntennaGain != -1.5 || !*g[1].EnforceDutyCycle {
		t.Errorf("gateways %+v", g)
	}
}

// chip is a gateway with a chip on board.
func chip(keys string) string {
	return "[[gateway]]\ndriver = \"sx1302\"\n[gateway.sx1302]\n" + keys
}

// inKorea is chip with a plan that asks for listening before talking.
func inKorea(keys string) string { return inPlan("KR_920_923_TTN", keys) }

// inPlan is chip with a plan.
func inPlan(plan, keys string) string {
	return strings.Replace(chip(keys), "\n[", "\nfrequency_plan = \""+plan+"\"\n[", 1)
}

// The boards and the plans go together, and both radios are tuned to the plan.
func TestConcentrator(t *testing.T) {
	for _, plan := range region.IDs() {
		s := SX1302{Board: "wm1302", SX1261: "/dev/spidev0.1"}
		if strings.HasPrefix(plan, "EU_433") {
			s.Board = "rak2287"
		}
		if strings.HasPrefix(plan, "CN_470") {
			s.Board = "sx1302c490gw1"
		}
		c, err := s.Concentrator(plan)
		if err != nil {
			t.Errorf("%s: %v", plan, err)
			continue
		}
		p, err := region.Lookup(plan)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wanted(p) {
			if !hears(&c.Chip, w) {
				t.Errorf("%s: %v at %v is not heard", plan, w.Frequency, w.DataRate)
			}
		}
		checkListens(t, p, &c.Chip)
	}
	c, err := (&SX1302{Board: "rak2287"}).Concentrator("EU_863_870_TTN")
	if err != nil || c.Chip.Radios[0].Frequency != 867_500_000 || c.Chip.Radios[1].Frequency != 868_500_000 ||
		c.Chip.Channels[3].Offset != -400_000 ||
		!c.Chip.Service.Enabled || c.Chip.FSK.BitRate != 50_000 {
		t.Errorf("%+v, %v", c.Chip, err)
	}
}

// semtechFile has channels for EU868.
const semtechFile = "../../../concentrator/sx1302/board/testdata/global_conf.json"

// A file of another region than the plan's is a fault, as is all else in it, each
// with its place.
func TestGlobalConfFaults(t *testing.T) {
	file, err := os.ReadFile(semtechFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "g.json")
	at := "gateway[0].sx1302.global_conf: " + path
	for name, tt := range map[string]struct {
		plan, old, now string
		want           []string
	}{
		"as it is": {"EU_863_870_TTN", "", "", nil},
		"North America": {"US_902_928_FSB_2", "", "", []string{
			at + ":35: chan_multiSF_0: ",
			"868.1 MHz lies in no sub-band of US_902_928_FSB_2: is the file for the region of frequency_plan?",
		}},
		"India":             {"IN_865_867", "", "", []string{at + ":35: chan_multiSF_0: "}},
		"a channel outside": {"EU_863_870_TTN", `"freq": 867500000`, `"freq": 863200000`, []string{at + ":38: chan_multiSF_3: ", "862.8 MHz"}},
		"no channel of it": {
			"EU_863_870_TTN", `868500000`, `864500000`,
			[]string{"none of its 6 channels is one of EU_863_870_TTN"},
		},
		"two faults": {"EU_863_870_TTN", `"clksrc": 0`, `"clksrc": 7, "full_duplex2": 0`, []string{at + ":6: clksrc: 7, must be 0 to 1"}},
		"no device": {
			"EU_863_870_TTN", `"/dev/spidev0.0"`, `"/dev/spi"`,
			[]string{`gateway[0].sx1302.device: missing, and com_path of the global_conf.json is "/dev/spi"`},
		},
		"a tty": {
			"EU_863_870_TTN", `"/dev/spidev0.0"`, `"/dev/ttyACM0"`,
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(file), tt.old, tt.now, 1)
			if name == "no channel of it" {
				text = strings.Replace(text, "867500000", "863700000", 1)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Parse(fmt.Appendf(nil,
				"[[gateway]]\ndriver = \"sx1302\"\nfrequency_plan = %q\n[gateway.sx1302]\nreset = \"none\"\nglobal_conf = %q\n",
				tt.plan, path))
			if (err == nil) != (tt.want == nil) {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}

// Every board can be probed, whatever its region is.
func TestProbed(t *testing.T) {
	boards, err := board.Boards()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boards {
		c, err := (&SX1302{Board: b.Name, Reset: "gpiochip1:3"}).Probed()
		if b.USB {
			if c, err := (&SX1302{Board: b.Name}).Probed(); err != nil || c.Board.Device != "usb" || c.Board.Reset != "" {
				t.Errorf("%s: %+v, %v", b.Name, c, err)
			}
			continue
		}
		if err != nil || c.Board.Reset != "gpiochip1:3" || c.Board.Power != b.Power ||
			c.Chip.Radios[b.ClockSource].Type != b.Radios[0].Type {
			t.Errorf("%s: %+v, %v", b.Name, c, err)
		}
	}
	const stable = "/dev/serial/by-id/usb-STMicroelectronics_STM32_Virtual_ComPort_205D3566424B-if00"
	for _, device := range []string{"usb", "/dev/ttyACM1", stable} {
		c, err := (&SX1302{Board: "rak5146", Device: device, Temperature: "none"}).Probed()
		if b := c.Board; err != nil || b.Device != device || b.Reset != "" || b.I2C != "" || b.SX1261 != "usb" {
			t.Errorf("%s: %+v, %v", device, c, err)
		}
	}
	for given, want := range map[string]string{"": "/dev/spidev0.0", "/dev/spidev1.0": "/dev/spidev1.0"} {
		c, err := (&SX1302{GlobalConf: semtechFile, Device: given, Reset: "none"}).Probed()
		if err != nil || c.Board.Device != want || c.Board.Name != "global_conf.json" {
			t.Errorf("a board that only a global_conf describes, on %q: %+v, %v", given, c, err)
		}
	}
	for file, want := range map[string]string{
		"/none.json": "sx1302.global_conf: open /none.json",
		semtechFile:  "sx1302.reset: not known of global_conf.json on /dev/spidev0.0: give",
	} {
		if _, err := (&SX1302{GlobalConf: file}).Probed(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
	if _, err := (&SX1302{}).Probed(); err == nil || !strings.Contains(err.Error(), "sx1302.board: missing") {
		t.Errorf("no board: %v", err)
	}
}

// fine_timestamp and antenna_gain of a global_conf.json count, unless the key is given.
func TestGlobalConfKeys(t *testing.T) {
	file, err := os.ReadFile(semtechFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "global_conf.json")
	file = bytes.Replace(file, []byte(`"fine_timestamp": { "enable": false`), []byte(`"fine_timestamp": { "enable": true`), 1)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("global_conf = %q\n", path)
	for name, tt := range map[string]struct {
		text    string
		fine    sx1302.FineTimestamps
		antenna float64
	}{
		"neither":        {chip("board = \"rak2287\"\n"), sx1302.NoFineTimestamps, 0},
		"key":            {chip("board = \"rak2287\"\nfine_timestamps = \"high_capacity\"\n"), sx1302.FineTimestampsSF10, 0},
		"file":           {chip("board = \"rak2287\"\n" + conf), sx1302.FineTimestampsAll, 2.5},
		"file, no board": {chip("device = \"/dev/spidev0.0\"\nreset = \"none\"\n" + conf), sx1302.FineTimestampsAll, 2.5},
		"keys and file": {strings.Replace(chip("board = \"rak2287\"\nfine_timestamps = \"off\"\n"+conf), "driver",
			"antenna_gain = 0.0\ndriver", 1), sx1302.NoFineTimestamps, 0},
		"another antenna": {
			strings.Replace(chip("board = \"rak2287\"\n"+conf), "driver", "antenna_gain = 4.0\ndriver", 1),
			sx1302.FineTimestampsAll, 4,
		},
		"packet forwarder": {"[[gateway]]\neui = \"0242020000247803\"\n", sx1302.NoFineTimestamps, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			g := &c.Gateways[0]
			if g.Antenna() != tt.antenna {
				t.Errorf("antenna %v dBi, want %v", g.Antenna(), tt.antenna)
			}
			if g.SX1302 == nil {
				return
			}
			if k, err := g.SX1302.Concentrator(g.FrequencyPlan); err != nil || k.Chip.FineTimestamps != tt.fine {
				t.Errorf("fine timestamps %d, want %d; %v", k.Chip.FineTimestamps, tt.fine, err)
			}
		})
	}
}

// The least power of a board may be more than is allowed: the limit is 16.15 dBm EIRP on
// most of 868 MHz and 12.15 dBm on 433 MHz; the lowest gain of the rak2287 is 12 dBm on 868
// MHz and -6 dBm on 433 MHz.
func TestLeastPower(t *testing.T) {
	of := func(plan string, antenna float64, keys string) string {
		return fmt.Sprintf("[[gateway]]\ndriver = \"sx1302\"\nfrequency_plan = %q\nantenna_gain = "+
			"%v\n[gateway.sx1302]\nboard = \"rak2287\"\n%s", plan, fmt.Sprintf("%.2f", antenna), keys)
	}
	tests := []struct{ name, text, want string }{
		{"no gain known", of("EU_863_870_TTN", 0, ""), ""},
		{"a usual antenna", of("EU_863_870_TTN", 2.5, ""), ""},
		{"just allowed", of("EU_863_870_TTN", 4.15, ""), ""},
		{
			"5 dBi", of("EU_863_870_TTN", 5, ""),
			"gateway[0].antenna_gain: with an antenna of 5 dBi no more than 11.15 dBm may be sent at 868.1 MHz, and the least " +
				"that rak2287 sends is 12 dBm",
		},
		{"5 dBi, a lower gain", of("EU_863_870_TTN", 5, "tx_gains = [\"10:0:15\", \"12:1:4\"]"), ""},
		{"5 dBi in America", of("US_902_928_FSB_2", 5, ""), ""},
		{"8 dBi at 433 MHz", of("EU_433", 8, ""), ""},
		{"5 dBi in Asia", of("AS_923", 5, ""), "gateway[0].antenna_gain: with an antenna of 5 dBi no more than 11 dBm"},
		{
			"high gains only", of("EU_863_870_TTN", 0, "tx_gains = [\"16:1:8\"]"),
			"gateway[0].sx1302.tx_gains: with an antenna of 0 dBi no more than 14 dBm",
		},
		{"cable losses", of("EU_863_870_TTN", -3, "tx_gains = [\"16:1:8\"]"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

// TestLineNames has every form that a GPIO line may have.
func TestLineNames(t *testing.T) {
	for _, line := range []string{
		"none", "gpiochip0:17", "/dev/gpiochip4:17", "header:17", "pinctrl-rp1:17",
		"1e000600.gpio:11", "gpio-brcmstb@107d508500:0", "gpio4:3",
	} {
		c, err := (&SX1302{Board: "rak2287", Reset: line, Power: line, SX1261Reset: line}).Concentrator("EU_863_870_TTN")
		want := strings.TrimSuffix(line, None)
		if b := &c.Board; err != nil || b.Reset != want || b.Power != want || b.SX1261Reset != want {
			t.Errorf("%s: %+v, %v", line, c.Board, err)
		}
	}
}

// checkListens looks for windows on which a gateway may not answer, because it
// does not listen to them first as the plan asks for.
func checkListens(t *testing.T, p *region.Plan, c *sx1302.Config) {
	t.Helper()
	if _, asked := p.LBT(); asked != c.LBT.Enabled {
		t.Errorf("%s: listens before it talks: %t, want %t", p.ID(), c.LBT.Enabled, asked)
	}
	if !c.LBT.Enabled {
		return
	}
	check := func(w region.Window) {
		dr, err := p.DataRate(w.DataRate)
		if err != nil {
			t.Fatal(err)
		}
		if dr.Modulation == radio.FSK {
			dr.Bandwidth = 125_000
		}
		if !slices.ContainsFunc(c.LBT.Channels, func(ch sx1302.LBTChannel) bool {
			return ch.Frequency == w.Frequency && ch.Bandwidth == dr.Bandwidth
		}) {
			t.Errorf("%s: %v at %v is not listened to", p.ID(), w.Frequency, dr)
		}
	}
	check(p.RX2())
	check(p.BandRX2())
	if b, err := p.Beacon(0); err == nil {
		check(b.Window)
	}
	for _, ch := range p.Channels() {
		for dr := ch.MinDR; dr <= ch.MaxDR; dr++ {
			for offset := range uint8(8) {
				if w, err := p.RX1(ch.Frequency, dr, offset); err == nil {
					check(w)
				}
			}
		}
	}
}

// hears reports whether a modem is on a channel.
func hears(c *sx1302.Config, w board.Wanted) bool {
	on := func(ch sx1302.Channel) bool {
		return ch.Enabled && c.Radios[ch.Chain].Enabled && int64(c.Radios[ch.Chain].Frequency)+
			int64(ch.Offset) == int64(w.Frequency)
	}
	switch {
	case w.DataRate.Modulation == radio.FSK:
		return on(c.FSK.Channel) && c.FSK.BitRate == w.DataRate.BitRate
	case w.AllSF:
		return slices.ContainsFunc(c.Channels[:], on)
	}
	return on(c.Service.Channel) && c.Service.SpreadingFactor == w.DataRate.SpreadingFactor &&
		c.Service.Bandwidth == w.DataRate.Bandwidth
}

func TestLoad(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.toml")
	if c, err := Load(none, false); err != nil || c.UDP.Listen != "127.0.0.1:1700" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := Load(none, true); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), none) {
		t.Errorf("%v", err)
	}
	t.Setenv("LORAWAND_CONFIG", "")
	if p, must := Find(""); p != DefaultPath || must {
		t.Errorf("%s %v", p, must)
	}
	t.Setenv("LORAWAND_CONFIG", "/e")
	if p, must := Find(""); p != "/e" || !must {
		t.Errorf("%s %v", p, must)
	}
	if p, must := Find("/f"); p != "/f" || !must {
		t.Errorf("%s %v", p, must)
	}
}
