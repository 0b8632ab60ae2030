package record

import (
	"encoding/json"
	"testing"

	"lorawand/bridge/v3"
	"lorawand/radio/fuzztest"
)

func TestFrame(t *testing.T) {
	const ids = `{"end_device_ids":{"device_id":"d","dev_addr":"00BB0001"},"correlation_ids":["a"],`
	for _, tt := range []struct{ name, suffix, payload, want string }{
		{"joined", v3.Up, ids + `"uplink_message":{"session_key_id":"AYfg8g==","f_port":1,"f_cnt":7,"frm_payload":"AQ=="}}`, "AYfg8g==:7"},
		{"ABP", v3.Up, ids + `"uplink_message":{"f_port":1,"f_cnt":7,"frm_payload":"AQ=="}}`, "00BB0001:7"},
		{"the first", v3.Up, ids + `"uplink_message":{"session_key_id":"AYfg8g==","f_port":1,"frm_payload":"AQ=="}}`, "AYfg8g==:0"},
		{"zeros", v3.Up, ids + `"uplink_message":{"session_key_id":"AYfg8g==","f_port":1,"f_cnt":0,"frm_payload":"AQ=="}}`, "AYfg8g==:0"},
		{"empty", v3.Up, ids + `"uplink_message":{"session_key_id":"AYfg8g==","f_cnt":9,"rx_metadata":[]}}`, "AYfg8g==:9"},
		{
			"fields of the payload", v3.Up,
			ids + `"uplink_message":{"f_port":1,"frm_payload":"AQ==","decoded_payload":{"session_key_id":"x","f_cnt":3}}}`,
			"00BB0001:0",
		},
		{
			"normalized", v3.Normalized,
			ids + `"uplink_normalized":{"session_key_id":"AYfg8g==","f_port":1,"f_cnt":8,"frm_payload":"AQ==","normalized_payload":{}}}`,
			"AYfg8g==:8",
		},
		{"simulated", v3.Up, `{"end_device_ids":{"device_id":"d"},"uplink_message":{"f_port":1},"simulated":true}`, ""},
		{"no uplink", v3.DownSent, ids + `"downlink_sent":{"session_key_id":"AYfg8g==","f_cnt":7}}`, ""},
		{"not JSON", v3.Up, `x`, ""},
	} {
		m := v3.Message{Suffix: tt.suffix, Payload: []byte(tt.payload)}
		if got := Frame(&m); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMarked(t *testing.T) {
	for _, tt := range []struct{ payload, want string }{
		{`{"correlation_ids":["a"],"x":1}`, `{"correlation_ids":["i","j","a"],"x":1}`},
		{`{"correlation_ids":[],"x":1}`, `{"correlation_ids":["i","j"],"x":1}`},
		{`{"x":1}`, `{"x":1}`},
	} {
		if got := string(Marked([]byte(tt.payload), []string{"i", "j"})); got != tt.want || !json.Valid([]byte(got)) {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
	if got := string(Marked([]byte(`{"correlation_ids":["a"]}`), nil)); got != `{"correlation_ids":["a"]}` {
		t.Error(got)
	}
}

// What is in the journal is a message again, or is refused.
func FuzzRecord(f *testing.F) {
	f.Add("app1", "dev1", "up", []byte(`{}`), []byte{})
	f.Add("", "", "", []byte{}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2})
	f.Fuzz(fuzztest.Quick(func(t *testing.T, application, device, suffix string, payload, rubbish []byte) {
		m := v3.Message{Application: application, Device: device, Suffix: suffix, Payload: payload}
		got, err := Parse(Append(nil, &m))
		if err != nil || got.Application != application || got.Device != device || got.Suffix != suffix ||
			string(got.Payload) != string(payload) {
			t.Errorf("%+v, %v", got, err)
		}
		_, _ = Parse(rubbish)
	}))
}
