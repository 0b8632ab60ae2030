package problems

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/activity"
)

const day = 24 * time.Hour

// well is a host on which nothing is wrong.
func well() *Snapshot {
	return &Snapshot{
		Uptime: 10 * day, UDP: ":1700", MQTT: []string{":1883"},
		Gateways: []Gateway{
			{ID: "gw1", EUI: "0242020000247803", Band: "EU_863_870", Online: true, Changed: true, Since: 9 * day},
		},
		Devices: []Device{{ID: "dev1", Application: "app1", Plan: "EU_863_870_TTN", Band: "EU_863_870", State: "alive"}},
		Keys:    []Key{{ID: "K1", Name: "node-red", Application: "app1", Used: true, Idle: day}},
		Store:   Store{Path: "/var/lib/lorawand", Free: 100 << 20, Need: 1 << 20},
	}
}

// lost is well with a gateway that has gone.
func lost(s *Snapshot) { s.Gateways[0].Online, s.Gateways[0].Since = false, 87*time.Minute }

// unlocated is well with a satellite receiver that does not tell the time.
func unlocated(s *Snapshot) {
	s.Gateways[0].GNSS = GNSS{"the receiver has no fix", "put its antenna where it sees the sky"}
}

// devices replaces the devices by so many in a state.
func devices(n int, state activity.State) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Devices = nil
		for i := range n {
			s.Devices = append(s.Devices, Device{
				ID: fmt.Sprintf("dev%d", i+1), Application: "app1", Plan: "EU_863_870_TTN", Band: "EU_863_870",
				State: string(state), Heard: true, Age: 9 * time.Hour, Interval: 20 * time.Minute,
				Refusal: "wrong_key", Hint: "compare the AppKeys", RefusalAge: 3 * time.Minute,
			})
		}
	}
}

func gateways(n int, set func(*Gateway)) func(*Snapshot) {
	return func(s *Snapshot) {
		s.Gateways = nil
		for i := range n {
			g := Gateway{ID: fmt.Sprintf("gw%d", i+1), EUI: fmt.Sprintf("024202000024780%d", i+1), Band: "EU_863_870"}
			set(&g)
			s.Gateways = append(s.Gateways, g)
		}
	}
}

func strangers(n int, age time.Duration) func(*Snapshot) {
	return func(s *Snapshot) {
		for i := range n {
			s.Unknown = append(s.Unknown, Stranger{fmt.Sprintf("AC1F09FFFE0A1B2%d", i), "192.168.1.77", age})
		}
	}
}

func port(s *Snapshot) {
	s.Ports = []Port{{"udp", "0.0.0.0:1700", "[udp] listen", "chirpstack-gateway-bridge (pid 731)"}}
}

