package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badTexts are configurations with a fault, and a part of the error's text.
var badTexts = []struct{ text, want string }{
	{"[store]\npth = \"x\"", `line 2: store.pth: unknown key`},
	{"[stor]", `stor: unknown key`},
	{"x = 1", `line 1: x: unknown key`},
	{"[[gateway]]\neui=\"0242020000247803\"\nspi = 1", `gateway.spi: unknown key`},
	{"[store", `line 1`},
	{"[store]\npath = 7", `line 2`},
	{"[store]\ncommit_interval = \"soon\"", `"15s"`},
	{"[store]\npath = \"\"", `store.path: must not be empty`},
	{"[store]\ncommit_interval = \"-1s\"", `store.commit_interval: -1s, must be 0s to 1h0m0s`},
	{"[log]\nlevel = \"loud\"", `log.level: "loud", must be one of debug, info, warn, error`},
	{"[log]\nformat = \"xml\"", `log.format`},
	{"[control]\nsocket = \"\"", `control.socket`},
	{"[network]\nnet_id = \"13\"", `network.net_id: "13", must be 6`},
	{"[network]\ndev_addr_prefixes = [\"26\"]", `network.dev_addr_prefixes[0]`},
	{"[network]\ndev_addr_prefixes = [\"26000000/33\"]", `network.dev_addr_prefixes[0]`},
	{"[network]\ndev_addr_prefixes = [\"26000001/7\"]", `digits behind its 7 bits`},
	{"[network]\nrx1_delay = \"16s\"", `network.rx1_delay: 16s, must be 1s to 15s`},
	{"[network]\nrx1_delay = \"1500ms\"", `whole seconds`},
	{"[network]\ndeduplication_window = \"2s\"", `network.deduplication_window`},
	{"[formatter]\nwait = \"5m\"", `formatter.wait: 5m0s, must be 10ms to 1m0s`},
	{"[formatter]\ndeadline = \"2s\"", `formatter.deadline`},
	{
		"[network]\ndefault_frequency_plan = \"US\"",
		`network.default_frequency_plan: "US" is no frequency plan of this version; the nearest are US_902_928_FSB_2, `,
	},
	{"[mqtt]\nlisten = [\"1883\"]", `mqtt.listen[0]: "1883", must be host:port`},
	{"[mqtt]\nlisten = [\":99999\"]", `mqtt.listen[0]`},
	{"[mqtt]\nlisten = [\":1883\", \":1883\"]", `mqtt.listen[1]: ":1883" is also mqtt.listen[0]`},
	{"[mqtt]\ntls_listen = [\":8883\"]", `needs mqtt.certificate and mqtt.key`},
	{"[mqtt]\ntenant = \"\"", `mqtt.tenant`},
	{"[mqtt.limits]\nclients = 0", `mqtt.limits.clients: 0, must be 1 to 10000`},
	{"[mqtt.limits]\nwrite_deadline = \"0s\"", `mqtt.limits.write_deadline`},
	{"[udp]\nlisten = \"x\"", `udp.listen`},
	{"[udp]\nallow = [\"192.168.1.0/24\", \"LAN\"]", `udp.allow[1]: "LAN", must be a network such as "192.168.1.0/24"`},
	{"[udp]\nallow = [\"192.168.1.1\"]", `udp.allow[0]: "192.168.1.1", must be a network`},
	{"[udp]\nallow = [\"192.168.1.0/33\"]", `udp.allow[0]`},
	{"[udp]\nallow = [\"::ffff:192.168.1.0/120\"]", `udp.allow[0]`},
	{"[udp]\nallow = [\"192.168.1.7/24\"]", `has digits behind its 24 bits: the network is "192.168.1.0/24"`},
	{"[http]\napi_listen = \"x\"", `http.api_listen`},
	{"[[gateway]]", `gateway[0].eui: missing`},
	{"[[gateway]]\neui = \"x\"", `gateway[0].eui: "x", must be 16`},
	{"[[gateway]]\nid = \"Gw\"\ndriver = \"sx1302\"", `gateway[0] (Gw).id`},
	{"[[gateway]]\ndriver = \"usb\"", `gateway[0].driver: "usb", must be one of udp, sx1302, extender, virtual`},
	{"[[gateway]]\ndriver = \"sx1302\"\nantenna_gain=99", `gateway[0].antenna_gain: 99, must be -50 to 50`},
	{"[[gateway]]\ndriver = \"sx1302\"\nfrequency_plan = \"XX_920_923_TTN\"", `gateway[0].frequency_plan`},
	{"[[gateway]]\ndriver = \"sx1302\"\nlocation = {latitude = 91.0}", `gateway[0].location.latitude`},
	{"[[gateway]]\neui = \"0242020000247803\"\n[gateway.sx1302]\nboard = \"x\"", `gateway[0].sx1302: only with driver`},
	{"[[gateway]]\ndriver = \"sx1302\"", `gateway[0].sx1302.board: missing`},
	{chip("board = \"rak228\""), `gateway[0].sx1302.board: sx1302: unknown board: "rak228"; known are rak2287`},
	{chip("board = \"nothing\""), `known are pg1302, lr1302`},
	{chip("board = \"sx1302c490gw1\""), `sx1302c490gw1 has gains for CN470, EU433, not for "EU868"`},
	{
		chip("board = \"rak7267\"\nreset = \"header:17\""),
		`gateway[0].sx1302.reset: "header:17": the USB bridge of the board has it; leave the key out`,
	},
	{chip("board = \"rak7267\"\ndevice = \"ttyACM0\""), `gateway[0].sx1302.device: "ttyACM0", must be as `},
	{
		chip("board = \"rak7267\"\ndevice = \"/dev/spidev0.0\""),
		`gateway[0].sx1302.device: "/dev/spidev0.0": rak7267 is behind a USB bridge; leave the key out`,
	},
	{
		chip("board = \"pg1302\"\ndevice = \"/dev/ttyACM0\""),
		`gateway[0].sx1302.device: "/dev/ttyACM0": pg1302 is not made with a USB bridge`,
	},
	{
		chip("board = \"rak2287\"\ndevice = \"/dev/ttyACM0/../x\""),
		`gateway[0].sx1302.device: "/dev/ttyACM0/../x", must be as "/dev/spidev0.0", or "usb"`,
	},
	{
		chip("board = \"rak2287\"\ndevice = \"usb\"\ntemperature = \"/dev/i2c-1\""),
		`gateway[0].sx1302.temperature: "/dev/i2c-1": the USB bridge`,
	},
	{chip("board = \"rak2287\"\ndevice = \"spi\""), `gateway[0].sx1302.device: "spi", must be as "/dev/spidev0.0"`},
	{chip("board = \"rak2287\"\nreset = \"17\""), `gateway[0].sx1302.reset: "17", must be as "gpiochip0:17"`},
	{chip("board = \"rak2287\"\nreset = \"exec:5\""), `gateway[0].sx1302.reset: "exec:5", must be as`},
	{chip("board = \"rak2287\"\nreset = \"/dev/spidev0:5\""), `gateway[0].sx1302.reset: "/dev/spidev0:5", must be as`},
	{chip("board = \"lps8n\""), `gateway[0].sx1302.reset: not known of lps8n on /dev/spidev1.0: give`},
	{
		chip("board = \"mtac_003e00\"\ndevice = \"/dev/spidev2.0\""),
		`gateway[0].sx1302.reset: not known of mtac_003e00 on /dev/spidev2.0: give`,
	},
	{chip("board = \"rak2287\"\npower = \"on\""), `gateway[0].sx1302.power`},
	{chip("board = \"rak2287\"\nsx1261_reset = \"5\""), `gateway[0].sx1302.sx1261_reset`},
	{
		chip("board = \"rak2287\"\nsx1261 = \"/dev/ttyACM1\""),
		`gateway[0].sx1302.sx1261: "/dev/ttyACM1", must be as "/dev/spidev0.1"`,
	},
	{inKorea("board = \"wm1302\""), `gateway[0].sx1302.sx1261: missing: listening before talking needs the SX1261`},
	{chip("board = \"rak2287\"\ntemperature = \"warm\""), `gateway[0].sx1302.temperature`},
	{chip("board = \"rak2287\"\nclock_source = 2"), `gateway[0].sx1302.clock_source: 2, must be 0 or 1`},
	{chip("board = \"rak2287\"\nrssi_offset = 3.0"), `gateway[0].sx1302.rssi_offset: 3, must be -300 to 0`},
	{
		chip("board = \"rak2287\"\n[gateway.sx1302.gnss]\ndevice = \"ttyAMA0\""),
		`gateway[0].sx1302.gnss.device: "ttyAMA0", must be as "/dev/ttyAMA0" or "none"`,
	},
	{
		chip("board = \"rak2287\"\n[gateway.sx1302.gnss]\nbeacon = true"),
		`gateway[0].sx1302.gnss.device: missing; such as "/dev/ttyAMA0"`,
	},
	{
		chip("board = \"rak2287\"\n[gateway.sx1302.gnss]\ndevice = \"none\"\nbeacon = true"),
		`gateway[0].sx1302.gnss.beacon: needs the device of a receiver: a beacon goes by GPS time`,
	},
	{
		inPlan("UZ_923_1", "board = \"wm1302\"\n[gateway.sx1302.gnss]\ndevice = \"/dev/ttyAMA0\"\nbeacon = true"),
		`gateway[0].sx1302.gnss.beacon: the plan has no beacons: no such frequency in the frequency plan: 923.4 MHz`,
	},
	{chip("board = \"rak2287\"\nsilence = \"1s\""), `gateway[0].sx1302.silence: 1s, must be 0s or 1m0s to 720h0m0s`},
	{
		chip("board = \"rak2287\"\nsx1261 = \"/dev/spidev0.1\"\nnoise_floor = \"30s\""),
		`gateway[0].sx1302.noise_floor: 30s, must be 0s or 1m0s to 24h0m0s`,
	},
	{
		chip("board = \"rak2287\"\nnoise_floor = \"15m\""),
		`gateway[0].sx1302.sx1261: missing: noise floor and scans need the SX1261`,
	},
	{chip("board = \"rak2287\"\ntx_gains = [\"14\"]"), `gateway[0].sx1302.tx_gains: gain "14" has 1 parts`},
	{chip("board = \"rak2287\"\ntx_gains = [\"14:0:23\"]"), `power index 23 is above 22`},
	{
		chip("board = \"rak2287\"\nfine_timestamps = \"yes\""),
		`gateway[0].sx1302.fine_timestamps: "yes", must be one of all_sf, high_capacity, off`,
	},
	{chip("board = \"rak2287\"\nglobal_conf = \"/none\""), `gateway[0].sx1302.global_conf: open /none`},
	{chip("board = \"rak2287\"\npower = \"on\"\nclock_source = 2"), `gateway[0].sx1302.clock_source`},
	{"[[forward]]\nframes = \"all\"", `forward[0].server: "", must be host:port, such as "eu1.cloud.example:1700"`},
	{"[[forward]]\nserver = \"eu1.cloud.example\"", `forward[0].server: "eu1.cloud.example", must be host:port`},
	{"[[forward]]\nserver = \":1700\"", `forward[0].server: ":1700", must be host:port`},
	{"[[forward]]\nserver = \"x.example:0\"", `forward[0].server: "x.example:0", must be host:port`},
	{"[[forward]]\nserver = \"x.example:70000\"", `forward[0].server: "x.example:70000", must be host:port`},
	{
		"[[forward]]\nserver = \"127.0.0.1:1700\"",
		`forward[0].server: "127.0.0.1:1700" is udp.listen: frames would go round`,
	},
	{"[[forward]]\nserver = \"localhost:1700\"", `forward[0].server: "localhost:1700" is udp.listen`},
	{
		"[udp]\nlisten = \"192.0.2.1:1701\"\n[[forward]]\nserver = \"192.0.2.1:1701\"",
		`forward[0].server: "192.0.2.1:1701" is udp.listen`,
	},
	{
		"[[forward]]\nserver = \"x.example:1\"\n[[forward]]\nserver = \"x.example:1\"",
		`forward[1].server: "x.example:1" is also that of forward[0]`,
	},
	{
		"[[forward]]\nserver = \"x.example:1\"\nframes = \"ours\"",
		`forward[0].frames: "ours", must be one of foreign, all`,
	},
	{
		"[[forward]]\nserver = \"x.example:1\"\ndev_addrs = [\"26000000/7\", \"27000000/7\"]",
		`forward[0].dev_addrs[1]: "27000000/7", must be like "26000000/7": `,
	},
	{
		"[[forward]]\nserver = \"x.example:1\"\njoin_euis = [\"70B3D57E/32\"]",
		`forward[0].join_euis[0]: "70B3D57E/32", must be like "70B3D57ED0000000/36": `,
	},
	{"[[forward]]\nserver = \"x.example:1\"\nframe = \"all\"", `unknown key`},
	{
		strings.Repeat("[[forward]]\nserver = \"x.example:1\"\n", 9), `forward: 9 servers, must be 8 at most`,
	},
	{
		"[[gateway]]\neui = \"0242020000247803\"\n[[gateway]]\neui = \"0242020000247803\"",
		`gateway[1].eui: 0242020000247803 is also that of gateway[0]`,
	},
	{
		"[[gateway]]\neui = \"0242020000247803\"\n[[gateway]]\nid = \"eui-0242020000247803\"\ndriver = \"sx1302\"",
		`is also that of gateway[0]`,
	},
}

func TestFaults(t *testing.T) {
	for _, tt := range badTexts {
		_, err := Parse([]byte(tt.text))
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q:\n%v\nwant %q in it", tt.text, err, tt.want)
		}
	}
}

// Everything that is wrong is told at once, each with the file's name.
func TestAllAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(path, []byte("[log]\nlevel = \"x\"\nformat = \"y\"\n[mqtt.limits]\nclients = -1\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, true)
	if err == nil || strings.Count(err.Error(), path+": ") != 3 || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v", err)
	}
	_, err = Parse([]byte("a = 1\nb = 2\n"))
	if err == nil || strings.Count(err.Error(), "unknown key") != 2 {
		t.Errorf("%v", err)
	}
}
