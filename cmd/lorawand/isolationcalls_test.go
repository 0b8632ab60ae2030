//go:build !small

package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

const (
	foreignDevice = `{"end_device":{"ids":{"device_id":"dev1","dev_eui":"0102030405060700","join_eui":"0000000000000000",` +
		`"application_ids":{"application_id":"app1"}},"name":"taken"},"field_mask":{"paths":["name","ids"]}}`
	foreignPush   = `{"downlinks":[{"f_port":9,"frm_payload":"AQ==","correlation_ids":["of-app2"]}]}`
	foreignUplink = `{"up":{"uplink_message":{"f_port":1,"frm_payload":"AQ=="}}}`
)

// foreignCalls are calls about app1, whose key nobody else has.
var foreignCalls = []struct{ method, path, body string }{
	{"GET", "/applications/app1", ""},
	{"GET", "/applications/app1/devices", ""},
	{"GET", "/applications/app1/rights", ""},
	{"GET", "/as/applications/app1/mqtt-connection-info", ""},
	{"GET", "/applications/app1/devices/dev1?field_mask=name,session", ""},
	{"GET", "/ns/applications/app1/devices/dev1?field_mask=session", ""},
	{"GET", "/as/applications/app1/devices/dev1?field_mask=session", ""},
	{"GET", "/js/applications/app1/devices/dev1?field_mask=root_keys", ""},
	{"GET", "/as/applications/app1/link", ""},
	{"GET", "/as/applications/app1/link/stats", ""},
	{"GET", "/as/applications/app1/packages/storage/uplink_message", ""},
	{"GET", "/as/applications/app1/devices/dev1/packages/storage/uplink_message", ""},
	{"GET", "/as/applications/app1/devices/dev1/down", ""},
	{"GET", "/as/applications/app2/../app1/devices/dev1/down", ""},
	{"GET", "/as/applications/app2%2f..%2fapp1/devices/dev1/down", ""},
	{"POST", "/as/applications/app1/devices/dev1/down/push", foreignPush},
	{"POST", "/as/applications/app1/devices/dev1/down/replace", foreignPush},
	{"POST", "/as/applications/app1/webhooks/w/devices/dev1/down/push", foreignPush},
	{"POST", "/as/applications/app1/webhooks/w/devices/dev1/down/replace", foreignPush},
	{"POST", "/as/applications/app1/devices/dev1/up/simulate", foreignUplink},
	{"POST", "/applications/app1/devices", foreignDevice},
	{"PUT", "/applications/app1/devices/dev1", foreignDevice},
	{"PUT", "/ns/applications/app1/devices/dev1", foreignDevice},
	{"PUT", "/as/applications/app1/devices/dev1", foreignDevice},
	{"PUT", "/js/applications/app1/devices/dev1", foreignDevice},
	{"POST", "/events", `{"identifiers":[{"application_ids":{"application_id":"app1"}}]}`},
	{
		"POST", "/events",
		`{"identifiers":[{"device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}}}]}`,
	},
	{"DELETE", "/ns/applications/app1/devices/dev1", ""},
	{"DELETE", "/as/applications/app1/devices/dev1", ""},
	{"DELETE", "/js/applications/app1/devices/dev1", ""},
	{"DELETE", "/applications/app1/devices/dev1", ""},
}

// call makes a call of the HTTP API with the key of an application.
func (h *house) call(key, method, path, body string) (status int, text []byte) {
	h.Helper()
	req, err := http.NewRequest(method, "http://"+h.d.api.Addr().String()+"/api/v3"+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(answer.Body); err != nil {
		h.Fatal(err)
	}
	return answer.StatusCode, text
}

// calls: a key with all rights reads and changes nothing of the other application, by whatever path
// or body it names it.
func (h *house) calls() {
	h.settle()
	keys := [2]string{}
	for i, app := range houseApps {
		keys[i] = strings.TrimSpace(h.site.must("", "api-key", "create", "--application", app, "--rights", "all"))
	}
	for _, c := range foreignCalls {
		status, text := h.call(keys[1], c.method, c.path, c.body)
		if status < 400 || status >= 500 {
			h.Errorf("%s %s: status %d: %s", c.method, c.path, status, text)
		}
		hidden := bytes.ReplaceAll(text, []byte("app1"), nil) // which was asked for
		if what := leaked(hidden, 0); what != "" {
			h.Errorf("%s %s has %s: %s", c.method, c.path, what, text)
		}
	}
	h.call(keys[1], "PUT", "/applications/app2/devices/dev1", foreignDevice) // the path counts, and not the body
	for app, key := range keys {                                             // each reads its own, and is as it was
		name := houseApps[app]
		_, text := h.call(key, "GET", "/as/applications/"+name+"/packages/storage/uplink_message", "")
		if leaked(text, 1-app) != "" || leaked(text, app) == "" {
			h.Errorf("the storage of %s: %s", name, text)
		}
		_, text = h.call(key, "GET", "/ns/applications/"+name+"/devices/dev1?field_mask=name,session", "")
		if leaked(text, 1-app) != "" || leaked(text, app) == "" ||
			bytes.Contains(text, []byte("taken")) != (app == 1) {
			h.Errorf("the device of %s: %s", name, text)
		}
		if list := h.site.must("", "downlink", "list", name, "dev1", "--json"); strings.TrimSpace(list) != "" {
			h.Errorf("%s has a downlink: %s", name, list)
		}
	}
}
