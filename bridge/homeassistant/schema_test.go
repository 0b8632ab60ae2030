//go:build !small

package homeassistant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The schema of discovery by device that Home Assistant publishes, by the abbreviations of the
// members. Sources: home-assistant/core, components/mqtt: abbreviations.py; schemas.py
// (DEVICE_DISCOVERY_SCHEMA, MQTT_ENTITY_DEVICE_INFO_SCHEMA, MQTT_ORIGIN_INFO_SCHEMA,
// MQTT_ENTITY_COMMON_SCHEMA); sensor.py and binary_sensor.py (PLATFORM_SCHEMA_MODERN).
//
// A member whose name ends in "!" is required.
var (
	publishedMessage = members{
		"dev!": object, "o!": object, "cmps!": object, "stat_t": topicOrNone, "cmd_t": topicOrNone, "qos": whole,
		"e": words,
	}
	publishedDevice = members{
		"ids!": words, "name": words, "mf": words, "mdl": words, "mdl_id": words, "hw": words, "sn": words, "sw": words,
		"via_device": words, "sa": words, "cu": words,
	}
	publishedOrigin    = members{"name!": words, "sw": words, "url": words}
	publishedPlatforms = map[string]members{
		"sensor": {
			"p!": words, "uniq_id!": words, "name": words, "dev_cla": words, "exp_aft": whole, "ent_cat": words,
			"val_tpl": words, "stat_t": topicOrNone, "en": truth, "unit_of_meas": words, "stat_cla": words, "frc_upd": truth,
		},
		"binary_sensor": {
			"p!": words, "uniq_id!": words, "name": words, "dev_cla": words, "exp_aft": whole, "ent_cat": words,
			"val_tpl": words, "stat_t": topicOrNone, "en": truth, "off_dly": whole, "pl_on": words, "pl_off": words,
			"frc_upd": truth,
		},
	}
)

// members say for each member of an object whether a value may stand there.
type members map[string]func(any) bool

func object(v any) bool { _, ok := v.(map[string]any); return ok }
func truth(v any) bool  { _, ok := v.(bool); return ok }
func words(v any) bool  { s, ok := v.(string); return ok && s != "" }
func whole(v any) bool  { n, ok := v.(float64); return ok && n >= 0 && n == float64(int64(n)) }

func topicOrNone(v any) bool { s, ok := v.(string); return ok && !strings.ContainsAny(s, "+#\x00") }

// faults says what of an object is not in the schema, or lacks.
func (m members) faults(where string, v any) (out []string) {
	o, _ := v.(map[string]any)
	for name, value := range o {
		may := m[name]
		if may == nil {
			may = m[name+"!"]
		}
		if may == nil || !may(value) {
			out = append(out, fmt.Sprintf("%s has %s: %v", where, name, value))
		}
	}
	for name := range m {
		if required, ok := strings.CutSuffix(name, "!"); ok && o[required] == nil {
			out = append(out, where+" lacks "+required)
		}
	}
	return out
}

// publishedFaults says why Home Assistant refuses a message, or passes over a part of it.
func publishedFaults(payload []byte) []string {
	var message map[string]any
	if err := json.Unmarshal(payload, &message); err != nil {
		return []string{err.Error()}
	}
	out := slices.Concat(publishedMessage.faults("the message", message),
		publishedDevice.faults("dev", message["dev"]), publishedOrigin.faults("o", message["o"]))
	parts, _ := message["cmps"].(map[string]any)
	for key, v := range parts {
		part, _ := v.(map[string]any)
		platform, known := publishedPlatforms[fmt.Sprint(part["p"])]
		switch {
		case !known:
			out = append(out, key+" has no platform")
		case len(part) > 1: // the platform alone takes it away
			out = append(out, platform.faults(key, part)...)
			if part["stat_t"] == nil && message["stat_t"] == nil {
				out = append(out, key+" has no topic")
			}
		}
	}
	return out
}

// What Home Assistant would refuse, or pass over, is found.
func TestPublishedSchema(t *testing.T) {
	const good = `{"dev":{"ids":"x","name":"x"},"o":{"name":"lorawand"},"stat_t":"v3/a/devices/x/up",` +
		`"cmps":{"rssi":{"p":"sensor","uniq_id":"x_rssi","val_tpl":"{{ 1 }}","exp_aft":60},"gone":{"p":"sensor"}}}`
	if faults := publishedFaults([]byte(good)); len(faults) > 0 {
		t.Fatalf("%q", faults)
	}
	for _, tt := range []struct{ old, with, want string }{
		{`"stat_t"`, `"state_t"`, "the message has state_t: v3/a/devices/x/up"},
		{`"stat_t":"v3/a/devices/x/up",`, ``, "rssi has no topic"},
		{`/x/up`, `/+/up`, "the message has stat_t: v3/a/devices/+/up"},
		{`"o":`, `"origins":`, "the message lacks o"},
		{`"o":{"name":"lorawand"}`, `"o":{"sw":"1"}`, "o lacks name"},
		{`"ids":"x",`, ``, "dev lacks ids"},
		{`"ids":"x"`, `"ids":7`, "dev has ids: 7"},
		{`"name":"x"`, `"serial":"x"`, "dev has serial: x"},
		{`"uniq_id":"x_rssi",`, ``, "rssi lacks uniq_id"},
		{`"exp_aft":60`, `"exp_aft":"60"`, "rssi has exp_aft: 60"},
		{`"exp_aft":60`, `"exp_aft":-1`, "rssi has exp_aft: -1"},
		{`"val_tpl"`, `"value_tpl"`, "rssi has value_tpl: {{ 1 }}"},
		{`"gone":{"p":"sensor"}`, `"gone":{}`, "gone has no platform"},
		{
			`"gone":{"p":"sensor"}`, `"gone":{"p":"binary_sensor","uniq_id":"x_gone","stat_cla":"measurement"}`,
			"gone has stat_cla: measurement",
		},
	} {
		bad := strings.Replace(good, tt.old, tt.with, 1)
		if faults := publishedFaults([]byte(bad)); bad == good || !slices.Contains(faults, tt.want) {
			t.Errorf("%s: %q, want %q", bad, faults, tt.want)
		}
	}
}
