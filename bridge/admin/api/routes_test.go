//go:build !small

package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"lorawand/radio/region"
)

// Which route a request takes, and what stands in its path.
func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		want         string            // the path of the route; "": none
		params       map[string]string // that stand in it
		known        bool              // the path has a route, maybe with another method
	}{
		{"GET", "/auth_info", "/auth_info", nil, true},
		{"POST", "/auth_info", "", nil, true},
		{"GET", "/auth_info/", "", nil, false},
		{"GET", "/applications/app1", "/applications/{a}", map[string]string{"a": "app1"}, true},
		{"GET", "/applications//devices", "", nil, false},
		{"GET", "/applications/app1/devices/", "", nil, false},
		{
			"DELETE", "/as/applications/app1/devices/dev1", "/as/applications/{a}/devices/{d}",
			map[string]string{"a": "app1", "d": "dev1"}, true,
		},
		{"PATCH", "/as/applications/app1/devices/dev1", "", nil, true},
		{
			"POST", "/as/applications/a/webhooks/w/devices/d/down/push",
			"/as/applications/{a}/webhooks/{w}/devices/{d}/down/push", map[string]string{"a": "a", "w": "w", "d": "d"}, true,
		},
		{"GET", "/gs/gateways/{g}/connection/stats", "/gs/gateways/{g}/connection/stats", map[string]string{"g": "{g}"}, true},
		{"GET", "/nothing", "", nil, false},
		{"GET", "", "", nil, false},
	} {
		r, params, known := find(tt.method, prefix+tt.path)
		got := ""
		if r != nil {
			got = r.path
		}
		if got != tt.want || known != tt.known || r != nil && !maps.Equal(params, tt.params) {
			t.Errorf("%s %s: %q with %v, known %v", tt.method, tt.path, got, params, known)
		}
	}
	if r, _, known := find("GET", "/auth_info"); r != nil || known {
		t.Error("a path without the prefix has a route")
	}
}

// Every frequency plan has a base frequency, and comes with that only.
func TestPlansOfBaseFrequencies(t *testing.T) {
	s := newStand(t)
	of := func(query string) []string {
		var answer struct {
			Plans []struct {
				ID   string `json:"id"`
				Base int    `json:"base_frequency"`
			} `json:"frequency_plans"`
		}
		_, text := s.get("", "GET", "/configuration/frequency-plans"+query, "")
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%s: %s", query, text)
		}
		var ids []string
		for _, p := range answer.Plans {
			if p.Base == 0 || query != "" && query != "?base_frequency=0" && query != fmt.Sprintf("?base_frequency=%d", p.Base) {
				t.Errorf("%s: %s of %d MHz", query, p.ID, p.Base)
			}
			ids = append(ids, p.ID)
		}
		return ids
	}
	n := 0
	for _, base := range []int{433, 470, 779, 868, 915, 2450} {
		n += len(of(fmt.Sprintf("?base_frequency=%d", base)))
	}
	if all := len(region.IDs()); n != all || len(of("")) != all || len(of("?base_frequency=0")) != all {
		t.Errorf("%d plans of base frequencies, %d of all, want %d", n, len(of("")), all)
	}
	if none := of("?base_frequency=17"); len(none) > 0 {
		t.Errorf("of 17 MHz: %v", none)
	}
}

// A message that a client makes up is published as one of the device, or it is said why not.
func TestSimulated(t *testing.T) {
	s := newStand(t)
	const stored = "/as/applications/app1/packages/storage/uplink_message"
	message := func(port string) string {
		return `{"uplink_message":{"f_port":` + port + `,"frm_payload":"AWcBEA==","rx_metadata":[{"gateway_ids":{` +
			`"gateway_id":"made-up"}}],"settings":{"data_rate":{"lora":{"spreading_factor":7}},"frequency":"868100000"}}}`
	}
	for _, tt := range []struct {
		name, key, device, body string
		status                  int
		stored                  int
	}{
		{"one", "app", "dev1", message("1"), 200, 1},
		{"another", "app", "dev1", message("2"), 200, 2},
		{"not JSON", "app", "dev1", "x", 400, 2},
		{"nothing", "app", "dev1", "", 400, 2},
		{"a list", "app", "dev1", "[" + message("1") + "]", 400, 2},
		{"no such device", "app", "dev2", message("1"), 404, 2},
		{"a key that reads", "read-only", "dev1", message("1"), 403, 2},
		{"a key of another application", "foreign", "dev1", message("1"), 403, 2},
		{"no key", "", "dev1", message("1"), 403, 2},
	} {
		s.wants(tt.key, "POST", "/as/applications/app1/devices/"+tt.device+"/up/simulate", tt.body, tt.status)
		if _, text := s.get("app", "GET", stored, ""); strings.Count(text, "\n") != tt.stored {
			t.Errorf("%s: %d stored, want %d: %s", tt.name, strings.Count(text, "\n"), tt.stored, text)
		}
	}
}

// A device goes once, with its queue, by whoever may remove it.
func TestDeleted(t *testing.T) {
	s := newStand(t)
	const device = "/applications/app1/devices/dev1"
	s.wants("app", "POST", "/as"+device+"/down/push", `{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`, 200)
	for _, key := range []string{"", "read-only", "foreign"} {
		s.wants(key, "DELETE", device, "", 403)
	}
	s.wants("app", "DELETE", "/applications/app1/devices/dev2", "", 404)
	s.wants("app", "GET", "/as"+device+"/down", "", 200, `"f_port":1`)
	s.wants("devices", "DELETE", device, "", 200, "{}")
	for _, path := range []string{device, "/js" + device, "/ns" + device, "/as" + device, "/as" + device + "/down"} {
		s.wants("app", "GET", path, "", 404)
	}
	s.wants("devices", "DELETE", device, "", 404)
	s.wants("foreign", "GET", "/applications/harness/devices/dev1", "", 200) // of the same id
}
