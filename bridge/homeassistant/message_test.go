//go:build !small

package homeassistant

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
)

var dev1 = Device{ID: session.ID{Application: "app1", Device: "dev-1"}, DevEUI: "70B3D57ED0000001"}

func upOf(members string) []byte {
	return []byte(`{"end_device_ids":{"device_id":"dev-1"},"received_at":"2027-01-31T10:00:00.123456789Z",` +
		`"uplink_message":{"f_port":1,` + members + `"rx_metadata":[{"rssi":-80,"snr":9.5}]}}`)
}

// allowed are the units that Home Assistant accepts with a device class of a sensor; ""
// is none. Source: home-assistant/core, components/sensor/const.py, DEVICE_CLASS_UNITS.
var allowed = map[string][]string{
	"temperature": {"°C", "°F", "K"}, "humidity": {"%"}, "moisture": {"%"}, "battery": {"%"},
	"voltage":              {"V", "mV", "µV", "kV", "MV"},
	"atmospheric_pressure": {"mbar", "cbar", "bar", "Pa", "hPa", "kPa", "inHg", "psi", "mmHg"},
	"carbon_dioxide":       {"ppm"}, "carbon_monoxide": {"ppm"}, "illuminance": {"lx"}, "pm1": {"µg/m³"},
	"pm25": {"µg/m³"}, "pm10": {"µg/m³"}, "wind_speed": {"m/s", "km/h", "ft/s", "mph", "kn", "Beaufort"},
	"conductivity": {"S/cm", "mS/cm", "µS/cm"}, "ph": {""}, "distance": {"mm", "cm", "m", "km"},
	"precipitation": {"cm", "mm", "in"}, "precipitation_intensity": {"in/d", "in/h", "mm/d", "mm/h"},
	"energy": {"J", "kJ", "Wh", "kWh", "MWh"}, "power": {"W", "kW"},
	"current": {"A", "mA"}, "water": {"m³", "L"}, "signal_strength": {"dB", "dBm"}, "timestamp": {""},
}

// binary are device classes of binary sensors. Source: home-assistant/core,
// components/binary_sensor/__init__.py.
var binary = []string{
	"", "battery", "door", "motion", "moisture", "occupancy", "opening", "smoke", "tamper", "vibration", "window",
}

// The device classes that may have the state class total_increasing only, and those that may have it. Source:
// home-assistant/core, components/sensor/const.py, DEVICE_CLASS_STATE_CLASSES.
var (
	totals = []string{"energy", "water"}
	either = []string{"", "distance", "precipitation"}
)

