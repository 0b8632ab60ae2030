package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// The last activity of a device is shown for people and as JSON. It is not known of a
// device that did nothing, and if no daemon runs.
func TestDeviceActivity(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	contains(t, "the list without a daemon", s.must("", "device", "list"), "LAST_SEEN", "never")
	r := s.start()
	contains(t, "the list before the first uplink", s.must("", "device", "list"), "never")
	up := r.watch("app1", key, "v3/+/devices/+/up")
	f := r.forwarder(testEUI)
	for i, payload := range []string{"first", "second"} {
		f.send(uint32(2*i), payload)
		next(t, up)
	}
	contains(t, "the list", s.must("", "device", "list"), "-35/5.0")
	contains(t, "the device", s.must("", "device", "get", "dev1", "--application", "app1"),
		"last seen:", " ago, f_cnt 2, port 15, SF7BW125, 868.5 MHz, on air 0.0", "payload:     7365636F6E64 \"second\"\n",
		"heard by:    eui-", "RSSI -35 dBm, SNR 5.0 dB\n", "lost:        33 % of the last frames\n")
	contains(t, "the history", s.must("", "device", "get", "dev1", "--application", "app1", "--history"),
		"  uplink  f_cnt 0  port 15  6669727374  \n", "  uplink  f_cnt 2  port 15  7365636F6E64  \n")
	for _, args := range [][]string{
		{"device", "list", "--json"}, {"device", "get", "dev1", "--application", "app1", "--json"},
	} {
		var d struct {
			IDs struct {
				Device string `json:"device_id"`
			} `json:"ids"`
			Activity struct {
				Uplinks int `json:"uplinks"`
				Last    struct {
					Payload []byte  `json:"frm_payload"`
					Loss    float64 `json:"packet_error_rate"`
				} `json:"last_uplink"`
			} `json:"activity"`
		}
		out := s.must("", args...)
		if err := json.Unmarshal([]byte(out), &d); err != nil || d.IDs.Device != "dev1" || d.Activity.Uplinks != 2 ||
			d.Activity.Last.Loss < 0.3 ||
			string(d.Activity.Last.Payload) != "second" {
			t.Errorf("%s: %s, %v", args, out, err)
		}
	}
	s.must("", "device", "delete", "dev1", "--application", "app1")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	contains(t, "a device of the same name", s.must("", "device", "list"), "never")
}
