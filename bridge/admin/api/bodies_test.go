//go:build !small

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Bodies of downlinks are taken whole or not at all; what is refused changes no queue.
func TestBodiesOfDownlinks(t *testing.T) {
	const good = `{"f_port":1,"frm_payload":"AQ=="}`
	for _, tt := range []struct {
		name, key, body string
		status          int
		left            int // items in the queue, of one that was there
	}{
		{"one", "app", `{"downlinks":[` + good + `]}`, 200, 2},
		{"two", "app", `{"downlinks":[` + good + `,` + good + `]}`, 200, 3},
		{"none", "app", `{"downlinks":[]}`, 200, 1},
		{"fields instead of bytes", "app", `{"downlinks":[{"f_port":1,"decoded_payload":{"value_2":50.5}}]}`, 200, 2},
		{"a second that is wrong", "app", `{"downlinks":[` + good + `,{"f_port":0,"frm_payload":"AQ=="}]}`, 400, 1},
		{"a port that is none", "app", `{"downlinks":[{"f_port":256,"frm_payload":"AQ=="}]}`, 400, 1},
		{"a port of the network", "app", `{"downlinks":[{"f_port":225,"frm_payload":"AQ=="}]}`, 400, 1},
		{"not base64", "app", `{"downlinks":[{"f_port":1,"frm_payload":"*"}]}`, 400, 1},
		{"null", "app", `{"downlinks":[null]}`, 400, 1},
		{"an object", "app", `{"downlinks":{}}`, 400, 1},
		{"a list", "app", `[` + good + `]`, 400, 1},
		{"not JSON", "app", `downlinks=1`, 400, 1},
		{"half of it", "app", `{"downlinks":[` + good, 400, 1},
		{"deep", "app", `{"downlinks":` + strings.Repeat("[", 20_000), 400, 1},
		{"by a key that reads", "read-only", `{"downlinks":[` + good + `]}`, 403, 1},
		{"by a key of another application", "foreign", `{"downlinks":[` + good + `]}`, 403, 1},
		{"by nobody", "", `{"downlinks":[` + good + `]}`, 403, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			const queue = "/as/applications/app1/devices/dev1/down"
			s.wants("app", "POST", queue+"/push", `{"downlinks":[{"f_port":9,"frm_payload":"CQ=="}]}`, 200)
			for _, way := range []string{"/push", "/replace"} {
				s.wants(tt.key, "POST", queue+way, tt.body, tt.status)
				want := tt.left
				if way == "/replace" && tt.status == 200 {
					want = tt.left - 1
				}
				if n := s.queued(queue); n != want {
					t.Errorf("%s: %d items, want %d", way, n, want)
				}
			}
		})
	}
}

