package v3

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio/fuzztest"
)

// A message that is simulated from a recorded one is that again.
func TestSimulationsAsTheThingsStack(t *testing.T) {
	kinds := map[string]bool{}
	for _, g := range readGolden(t, "tts-simulated.jsonl") {
		m := parseGolden(t, &g)
		kinds[g.suffix()] = true
		s, err := ParseSimulation(g.Payload)
		if err != nil || s.Suffix != g.suffix() {
			t.Fatalf("%s: %v", g.Topic, err)
		}
		ids := m.deviceIDs()
		var v struct {
			Up goldenDecoded `json:"uplink_message"`
		}
		if err := json.Unmarshal(g.Payload, &v); err != nil {
			t.Fatal(err)
		}
		locations := map[string]session.Location{}
		for name, l := range v.Up.Locations {
			locations[name] = session.Location(l)
		}
		e := &Encoder{}
		got, p := e.AppendSimulation(nil, s, &ids, m.CorrelationIDs, m.ReceivedAt, locations)
		if v.Up.Payload != nil {
			if s.FPort != m.Uplink.FPort || string(s.FRMPayload) != string(m.Uplink.FRMPayload) {
				t.Errorf("port %d, payload % X", s.FPort, s.FRMPayload)
			}
			got = e.AppendDecoded(nil, got, p, &Decoded{Payload: v.Up.Payload})
		}
		compare(t, &g, got)
	}
	if len(kinds) != 8 {
		t.Errorf("recorded are only %v", kinds)
	}
}

func TestParseSimulation(t *testing.T) {
	const rest = `"settings":{"data_rate":{"lora":{"spreading_factor":"7"}},"frequency":868100000},"rx_metadata":[{"rssi":-1}]`
	for _, tt := range []struct{ name, body, want string }{
		{"nothing", ``, "not an object"},
		{"a list", `[]`, "not an object"},
		{"empty", `{}`, "invalid `up`: value is required"},
		{"null", `{"uplink_message":null}`, "invalid `up`: value is required"},
		{"a join", `{"join_accept":{}}`, "invalid `up`: value is required"},
		{"no settings", `{"uplink_message":{"rx_metadata":[{"rssi":-1}]}}`, "invalid `uplink_message.settings`"},
		{"no rx_metadata", `{"uplink_message":{"settings":{"timestamp":1}}}`, "invalid `uplink_message.rx_metadata`"},
		{"a bad number", `{"uplink_message":{"f_cnt":"x",` + rest + `}}`, "f_cnt: not an integer"},
		{"a bad time", `{"uplink_message":{"received_at":"x",` + rest + `}}`, "received_at: not a time"},
		{"a bad duration", `{"uplink_message":{"consumed_airtime":"5",` + rest + `}}`, "consumed_airtime: not a duration"},
		{"a bad EUI", `{"uplink_message":{"network_ids":{"net_id":"x"},` + rest + `}}`, "net_id: not hexadecimal"},
		{"infinite", `{"location_solved":{"location":{"latitude":1e400}}}`, "latitude: not a number"},
		{"a frequency too high", `{"uplink_message":{"settings":{"frequency":"1e30"}}}`, "frequency: not an integer of 64 bits"},
		{"a list that is none", `{"downlink_ack":{"correlation_ids":{}}}`, "correlation_ids: not a list"},
		{"too large", `{"x":"` + strings.Repeat("x", MaxPushSize) + `"}`, "at most 65536"},
		{"cut off", `{"service_data":{"data":{"a":[1`, "not JSON"},
		{"deep", `{"service_data":{"data":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40) + `}}`, "nested too deep"},
		{
			"good", `{"uplinkMessage":{` + rest + `,"fPort":3,"x":{},"locations":{"user":{}}}}`,
			`{"f_port":3,"rx_metadata":[{"rssi":-1}],"settings":{"data_rate":{"lora":{"spreading_factor":7}},"frequency":"868100000"}},"simulated":true}`,
		},
		{"without a port", `{"uplink_message":{` + rest + `}}`, `"uplink_message":{"rx_metadata":[{"rssi":-1}],`},
		{"an empty one", `{"downlink_ack":{}}`, `"downlink_ack":{},"simulated":true}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSimulation([]byte(tt.body))
			var got string
			if err != nil {
				if got = err.Error(); !errors.As(err, new(*Error)) {
					t.Errorf("%T", err)
				}
			} else {
				text, _ := (&Encoder{}).AppendSimulation(nil, s, &DeviceIDs{}, nil, at(t, "2026-01-02T03:04:05Z"), nil)
				if got = string(text); !json.Valid(text) {
					t.Errorf("no JSON: %s", text)
				}
			}
			if !strings.Contains(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzParseSimulation(f *testing.F) {
	for _, g := range readGolden(f, "tts-simulated.jsonl") {
		f.Add([]byte(g.Payload))
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, body []byte) {
		s, err := ParseSimulation(body)
		if err != nil {
			return
		}
		text, p := (&Encoder{}).AppendSimulation(nil, s, &DeviceIDs{}, nil, at(t, "2026-01-02T03:04:05Z"), map[string]session.Location{"user": {Latitude: 1}})
		if !json.Valid(text) {
			t.Fatalf("%s makes %s", body, text)
		}
		if s.FPort > 0 && s.Suffix == Up {
			d := &Decoded{Payload: []byte("{}"), Locations: map[string]session.Location{}}
			if out := (&Encoder{}).AppendDecoded(nil, text, p, d); !json.Valid(out) {
				t.Fatalf("%s makes %s", body, out)
			}
		}
	}))
}
