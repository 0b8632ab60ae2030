package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// leaves lists the variables of all keys of a table, with a value for each.
func leaves(v reflect.Type, name string) (out []string) {
	for i := range v.NumField() {
		f := v.Field(i)
		name, t := name+variable(f), f.Type
		switch {
		case t == reflect.TypeFor[Duration]():
			out = append(out, name+"=7s")
			continue
		case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
			t, name = t.Elem(), name+"_0"
		case t.Kind() == reflect.Pointer:
			t = t.Elem()
		}
		switch t.Kind() {
		case reflect.Struct:
			out = append(out, leaves(t, name+"_")...)
		case reflect.Bool:
			out = append(out, name+"=true")
		case reflect.Slice:
			out = append(out, name+"=a:1, b:2")
		default:
			out = append(out, name+"=42")
		}
	}
	return out
}

// Every key has a variable.
func TestEveryVariable(t *testing.T) {
	all := leaves(reflect.TypeFor[Config](), envPrefix)
	if len(all) < 50 || !slices.Contains(all, "LORAWAND_MQTT_LIMITS_CLIENTS=42") || !slices.Contains(all, "LORAWAND_GATEWAY_0_SX1302_GNSS_DEVICE=42") {
		t.Fatalf("%d variables: %v", len(all), all)
	}
	c := Default()
	set, faults := c.override(all)
	if len(faults) > 0 || len(set) != len(all) {
		t.Errorf("%d of %d variables are set: %v", len(set), len(all), faults)
	}
	if c.Store.CommitInterval.D() != 7*time.Second || !slices.Equal(c.MQTT.Listen, []string{"a:1", "b:2"}) || c.MQTT.Limits.Clients != 42 || !c.UDP.AcceptUnknown {
		t.Errorf("%+v", c)
	}
	g := c.Gateways[0]
	if len(c.Gateways) != 1 || g.EUI != "42" || !*g.EnforceDutyCycle || g.Location.Altitude != 42 || g.SX1302.GNSS.Device != "42" || g.AntennaGain != 42 {
		t.Errorf("%+v", g)
	}
}

func TestVariables(t *testing.T) {
	const file = "[mqtt]\ntenant = \"file\"\n[[gateway]]\nid = \"roof\"\neui = \"0242020000247803\"\n"
	parsed := func(environ ...string) (Config, string) {
		c, set, err := parse([]byte(file), environ)
		if err == nil {
			return c, ""
		}
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%v: %v is not ErrConfig", environ, err)
		}
		return c, (&fileError{"FILE", set, err}).Error()
	}
	c, fault := parsed("LORAWAND_MQTT_LISTEN=", "LORAWAND_STORE_COMMIT_INTERVAL=0s", "LORAWAND_GATEWAY_0_FREQUENCY_PLAN=US_902_928_FSB_2",
		"LORAWAND_GATEWAY_1_EUI=0242020000247804", "LORAWAND_UDP_LISTEN=", "LORAWAND_CONFIG=x", "LORAWAND_KILLS=1", "PATH=/", "LORAWANDMQTT_X=", "LORAWAND_MQTT")
	if fault != "" || c.MQTT.Tenant != "file" || c.MQTT.Listen == nil || len(c.MQTT.Listen) > 0 || c.Store.CommitInterval != 0 || c.UDP.Listen != "" {
		t.Errorf("%s\n%+v", fault, c)
	}
	if g := c.Gateways; len(g) != 2 || g[0].ID != "roof" || g[0].FrequencyPlan != "US_902_928_FSB_2" || g[1].FrequencyPlan != "EU_863_870_TTN" || g[1].Driver != "udp" {
		t.Errorf("%+v", g)
	}
	for _, tt := range []struct{ environ, want string }{
		{"LORAWAND_STORE_COMMIT_INTERVAL=soon", `LORAWAND_STORE_COMMIT_INTERVAL: not a duration`},
		{"LORAWAND_STORE_COMMIT_INTERVAL=2h", `LORAWAND_STORE_COMMIT_INTERVAL: store.commit_interval: 2h0m0s, must be`},
		{"LORAWAND_MQTT_LISTEN=:1,x", `LORAWAND_MQTT_LISTEN: mqtt.listen[1]: "x", must be`},
		{"LORAWAND_MQTT_LIMITS_CLIENTS=many", `LORAWAND_MQTT_LIMITS_CLIENTS: "many", must be a whole number`},
		{"LORAWAND_MQTT_LIMITS_CLIENTS=0", `LORAWAND_MQTT_LIMITS_CLIENTS: mqtt.limits.clients: 0, must be`},
		{"LORAWAND_MQTT_LEGACY_FIELDS=yes", `LORAWAND_MQTT_LEGACY_FIELDS: "yes", must be true or false`},
		{"LORAWAND_MQTT_PORT=1", `LORAWAND_MQTT_PORT: no such key`},
		{"LORAWAND_GATEWAY_0_EUI=1", `LORAWAND_GATEWAY_0_EUI: gateway[0] (roof).eui: "1", must be`},
		{"LORAWAND_GATEWAY_0_ANTENNA_GAIN=high", `LORAWAND_GATEWAY_0_ANTENNA_GAIN: "high", must be a number`},
		{"LORAWAND_GATEWAY_0_COLOUR=1", `LORAWAND_GATEWAY_0_COLOUR: no such key`},
		{"LORAWAND_GATEWAY_7_EUI=0242020000247805", `LORAWAND_GATEWAY_7_EUI: no such key`},
		{"LORAWAND_GATEWAY_1_ID=roof", `FILE: gateway[1] (roof).eui: missing`},
		{"LORAWAND_LOG_LEVEL=loud", `LORAWAND_LOG_LEVEL: log.level: "loud", must be one of`},
	} {
		if _, fault := parsed(tt.environ); !strings.HasPrefix(fault, tt.want) {
			t.Errorf("%s: %q, want %q", tt.environ, fault, tt.want)
		}
	}
	// All at once, those of the text too.
	_, set, err := parse([]byte("colour = 1\n"), []string{"LORAWAND_HTTP_X=1", "LORAWAND_LOG_X=1"})
	if text := (&fileError{"FILE", set, err}).Error(); text != "FILE: line 1: colour: unknown key\nLORAWAND_HTTP_X: no such key\nLORAWAND_LOG_X: no such key" {
		t.Errorf("%s", text)
	}
}