// queued returns how many items a queue has.
func (s *stand) queued(path string) int {
	s.Helper()
	status, text := s.get("app", "GET", path, "")
	var got struct {
		Downlinks []json.RawMessage `json:"downlinks"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusOK {
		s.Fatalf("%d, %v: %s", status, err, text)
	}
	return len(got.Downlinks)
}

// A creation that is refused leaves no device, not even a part of one.
func TestBodiesOfCreations(t *testing.T) {
	ids := func(id string) string { return `"ids":{"device_id":"` + id + `"}` }
	s := newStand(t)
	for i, tt := range []struct {
		name, key, body string
		status          int
	}{
		{"no body", "app", ``, 400},
		{"nothing", "app", `{}`, 400},
		{"null", "app", `{"end_device":null}`, 400},
		{"a list", "app", `{"end_device":[]}`, 400},
		{"a text", "app", `{"end_device":"new"}`, 400},
		{"no ids", "app", `{"end_device":{"name":"x"}}`, 400},
		{"ids of a text", "app", `{"end_device":{"ids":"new"}}`, 400},
		{"an id with a slash", "app", `{"end_device":{` + ids("a/b") + `}}`, 400},
		{"an id in capitals", "app", `{"end_device":{` + ids("NEW") + `}}`, 400},
		{"a long id", "app", `{"end_device":{` + ids(strings.Repeat("x", 200)) + `}}`, 400},
		{"a plan that is none", "app", `{"end_device":{` + ids("new") + `,"frequency_plan_id":"MOON"}}`, 404},
		{"a version that is none", "app", `{"end_device":{` + ids("new") + `,"lorawan_version":"9"}}`, 400},
		{"an attribute of a bad name", "app", `{"end_device":{` + ids("new") + `,"attributes":{"A B":"c"}}}`, 400},
		{"a bad mask", "app", `{"end_device":{` + ids("new") + `},"field_mask":{"paths":["colour"]}}`, 400},
		{"by a key that reads", "read-only", `{"end_device":{` + ids("new") + `}}`, 403},
		{"by a key of another application", "foreign", `{"end_device":{` + ids("new") + `}}`, 403},
		{"by nobody", "", `{"end_device":{` + ids("new") + `}}`, 403},
		{"one that is there", "app", `{"end_device":{` + ids("dev1") + `}}`, 409},
		{
			"the EUIs of another", "app",
			`{"end_device":{"ids":{"device_id":"new","dev_eui":"0300000000000001","join_eui":"0000000000000000"}}}`,
			409,
		},
	} {
		if i == 0 {
			s.joining("other", "0300000000000001")
		}
		t.Run(tt.name, func(t *testing.T) {
			here := *s
			here.T = t
			here.wants(tt.key, "POST", "/applications/app1/devices", tt.body, tt.status)
			here.wants("app", "GET", "/applications/app1/devices/new", "", 404)
			here.wants("app", "GET", "/applications/app1/devices/dev1?field_mask=name", "", 200, "!\"name\"")
		})
	}
}

// A page of devices begins where the one before has ended, and has what its query asks for.
func TestDevicePages(t *testing.T) {
	s := newStand(t)
	for i := range 6 {
		s.op("device.put", fmt.Sprintf(`{"application_id":"app1","devices":[%s]}`,
			device(fmt.Sprintf("pg%d", i), fmt.Sprintf("0200000%d", i), fmt.Sprintf("040000000000000%d", i))))
	}
	for _, tt := range []struct {
		query  string
		status int
		want   string
	}{
		{"", 200, "dev1 pg0 pg1 pg2 pg3 pg4 pg5"},
		{"limit=3", 200, "dev1 pg0 pg1"},
		{"limit=3&page=2", 200, "pg2 pg3 pg4"},
		{"limit=3&page=3", 200, "pg5"},
		{"limit=3&page=4", 200, ""},
		{"limit=7&page=1", 200, "dev1 pg0 pg1 pg2 pg3 pg4 pg5"},
		{"limit=0&page=0", 200, "dev1 pg0 pg1 pg2 pg3 pg4 pg5"},
		{"limit=2&order=device_id", 200, "dev1 pg0"},
		{"limit=2&order=-device_id", 200, "pg5 pg4"},
		{"limit=4&page=2&order=-device_id", 200, "pg1 pg0 dev1"},
		{"limit=1000&page=1000000", 200, ""},
		{"limit=1001", 400, ""},
		{"limit=-1", 400, ""},
		{"limit=x", 400, ""},
		{"limit=9999999999999999999", 400, ""},
		{"page=-1", 400, ""},
		{"page=1000001", 400, ""},
		{"page=1.5", 400, ""},
		{"order=name", 400, ""},
		{"field_mask=colour", 400, ""},
	} {
		r := s.ask("app", "GET", "/applications/app1/devices?"+tt.query, http.NoBody)
		var got struct {
			Devices []struct {
				IDs struct {
					Device string `json:"device_id"`
				} `json:"ids"`
			} `json:"end_devices"`
		}
		err := json.NewDecoder(r.Body).Decode(&got)
		var names []string
		for _, d := range got.Devices {
			names = append(names, d.IDs.Device)
		}
		if text := strings.Join(names, " "); err != nil || r.StatusCode != tt.status || text != tt.want {
			t.Errorf("%s: %d, %v, %q, want %d %q", tt.query, r.StatusCode, err, text, tt.status, tt.want)
		}
		if total := r.Header.Get("X-Total-Count"); tt.status == 200 && total != "7" {
			t.Errorf("%s: of %s", tt.query, total)
		}
	}
}
