package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestOverride(t *testing.T) {
	file := []byte("[mqtt]\nlisten = [\":1884\"]\n[log]\nlevel = \"warn\"\n")
	c, err := parse(file, []string{
		"LORAWAND_MQTT_LISTEN=127.0.0.1:1, 127.0.0.1:2", "LORAWAND_STORE_COMMIT_INTERVAL=0s", "LORAWAND_STORE_EPHEMERAL=true", "LORAWAND_MQTT_LIMITS_CLIENTS=7",
		"LORAWAND_NETWORK_DEFAULT_FREQUENCY_PLAN=US_902_928_FSB_2", "LORAWAND_UDP_LISTEN=", "LORAWAND_CONFIG=/none", "LORAWAND_KILLS=3", "PATH=/bin", "LORAWAND_=x",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.MQTT.Listen, want.MQTT.Limits.Clients = []string{"127.0.0.1:1", "127.0.0.1:2"}, 7
	want.Store.CommitInterval, want.Store.Ephemeral = 0, true
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
		"LORAWAND_MQTT_LISTN=:1", "LORAWAND_STORE_COMMIT_INTERVAL=soon", "LORAWAND_STORE_EPHEMERAL=maybe", "LORAWAND_MQTT_LIMITS_CLIENTS=many", "LORAWAND_GATEWAY_ID=x",
	})
	if !errors.Is(err, ErrConfig) {
		t.Fatalf("%v", err)
	}
	want := []string{
		"$LORAWAND_GATEWAY_ID: unknown key", `$LORAWAND_MQTT_LIMITS_CLIENTS: "many", must be a whole number`, "$LORAWAND_MQTT_LISTN: unknown key",
		`$LORAWAND_STORE_COMMIT_INTERVAL: not a duration such as "15s": "soon"`, `$LORAWAND_STORE_EPHEMERAL: "maybe", must be true or false`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// What a variable says is checked as the file is, and is told to be its.
	_, err = parse([]byte("[mqtt]\ntenant = \"X\"\n"), []string{"LORAWAND_STORE_COMMIT_INTERVAL=48h", "LORAWAND_MQTT_LISTEN=:1,x"})
	want = []string{"$LORAWAND_STORE_COMMIT_INTERVAL: store.commit_interval: 48h", `$LORAWAND_MQTT_LISTEN: mqtt.listen[1]: "x"`, "mqtt.tenant: "}
	if got := strings.Split(err.Error(), "\n"); !slices.EqualFunc(got, want, strings.HasPrefix) || !errors.Is(err, ErrConfig) {
		t.Errorf("%q", got)
	}
}

// Every key but those of gateways has a variable.
func TestOverrideKeys(t *testing.T) {
	var c Config
	keys := c.keys()
	for name, v := range keys {
		text := map[reflect.Kind]string{reflect.Bool: "true", reflect.Int: "1", reflect.Int64: "1s"}[v.Kind()]
		if err := setKey(v, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := (&c).Restart(&Config{Log: Log{Level: "debug"}}); !slices.Contains(got, "mqtt.limits.clients") || slices.Contains(got, "log.level") {
		t.Errorf("%v need a restart", got)
	}
	if len(keys) < 35 {
		t.Errorf("%d keys", len(keys))
	}
}