var cases = []struct {
	name string
	is   []func(*Snapshot)
	want []string // the codes
	says []string
}{
	{name: "nothing"},
	{name: "first run", is: []func(*Snapshot){func(s *Snapshot) {
		*s = Snapshot{UDP: ":1700", MQTT: []string{":1883"}, Store: s.Store}
	}}},
	{
		"store cannot be written, and is full",
		[]func(*Snapshot){func(s *Snapshot) { s.Store.Error, s.Store.Free = "no space left on device", 0 }},
		[]string{"store_unwritable"},
		[]string{"bad The store cannot be written", "no space left on device", "$ df -h /var/lib/lorawand"},
	},
	{
		"little space",
		[]func(*Snapshot){func(s *Snapshot) { s.Store.Free = 300 << 10 }},
		[]string{"store_full"},
		[]string{"300 kB are free in /var/lib/lorawand; the store needs up to 1.0 MB"},
	},
	{
		"space for a large store",
		[]func(*Snapshot){func(s *Snapshot) { s.Store.Free, s.Store.Need = 2<<20, 3<<20 }},
		[]string{"store_full"},
		nil,
	},
	{"space is not known", []func(*Snapshot){func(s *Snapshot) { s.Store.Free = -1 }}, nil, nil},
	{
		"store in memory",
		[]func(*Snapshot){func(s *Snapshot) { s.Store.InMemory = true }},
		[]string{"store_in_memory"},
		[]string{"is lost when this host restarts"},
	},
	{
		"store was damaged",
		[]func(*Snapshot){func(s *Snapshot) { s.Store.Damage = []string{"journal-00000007: CRC"} }},
		[]string{"store_damaged"},
		nil,
	},
	{
		"clock",
		[]func(*Snapshot){func(s *Snapshot) { s.NoClock = true; s.Keys[0].Used = false }},
		[]string{"clock_unset"},
		[]string{"$ date -s"},
	},
	{
		"port taken hides gateways and devices",
		[]func(*Snapshot){lost, port, devices(1, activity.Silent)},
		[]string{"port_taken"},
		[]string{
			"Port 1700 is taken", "chirpstack-gateway-bridge (pid 731) holds UDP 0.0.0.0:1700",
			"Stop chirpstack-gateway-bridge (pid 731), or set [udp] listen to another port",
		},
	},
	{
		"another port, holder not known",
		[]func(*Snapshot){func(s *Snapshot) { s.Ports = []Port{{"tcp", ":1883", "[mqtt] listen", ""}} }},
		[]string{"port_taken"},
		[]string{"Another program holds TCP :1883.", "Stop the program that holds it, or set [mqtt] listen to another port."},
	},
	{
		"gateway off line hides silent and refused devices",
		[]func(*Snapshot){lost, devices(3, activity.Silent), func(s *Snapshot) { s.Devices[0].State = "refused" }},
		[]string{"gateway_offline"},
		[]string{"Gateway gw1 is off line", "Nothing has come for 87 min"},
	},
	{
		"many gateways off line",
		[]func(*Snapshot){gateways(6, func(g *Gateway) { g.Changed = true })},
		[]string{"gateway_offline"},
		[]string{"6 gateways are off line", "gw5 and 1 more"},
	},
	{
		"two of them",
		[]func(*Snapshot){gateways(2, func(g *Gateway) { g.Changed = true })},
		[]string{"gateway_offline", "gateway_offline"},
		nil,
	},
	{
		"just started",
		[]func(*Snapshot){gateways(1, func(*Gateway) {}), func(s *Snapshot) { s.Uptime = startUp - 1 }},
		nil,
		nil,
	},
	{
		"forwarder not seen",
		[]func(*Snapshot){gateways(1, func(*Gateway) {})},
		[]string{"gateway_never"},
		[]string{"No packet forwarder with the EUI 0242020000247801", "serv_port_up"},
	},
	{
		"forwarder not seen, by loopback",
		[]func(*Snapshot){gateways(1, func(*Gateway) {}), func(s *Snapshot) { s.UDP = "127.0.0.1:1700" }},
		[]string{"gateway_never"},
		[]string{`set [udp] listen = ":1700" too: now it is "127.0.0.1:1700"`},
	},
	{
		"UDP is off",
		[]func(*Snapshot){gateways(1, func(*Gateway) {}), func(s *Snapshot) { s.UDP = "" }},
		[]string{"gateway_never"},
		[]string{`Set [udp] listen`},
	},
	{
		"board has not started",
		[]func(*Snapshot){gateways(1, func(g *Gateway) { g.OnBoard = true })},
		[]string{"gateway_never"},
		[]string{"$ lorawand doctor"},
	},
	{
		"board has a fault",
		[]func(*Snapshot){gateways(1, func(g *Gateway) { g.Fault = "no SX1302 answers" })},
		[]string{"gateway_fault"},
		[]string{"no SX1302 answers."},
	},
	{"no gateway", []func(*Snapshot){gateways(0, nil)}, []string{"gateway_none"}, nil},
	{"GNSS without a fix", []func(*Snapshot){unlocated}, []string{"gateway_gnss"}, []string{
		"warn Gateway gw1 has no GPS time", "The receiver has no fix. Without it", "Put its antenna where it sees the sky.",
	}},
	{"GNSS, just started", []func(*Snapshot){unlocated, func(s *Snapshot) { s.Uptime = firstFix - 1 }}, nil, nil},
	{"GNSS of a gateway that is off line", []func(*Snapshot){unlocated, lost}, []string{"gateway_offline"}, nil},
	{
		"unknown gateway",
		[]func(*Snapshot){strangers(1, time.Minute)},
		[]string{"gateway_unknown"},
		[]string{`[[gateway]] with eui = "AC1F09FFFE0A1B20"`, "192.168.1.77", "#/add-gateway?eui=AC1F09FFFE0A1B20"},
	},
	{"unknown gateway, long ago", []func(*Snapshot){strangers(1, recent+1)}, nil, nil},
	{
		"many unknown gateways",
		[]func(*Snapshot){strangers(6, 0)},
		[]string{"gateway_unknown"},
		[]string{"6 unknown gateways"},
	},
	{
		"a mistyped EUI is one problem",
		[]func(*Snapshot){gateways(1, func(*Gateway) {}), strangers(1, 0)},
		[]string{"gateway_unknown"},
		[]string{"If it is gw1, write this EUI into the configuration: there it has 0242020000247801."},
	},
	{
		"plan without a gateway hides its silent devices",
		[]func(*Snapshot){
			devices(2, activity.Silent),
			func(s *Snapshot) { s.Devices[1].Plan, s.Devices[1].Band = "US_902_928_FSB_2", "US_902_928" },
		},
		[]string{"plan_unserved", "device_silent"},
		[]string{"No gateway listens to the plan US_902_928_FSB_2", "app1/dev2 has", "Device app1/dev1 is silent"},
	},
	{"another plan of the band", []func(*Snapshot){func(s *Snapshot) { s.Devices[0].Plan = "EU_863_870" }}, nil, nil},
	{
		"silent",
		[]func(*Snapshot){devices(1, activity.Silent)},
		[]string{"device_silent"},
		[]string{
			"It was last heard 9 h ago; it usually sends every 20 min.", "#/device/app1/dev1",
			"$ lorawand device get app1/dev1",
		},
	},
	{
		"not heard since the start",
		[]func(*Snapshot){
			devices(1, activity.Silent),
			func(s *Snapshot) { s.Devices[0].Heard, s.Devices[0].Interval = false, 0 },
		},
		[]string{"device_silent"},
		[]string{"It was not heard since the start, 10 days ago."},
	},
	{
		"the gateway has just come back",
		[]func(*Snapshot){devices(1, activity.Silent), func(s *Snapshot) { s.Gateways[0].Since = 19 * time.Minute }},
		nil,
		nil,
	},
	{"five are silent", []func(*Snapshot){devices(5, activity.Silent)}, slices.Repeat([]string{"device_silent"}, 5), nil},
	{
		"six are silent",
		[]func(*Snapshot){devices(6, activity.Silent)},
		[]string{"device_silent"},
		[]string{"6 devices are silent", "app1/dev5 and 1 more"},
	},
	{"never joined", []func(*Snapshot){devices(3, activity.Never)}, nil, nil},
	{
		"refused",
		[]func(*Snapshot){devices(1, activity.Refused)},
		[]string{"device_refused"},
		[]string{
			"Device app1/dev1 is refused: wrong AppKey", "came 3 min ago", "Compare the AppKeys.",
			"#/device/app1/dev1/settings",
		},
	},
	{
		"six are refused",
		[]func(*Snapshot){devices(6, activity.Refused)},
		[]string{"device_refused"},
		[]string{"6 devices are refused"},
	},
	{
		"refused because the store is full",
		[]func(*Snapshot){devices(1, activity.Refused), func(s *Snapshot) {
			s.Devices[0].Refusal, s.Store.Error = "not_stored", "no space left on device"
		}},
		[]string{"store_unwritable"},
		nil,
	},
	{
		"codec missing",
		[]func(*Snapshot){devices(2, activity.Alive), func(s *Snapshot) {
			s.Devices[0].Formatter = []string{"codec of milesight-iot/ws301 is not imported"}
			s.Devices[1].Formatter = s.Devices[0].Formatter
		}},
		[]string{"formatter_missing"},
		[]string{"of 2 devices cannot be used", "app1/dev1, app1/dev2: codec of milesight-iot/ws301 is not imported"},
	},
	{"many codecs missing", []func(*Snapshot){devices(8, activity.Alive), func(s *Snapshot) {
		for i := range s.Devices {
			s.Devices[i].Formatter = []string{fmt.Sprint("codec ", i)}
		}
	}}, slices.Repeat([]string{"formatter_missing"}, 6), []string{"3 other payload formatters"}},
	{
		"MQTT on loopback",
		[]func(*Snapshot){func(s *Snapshot) { s.MQTT = []string{"127.0.0.1:1883", "[::1]:1883"} }},
		[]string{"mqtt_loopback"},
		[]string{"127.0.0.1:1883, [::1]:1883 only"},
	},
	{
		"MQTT on loopback, in use",
		[]func(*Snapshot){func(s *Snapshot) { s.MQTT, s.Clients = []string{"localhost:1883"}, 1 }},
		nil,
		nil,
	},
	{
		"MQTT on the LAN too",
		[]func(*Snapshot){func(s *Snapshot) { s.MQTT = []string{"127.0.0.1:1883", ":8883"} }},
		nil,
		nil,
	},
	{
		"another network server is silent",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Servers = []Server{
				{Address: "a:1700", Gateways: 1, Silence: time.Hour, Fault: "no such host"},
				{Address: "b:1700", Gateways: 2, Answered: 1, Silence: startUp},
				{Address: "c:1700", Gateways: 1, Silence: startUp - 1},
				{Address: "d:1700", Gateways: 3, Answered: 3},
				{Address: "e:1700"},
			}
		}},
		[]string{"forward_silent", "forward_silent"},
		[]string{"a:1700", "none of 1 gateways for 60 min: no such host.", "b:1700", "It answers 1 of 2 gateways."},
	},
	{
		"a ChirpStack network has not all gateways",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Servers = []Server{{Address: "cs:1883", Gateways: 1, Silence: time.Hour, Fault: "no such host", MQTT: true}}
		}},
		[]string{"chirpstack_silent"},
		[]string{"cs:1883", "none of 1 gateways for 60 min: no such host.", "[[chirpstack]]"},
	},
	{
		"the central of an extender is away",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Store.InMemory = true
			s.Servers = []Server{{Address: "a:1700", Gateways: 1, Silence: centralGone, Fault: "it is off", Central: true}}
		}},
		[]string{"central_lost"},
		[]string{"central a:1700 does not answer", "for 10 s: it is off. What this gateway hears"},
	},
	{
		"the central of an extender is away for a moment",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Servers = []Server{{Address: "a:1700", Gateways: 1, Silence: centralGone - 1, Central: true}}
		}},
		nil, nil,
	},
	{"MQTT is off", []func(*Snapshot){func(s *Snapshot) { s.MQTT = nil }}, nil, nil},
	{
		"unused key",
		[]func(*Snapshot){func(s *Snapshot) { s.Keys[0].Used = false }},
		[]string{"key_unused"},
		[]string{"node-red of app1: "},
	},
	{
		"unused key on the first day",
		[]func(*Snapshot){func(s *Snapshot) { s.Keys[0].Used, s.Uptime = false, newKey-1 }},
		nil, nil,
	},
	{
		"key that is not used any more",
		[]func(*Snapshot){func(s *Snapshot) { s.Keys[0].Idle, s.Keys[0].Name = idleKey, "" }},
		[]string{"key_unused"},
		[]string{"K1 of app1"},
	},
	{
		"broker upstream that is away for a moment",
		[]func(*Snapshot){func(s *Snapshot) { s.Upstreams = []Upstream{{Name: "far", Since: dialing - 1}} }},
		nil, nil,
	},
	{
		"broker upstream that cannot be reached",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Upstreams = []Upstream{{Name: "far", Since: 2 * time.Hour, Error: "no route to host", Waiting: 17}}
		}},
		[]string{"upstream_lost"},
		[]string{"The broker far cannot be reached", "For 2 h: no route to host. 17 messages wait for it."},
	},
	{
		"broker upstream whose messages are lost",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Upstreams = []Upstream{{Name: "far", Connected: true, Since: time.Hour, Lost: 3, Fault: "the disk is full"}}
		}},
		[]string{"upstream_journal", "upstream_full"},
		[]string{"the disk is full. They wait in memory", "3 messages for far are lost"},
	},
	{
		"broker upstream that refuses a subscription",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Upstreams = []Upstream{{Name: "far", Connected: true, Unheard: []string{"v3/app1/devices/+/down/push"}}}
		}},
		[]string{"upstream_unheard"},
		[]string{"It refuses the subscriptions to v3/app1/devices/+/down/push."},
	},
	{
		"journals for servers that are not configured any more",
		[]func(*Snapshot){func(s *Snapshot) {
			s.Journals = []Journal{
				{Folder: "/var/lib/lorawand/upstream/far", Bytes: 3 << 19},
				{Folder: "/var/lib/lorawand/backfill/tts@eu1.example", Bytes: 700, Backfill: true},
			}
		}},
		[]string{"journal_left", "journal_left"},
		[]string{
			"Messages wait for far, which is not configured any more\n" +
				"/var/lib/lorawand/upstream/far has 1.5 MB of them. Nobody gets them, however long they wait.\n" +
				`Configure [[upstream]] with name = "far" until they are handed on, or delete the folder.`,
			"Messages wait for tts on eu1.example, which is not configured any more\n" +
				"/var/lib/lorawand/backfill/tts@eu1.example has 700 bytes of them. ",
			`Configure [[backfill]] with name = "tts" and a url on eu1.example until they are handed on, or delete`,
		},
	},
}

func TestList(t *testing.T) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			s := well()
			for _, change := range tt.is {
				change(s)
			}
			var codes []string
			var text strings.Builder
			for _, p := range List(s) {
				codes = append(codes, p.Code)
				fmt.Fprintf(&text, "%s %s\n%s\n%s\n$ %s\n%s\n", p.Tone, p.Title, p.Detail, p.Todo, p.Command, p.Link)
				if p.Title == "" || p.Detail == "" || p.Todo == "" || p.Tone != Bad && p.Tone != Warn && p.Tone != Info {
					t.Errorf("a problem without its way out: %+v", p)
				}
				if p.Link != "" && p.Act == "" {
					t.Errorf("a link without a name: %+v", p)
				}
			}
			if !slices.Equal(codes, tt.want) {
				t.Errorf("%v, want %v\n%s", codes, tt.want, &text)
			}
			for _, says := range tt.says {
				if !strings.Contains(text.String(), says) {
					t.Errorf("no %q in\n%s", says, &text)
				}
			}
		})
	}
}

func TestLasting(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 90 * time.Minute: "90 min", 2 * time.Hour: "2 h",
		47 * time.Hour: "47 h", 48 * time.Hour: "2 days", 71 * time.Hour: "2 days", 400 * day: "400 days",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