// read reads a message as strictly as Home Assistant: with the members that the schema of
// a device has, and no others.
func read(t *testing.T, topic string, payload []byte) (c config) {
	t.Helper()
	for _, fault := range publishedFaults(payload) {
		t.Errorf("%s: %s", fault, payload)
	}
	dec := json.NewDecoder(strings.NewReader(string(payload)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("%v: %s", err, payload)
	}
	if !regexp.MustCompile(`^homeassistant/device/[a-zA-Z0-9_-]+/config$`).MatchString(topic) {
		t.Errorf("topic %s", topic)
	}
	if c.Device.IDs == "" || c.Device.Name == "" || c.Origin.Name == "" || strings.ContainsAny(c.StateTopic, "+#") {
		t.Errorf("%s", payload)
	}
	ids := map[string]bool{}
	for key, part := range c.Components {
		if (part.Platform == "sensor" || part.Platform == "binary_sensor") && part == (component{Platform: part.Platform}) {
			continue // it is taken away
		}
		if key == "" || part.ID == "" || ids[part.ID] || part.Template == "" || part.Expire <= 0 || part.Name == "" {
			t.Errorf("%s: %+v", key, part)
		}
		ids[part.ID] = true
		if fault := faultOf(part); fault != "" {
			t.Errorf("%s: %s: %+v", key, fault, part)
		}
	}
	return c
}

// faultOf returns why Home Assistant refuses a component.
func faultOf(c component) string {
	if c.Category != "" && c.Category != "diagnostic" && c.Category != "config" {
		return "category"
	}
	switch c.Platform {
	case "binary_sensor":
		if !slices.Contains(binary, c.Class) || c.Unit != "" || c.State != "" {
			return "binary sensor"
		}
	case "sensor":
		if c.Category == "config" { // of what can be set only: helpers/entity.py, components/sensor/__init__.py
			return "category of a sensor"
		}
		units, known := allowed[c.Class]
		if c.Class != "" && (!known || !slices.Contains(units, c.Unit)) {
			return "unit of the class"
		}
		total, must := c.State == "total_increasing", slices.Contains(totals, c.Class)
		if !slices.Contains([]string{"", "measurement", "total_increasing"}, c.State) || must && !total ||
			total && !must && !slices.Contains(either, c.Class) {
			return "state class"
		}
		if c.Class == "timestamp" && c.State != "" {
			return "a time that is measured"
		}
	default:
		return "platform"
	}
	return ""
}

// Every class that a value may get is one that Home Assistant takes.
func TestClasses(t *testing.T) {
	all := slices.Concat(slices.Collect(maps.Values(normalizedClasses)), slices.Collect(maps.Values(numberClasses)))
	for _, guess := range guesses {
		for _, n := range []float64{-1, 0, 3.6, 20, 85, 101, 500, 1013, 3600, 101_325} {
			all = append(all, guess(n))
		}
	}
	for _, c := range all {
		v := value{path: []string{"x"}, kind: number, class: c}
		if fault := faultOf(v.component()); fault != "" {
			t.Errorf("%+v: %s", c, fault)
		}
	}
	for name, c := range booleanClasses {
		v := value{path: []string{"x"}, kind: boolean, class: c}
		if fault := faultOf(v.component()); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
	for _, c := range []component{
		{Platform: "sensor", Class: "temperature", Unit: "%"},
		{Platform: "sensor", Class: "temperature", Unit: "°C", State: "total_increasing"},
		{Platform: "sensor", Class: "water", Unit: "L", State: "measurement"},
	} {
		if faultOf(c) == "" {
			t.Errorf("the check cannot fail: %+v", c)
		}
	}
}

// normalizedMembers are all members of the schema of normalized_payload with a value, and what they are in Home
// Assistant: device class, unit, state class. A count is no total: nobody says that it only grows.
var normalizedMembers = []struct{ member, want string }{
	{`"battery":3.6`, "voltage/V/measurement"},
	{`"battery":95`, "battery/%/measurement"},
	{`"soil":{"depth":10}`, "distance/cm/measurement"},
	{`"soil":{"moisture":10}`, "moisture/%/measurement"},
	{`"soil":{"temperature":10}`, "temperature/°C/measurement"},
	{`"soil":{"ec":1}`, "conductivity/mS/cm/measurement"},
	{`"soil":{"pH":7}`, "ph//measurement"},
	{`"soil":{"n":7}`, "/ppm/measurement"},
	{`"soil":{"p":7}`, "/ppm/measurement"},
	{`"soil":{"k":7}`, "/ppm/measurement"},
	{`"air":{"location":"indoor"}`, "//"},
	{`"air":{"temperature":20}`, "temperature/°C/measurement"},
	{`"air":{"relativeHumidity":40}`, "humidity/%/measurement"},
	{`"air":{"pressure":1013}`, "atmospheric_pressure/hPa/measurement"},
	{`"air":{"co2":500}`, "carbon_dioxide/ppm/measurement"},
	{`"air":{"lightIntensity":500}`, "illuminance/lx/measurement"},
	{`"wind":{"speed":5}`, "wind_speed/m/s/measurement"},
	{`"wind":{"direction":5}`, "/°/measurement"},
	{`"rain":{"intensity":5}`, "precipitation_intensity/mm/h/measurement"},
	{`"rain":{"cumulative":5}`, "precipitation/mm/total_increasing"},
	{`"water":{"leak":true}`, "moisture//"},
	{`"water":{"temperature":{"min":5}}`, "temperature/°C/measurement"},
	{`"water":{"temperature":{"max":5}}`, "temperature/°C/measurement"},
	{`"water":{"temperature":{"avg":5}}`, "temperature/°C/measurement"},
	{`"water":{"temperature":{"current":5}}`, "temperature/°C/measurement"},
	{`"metering":{"water":{"total":5}}`, "water/L/total_increasing"},
	{`"action":{"motion":{"detected":true}}`, "motion//"},
	{`"action":{"motion":{"count":5}}`, "//measurement"},
	{`"action":{"contactState":"open"}`, "//"},
	{`"position":{"latitude":5}`, "/°/measurement"},
	{`"position":{"longitude":5}`, "/°/measurement"},
}

func TestNormalizedMembers(t *testing.T) {
	for _, tt := range normalizedMembers {
		values := valuesOf(upOf(`"normalized_payload":[{` + tt.member + `}],`))
		if len(values) != 1 {
			t.Errorf("%s: %+v", tt.member, values)
			continue
		}
		c := values[0].component()
		if got := c.Class + "/" + c.Unit + "/" + c.State; got != tt.want || faultOf(c) != "" {
			t.Errorf("%s is %s, not %s; %s", tt.member, got, tt.want, faultOf(c))
		}
	}
}

// named are members of an uplink_message, and what their values are called.
var named = []struct {
	members string
	want    string // key: class unit, by the key; the diagnostics are left out
}{
	{
		`"decoded_payload":{"temperature":21.5,"humidity":40,"co2":600},`,
		"co2: carbon_dioxide ppm, humidity: humidity %, temperature: temperature °C",
	},
	{
		`"decoded_payload":{"TempC_SHT":"21.50","Hum_SHT":45.1,"BatV":3.05},`,
		"BatV: voltage V, Hum_SHT: humidity %, TempC_SHT: temperature °C",
	},
	{
		`"decoded_payload":{"temperature_1":1,"relative_humidity_2":2,"barometric_pressure_3":1013.2,"analog_in_4":5},`,
		"analog_in_4:  , barometric_pressure_3: atmospheric_pressure hPa, relative_humidity_2: humidity %, " +
			"temperature_1: temperature °C",
	},
	{`"decoded_payload":{"battery":3.6},`, "battery: voltage V"},
	{`"decoded_payload":{"battery":97},`, "battery: battery %"},
	{`"normalized_payload":[{"battery":3}],`, "normalized_0_battery: voltage V"},
	{`"decoded_payload":{"battery_mv":3600,"voltage":3600},`, "battery_mv: voltage mV, voltage: voltage mV"},
	{`"decoded_payload":{"pressure":4.2},`, "pressure:  "},
	{`"decoded_payload":{"pressure":101.3},`, "pressure: atmospheric_pressure kPa"},
	{
		`"decoded_payload":{"soil_moisture":12,"water_temperature":4},`,
		"soil_moisture: moisture %, water_temperature: temperature °C",
	},
	{`"decoded_payload":{"pm1_0":1,"pm2_5":2,"pm10":3},`, "pm10: pm10 µg/m³, pm1_0: pm1 µg/m³, pm2_5: pm25 µg/m³"},
	{`"decoded_payload":{"temp_status":3,"counter":9},`, "counter:  , temp_status:  "},
	{
		`"decoded_payload":{"temperature":{"value":20,"unit":"C"}},`,
		"temperature_unit_4589bdad:  , temperature_value_b9636484: temperature °C",
	},
	{`"decoded_payload":{"door":true,"leak":false,"alarm":true},`, "alarm:  , door: door , leak: moisture "},
	{`"decoded_payload":{"rssi":-70,"snr":"NaN","überschrift":"x"},`, "_berschrift_2c670438:  , rssi_b1ed40ae:  , snr_ca33d942:  "},
	{
		`"decoded_payload":{"temperature":"Infinity","humidity":"0x1p3","pressure":"1e3"},`,
		"humidity:  , pressure:  , temperature:  ",
	},
	{`"decoded_payload":{"a":null,"list":[1,2],"":3},`, ""},
	{
		`"normalized_payload":[{"air":{"temperature":20},"time":"2027-01-31T10:00:00Z"},{"soil":{"pH":7}}],`,
		"normalized_0_air_temperature: temperature °C, normalized_1_soil_pH: ph ",
	},
	{
		`"decoded_payload":{"temp":20},"normalized_payload":[{"air":{"temperature":20,"co2":500}}],`,
		"normalized_0_air_co2: carbon_dioxide ppm, temp: temperature °C",
	},
	{
		`"normalized_payload":[{"action":{"motion":{"detected":true,"count":2},"contactState":"open"},"battery":50},` +
			`{"battery":3.6,"water":{"leak":true,"temperature":{"avg":9}}}],`,
		"normalized_0_action_contactState:  , normalized_0_action_motion_count:  , " +
			"normalized_0_action_motion_detected: motion , normalized_0_battery: battery %, " +
			"normalized_1_battery: voltage V, normalized_1_water_leak: moisture , " +
			"normalized_1_water_temperature_avg: temperature °C",
	},
	{
		`"decoded_payload":{"motion":true,"battery":3.6},"normalized_payload":[{"action":{"motion":{"detected":true}},` +
			`"battery":3.6}],`,
		"battery: voltage V, motion: motion ",
	},
	{
		`"decoded_payload":{"windDirection":90,"gps_latitude":5},"normalized_payload":[{"wind":{"direction":90},` +
			`"position":{"latitude":5,"longitude":7}}],`,
		"gps_latitude:  , normalized_0_position_latitude:  °, normalized_0_position_longitude:  °, windDirection:  °",
	},
	{
		`"decoded_payload":{"latitude":5},"normalized_payload":[{"wind":{"direction":90},"position":{"latitude":5}}],`,
		"latitude:  °, normalized_0_wind_direction:  °",
	},
	{
		`"decoded_payload":{"temperature":9},"normalized_payload":[{"water":{"temperature":` +
			`{"min":9,"max":9,"avg":9,"current":9}}}],`,
		"normalized_0_water_temperature_avg: temperature °C, normalized_0_water_temperature_max: temperature °C, " +
			"normalized_0_water_temperature_min: temperature °C, temperature: temperature °C",
	},
	{
		`"decoded_payload":{"tempMin":3,"temp_max":"8.02"},"normalized_payload":[{"water":{"temperature":` +
			`{"min":3,"max":8}}}],`,
		"tempMin: temperature °C, temp_max: temperature °C",
	},
	{
		`"decoded_payload":{"TempC_DS":9.53},"normalized_payload":[{"air":{"temperature":20},` +
			`"soil":{"temperature":9.5}}],`,
		"TempC_DS: temperature °C, normalized_0_air_temperature: temperature °C",
	},
	{
		`"decoded_payload":{"temp1":9,"temp2":10},"normalized_payload":[{"soil":{"depth":5,"temperature":10}},` +
			`{"soil":{"temperature":9}},{"soil":{"temperature":10}}],`,
		"normalized_0_soil_depth: distance cm, normalized_2_soil_temperature: temperature °C, temp1: temperature °C, " +
			"temp2: temperature °C",
	},
	{
		`"decoded_payload":{"temp1":9,"temp2":9},"normalized_payload":[{"soil":{"temperature":9}},` +
			`{"soil":{"temperature":9}}],`,
		"temp1: temperature °C, temp2: temperature °C",
	},
	{
		`"decoded_payload":{"motion":false},"normalized_payload":[{"action":{"motion":{"detected":true}}}],`,
		"motion: motion , normalized_0_action_motion_detected: motion ",
	},
	{``, ""},
}

// What makers call their values, and what Home Assistant is told of them.
func TestNames(t *testing.T) {
	for _, tt := range named {
		m := messageOf(&dev1, valuesOf(upOf(tt.members)), time.Hour, "1.2.3")
		c := read(t, m.Suffix, m.Payload)
		var got []string
		for _, key := range slices.Sorted(maps.Keys(c.Components)) {
			if _, own := diagnostics[key]; !own {
				got = append(got, fmt.Sprintf("%s: %s %s", key, c.Components[key].Class, c.Components[key].Unit))
			}
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.members, strings.Join(got, ", "), tt.want)
		}
	}
}

// Names in payloads come from devices: they stay texts in templates, whatever they are.
func TestTemplates(t *testing.T) {
	hostile := []string{
		"'", `\`, "{{ 1 }}", "{% set x = 1 %}", "#}", "a\nb", "\x00", "äöü", "𝄞", `') }}{{ states('x`, "items", "a b",
		strings.Repeat("x", maxName+1), " ",
	}
	decoded := map[string]any{}
	for i, name := range hostile {
		decoded[name] = i
	}
	members, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	values := valuesOf(upOf(`"decoded_payload":` + string(members) + ","))
	if len(values) != len(hostile)-1 {
		t.Errorf("%d values", len(values))
	}
	m := messageOf(&dev1, values, time.Hour, "1.2.3")
	c := read(t, m.Suffix, m.Payload)
	plain := regexp.MustCompile(`^\{% set v = \(value_json\.uplink_message\.get\('decoded_payload'\) ` +
		`\| default\(\{\}, true\)\)` +
		`\.get\('([a-zA-Z0-9_. -]|\\u[0-9a-f]{4}|\\U[0-9a-f]{8})*'\) %\}\{\{ '' if v is none else v \}\}$`)
	for key, part := range c.Components {
		if _, own := diagnostics[key]; !own && !plain.MatchString(part.Template) {
			t.Errorf("%q", part.Template)
		}
	}
	if len(c.Components) != len(values)+len(diagnostics) {
		t.Errorf("%d components of %d values", len(c.Components), len(values))
	}
}

// The templates, as Home Assistant gets them.
func TestTemplateForms(t *testing.T) {
	for _, tt := range []struct {
		v    value
		want string
	}{
		{
			value{path: []string{"a"}},
			"{% set v = (value_json.uplink_message.get('decoded_payload') | default({}, true)).get('a') %}" +
				"{{ '' if v is none else v }}",
		},
		{
			value{path: []string{"a", "b c"}, kind: boolean},
			"{% set v = ((value_json.uplink_message.get('decoded_payload') | default({}, true)).get('a') | default({}, true))" +
				".get('b c') %}{{ '' if v is none else 'ON' if v else 'OFF' }}",
		},
		{
			value{normalized: true, index: 1, path: []string{"air", "co2"}, kind: text},
			"{% set v = ((value_json.uplink_message.get('normalized_payload', [])[1] | default({}, true)).get('air') | " +
				"default({}, true)).get('co2') %}{{ this.state if v is none else (v | string)[:255] }}",
		},
	} {
		if got := tt.v.component().Template; got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

// A message is bounded, whatever a payload holds.
func TestMessageBounds(t *testing.T) {
	decoded := map[string]any{}
	for i := range 1000 {
		decoded[fmt.Sprintf("%s%d", strings.Repeat("\x01", maxName-4), i)] = map[string]any{"b": map[string]any{"c": i}}
	}
	deep := any(1)
	for range 9 {
		deep = map[string]any{"a": deep}
	}
	decoded["deep"] = deep
	members, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	values := valuesOf(upOf(`"decoded_payload":` + string(members) + ","))
	m := messageOf(&dev1, values, time.Hour, "1.2.3")
	if len(values) != maxValues || len(m.Payload) > 64<<10 {
		t.Errorf("%d values, %d bytes", len(values), len(m.Payload))
	}
	read(t, m.Suffix, m.Payload)
	if got := valuesOf([]byte(`{"uplink_message":[1]}`)); got != nil {
		t.Errorf("%v", got)
	}
}
