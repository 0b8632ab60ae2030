package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOverride(t *testing.T) {
	file := []byte("[mqtt]\nlisten = [\":1884\"]\n[log]\nlevel = \"warn\"\n")
	c, err := parse(file, []string{
		"LORAWAND_MQTT_LISTEN=127.0.0.1:1, 127.0.0.1:2", "LORAWAND_STORE_COMMIT_INTERVAL=0s", "LORAWAND_STORE_EPHEMERAL=true",
		"LORAWAND_MQTT_LIMITS_CLIENTS=7",
		"LORAWAND_NETWORK_DEFAULT_FREQUENCY_PLAN=US_902_928_FSB_2", "LORAWAND_UDP_LISTEN=", "LORAWAND_CONFIG=/none",
		"LORAWAND_KILLS=3", "PATH=/bin", "LORAWAND_=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.MQTT.Listen, want.MQTT.Limits.Clients = []string{"127.0.0.1:1", "127.0.0.1:2"}, 7
	want.Store.CommitInterval, want.Store.Ephemeral = For(0), true
	want.Network.DefaultFrequencyPlan, want.UDP.Listen, want.Log.Level = "US_902_928_FSB_2", "", "warn"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant\n%+v", c, want)
	}
	if c, err = parse(file, []string{"LORAWAND_MQTT_LISTEN="}); err != nil || len(c.MQTT.Listen) != 0 {
		t.Errorf("%v, %v", c.MQTT.Listen, err)
	}
}

// All that is wrong is told at once, by the variable's name.
func TestOverrideFaults(t *testing.T) {
	_, err := parse(nil, []string{
		"LORAWAND_MQTT_LISTN=:1", "LORAWAND_STORE_COMMIT_INTERVAL=soon", "LORAWAND_STORE_EPHEMERAL=maybe",
		"LORAWAND_MQTT_LIMITS_CLIENTS=many", "LORAWAND_GATEWAY_ID=x",
	})
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("%v", err)
	}
	want := []string{
		"$LORAWAND_GATEWAY_ID: unknown key", `$LORAWAND_MQTT_LIMITS_CLIENTS: "many", must be a whole number`,
		"$LORAWAND_MQTT_LISTN: unknown key; did you mean $LORAWAND_MQTT_LISTEN?",
		`$LORAWAND_STORE_COMMIT_INTERVAL: not a duration such as "15s": "soon"`, `$LORAWAND_STORE_EPHEMERAL: "maybe", must be true or false`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// What a variable says is checked as the file is, and is told to be its.
	_, err = parse([]byte("[mqtt]\ntenant = \"X\"\n"), []string{
		"LORAWAND_STORE_COMMIT_INTERVAL=48h",
		"LORAWAND_MQTT_LISTEN=:1,x",
	})
	want = []string{
		"$LORAWAND_STORE_COMMIT_INTERVAL: store.commit_interval: 48h",
		`$LORAWAND_MQTT_LISTEN: mqtt.listen[1]: "x"`, "mqtt.tenant: ",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.EqualFunc(got, want, strings.HasPrefix) ||
		!errors.Is(err, ErrConfig) {
		t.Errorf("%q", got)
	}
}

// Gateways have numbers. Their variables change those of the file, in its order,
// and add others.
func TestOverrideGateways(t *testing.T) {
	file := []byte("[[gateway]]\neui = \"0242020000247803\"\nid = \"roof\"\nantenna_gain = 3.0\n")
	c, err := parse(file, []string{
		"LORAWAND_GATEWAY_0_ANTENNA_GAIN=2.15", "LORAWAND_GATEWAY_0_LOCATION_LATITUDE=52.5",
		"LORAWAND_GATEWAY_0_LOCATION_ALTITUDE=-12",
		"LORAWAND_GATEWAY_1_DRIVER=sx1302", "LORAWAND_GATEWAY_1_SX1302_BOARD=rak2287",
		"LORAWAND_GATEWAY_1_SX1302_CLOCK_SOURCE=0",
		"LORAWAND_GATEWAY_1_SX1302_TX_GAINS=12:1:4,14:1:6", "LORAWAND_GATEWAY_1_SX1302_RSSI_OFFSET=-215.4",
		"LORAWAND_GATEWAY_1_SX1302_SILENCE=5m",
		"LORAWAND_GATEWAY_1_ENFORCE_DUTY_CYCLE=false", "LORAWAND_GATEWAY_1_FREQUENCY_PLAN=US_902_928_FSB_2",
	})
	if err != nil {
		t.Fatal(err)
	}
	yes, no, source, offset, gain, none := true, false, uint8(0), -215.4, 2.15, 0.0
	want := []Gateway{
		{
			ID: "roof", EUI: "0242020000247803", Driver: "udp", FrequencyPlan: "EU_863_870_TTN", EnforceDutyCycle: &yes,
			AntennaGain: &gain,
			Location:    &Location{Latitude: 52.5, Altitude: -12},
		},
		{
			Driver: "sx1302", FrequencyPlan: "US_902_928_FSB_2", EnforceDutyCycle: &no, AntennaGain: &none, SX1302: &SX1302{
				Board: "rak2287", Firmware: DefaultFirmware, ClockSource: &source, TxGains: []string{"12:1:4", "14:1:6"},
				RSSIOffset: &offset,
				Silence:    For(5 * time.Minute),
			},
		},
	}
	if !reflect.DeepEqual(c.Gateways, want) {
		t.Errorf("%+v\nwant\n%+v", c.Gateways, want)
	}

	// A container without a file, with more gateways than a digit counts.
	var environ []string
	for i := range 12 {
		environ = append(environ, fmt.Sprintf("LORAWAND_GATEWAY_%d_EUI=02420200000000%02X", i, i))
	}
	c, err = parse(nil, environ)
	if err != nil || len(c.Gateways) != 12 || c.Gateways[11].EUI != "024202000000000B" {
		t.Errorf("%+v, %v", c.Gateways, err)
	}
}

var gatewayVariableFaults = []struct {
	name    string
	environ []string
	want    []string // how the faults begin
}{
	{"no number", []string{"LORAWAND_GATEWAY_EUI=0242020000247803"}, []string{"$LORAWAND_GATEWAY_EUI: unknown key"}},
	{
		"other numbers",
		[]string{"LORAWAND_GATEWAY_-1_EUI=1", "LORAWAND_GATEWAY_00_EUI=1"},
		[]string{"$LORAWAND_GATEWAY_-1_EUI: unknown key", "$LORAWAND_GATEWAY_00_EUI: unknown key"},
	},
	{
		"a gap",
		[]string{"LORAWAND_GATEWAY_2_EUI=0242020000247804"},
		[]string{"$LORAWAND_GATEWAY_2_EUI: there is no gateway 1; they are numbered from 0"},
	},
	{
		"no such key",
		[]string{"LORAWAND_GATEWAY_0_COLOUR=red", "LORAWAND_GATEWAY_0_SX1302=x", "LORAWAND_GATEWAY_0_LOCATION_X=1"},
		[]string{
			"$LORAWAND_GATEWAY_0_COLOUR: unknown key", "$LORAWAND_GATEWAY_0_LOCATION_X: unknown key",
			"$LORAWAND_GATEWAY_0_SX1302: unknown key",
		},
	},
	{
		"not what the key is",
		[]string{
			"LORAWAND_GATEWAY_0_ANTENNA_GAIN=much", "LORAWAND_GATEWAY_0_ENFORCE_DUTY_CYCLE=maybe",
			"LORAWAND_GATEWAY_0_SX1302_CLOCK_SOURCE=256",
		},
		[]string{
			`$LORAWAND_GATEWAY_0_ANTENNA_GAIN: "much", must be a number`,
			`$LORAWAND_GATEWAY_0_ENFORCE_DUTY_CYCLE: "maybe", must be true or false`,
			`$LORAWAND_GATEWAY_0_SX1302_CLOCK_SOURCE: "256", must be a whole number from 0 to 255`,
		},
	},
	{
		"out of range",
		[]string{
			"LORAWAND_GATEWAY_0_ANTENNA_GAIN=NaN", "LORAWAND_GATEWAY_1_EUI=1",
			"LORAWAND_GATEWAY_0_LOCATION_LATITUDE=91",
		},
		[]string{
			"$LORAWAND_GATEWAY_0_ANTENNA_GAIN: gateway[0] (roof).antenna_gain: NaN",
			"$LORAWAND_GATEWAY_0_LOCATION_LATITUDE: gateway[0] (roof).location.latitude: 91",
			`$LORAWAND_GATEWAY_1_EUI: gateway[1].eui: "1", must be 16 hexadecimal digits`,
		},
	},
	{
		"what is missing is nobody's",
		[]string{"LORAWAND_GATEWAY_1_ID=cellar"},
		[]string{"gateway[1] (cellar).eui: missing"},
	},
	{
		"a wrong board",
		[]string{"LORAWAND_GATEWAY_1_DRIVER=sx1302", "LORAWAND_GATEWAY_1_SX1302_BOARD=none"},
		[]string{"$LORAWAND_GATEWAY_1_SX1302_BOARD: gateway[1].sx1302.board: "},
	},
}

func TestOverrideGatewayFaults(t *testing.T) {
	file := []byte("[[gateway]]\neui = \"0242020000247803\"\nid = \"roof\"\n")
	for _, tt := range gatewayVariableFaults {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(file, tt.environ)
			if !errors.Is(err, ErrConfig) {
				t.Fatalf("%v", err)
			}
			if got := strings.Split(err.Error(), "\n"); !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Every key of a gateway has a variable.
func TestOverrideGatewayKeys(t *testing.T) {
	n := 0
	var all func(prefix string, table reflect.Type)
	all = func(prefix string, table reflect.Type) {
		for i := range table.NumField() {
			name, of := prefix+strings.ToUpper(table.Field(i).Tag.Get("toml")), table.Field(i).Type
			if of.Kind() == reflect.Pointer {
				of = of.Elem()
			}
			if of.Kind() == reflect.Struct && of != reflect.TypeFor[Duration]() {
				all(name+"_", of)
				continue
			}
			n++
			var g Gateway
			v, known := fieldOf(reflect.ValueOf(&g).Elem(), name)
			text := map[reflect.Kind]string{
				reflect.Bool: "true", reflect.Struct: "1s", reflect.Float64: "1.5",
				reflect.Int32: "1", reflect.Uint8: "1",
			}[of.Kind()]
			if !known || setKey(v, text) != nil || reflect.DeepEqual(g, Gateway{}) && text != "" {
				t.Errorf("%s is not set", name)
			}
		}
	}
	all("", reflect.TypeFor[Gateway]())
	if n < 20 {
		t.Errorf("%d keys", n)
	}
}

// Every key but those of gateways has a variable.
func TestOverrideKeys(t *testing.T) {
	var c Config
	keys := c.keys()
	for name, v := range keys {
		text := map[reflect.Kind]string{reflect.Bool: "true", reflect.Int: "1", reflect.Struct: "1s"}[v.Kind()]
		if err := setKey(v, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := (&c).Restart(&Config{Log: Log{Level: "debug"}}); !slices.Contains(got, "mqtt.limits.clients") ||
		slices.Contains(got, "log.level") {
		t.Errorf("%v need a restart", got)
	}
	if len(keys) < 35 {
		t.Errorf("%d keys", len(keys))
	}
}
