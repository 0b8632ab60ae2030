//go:build !small

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/admin/registry"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// direct has the API answer a request without a connection.
func (s *stand) direct(key, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	s.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader("{}"))
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+s.keys[key])
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.api.serve(w, r)
	return w
}

// faults are what can go wrong, and the answers.
var faults = []struct {
	name   string
	err    error
	path   string // of the route
	method string
	status int
	with   string
}{
	{"an error of The Things Stack", v3.QueueFull(), "/x", "POST", 429, "downlink_queue_capacity"},
	{"inside another", fmt.Errorf("around: %w", v3.QueueFull()), "/x", "POST", 429, `"code":8`},
	{
		"no device, at the identity server", state.ErrNoDevice, "/applications/{a}/devices/{d}", "GET", 404,
		"end_device_not_found",
	},
	{
		"no device, at the join server", state.ErrNoDevice, "/js/applications/{a}/devices/{d}", "GET", 404,
		"pkg/joinserver",
	},
	{
		"no device, read at the network server", state.ErrNoDevice, "/ns/applications/{a}/devices/{d}", "GET", 404,
		"entity not found",
	},
	{
		"no device, at the network server", state.ErrNoDevice, "/ns/applications/{a}/devices/{d}", "PUT", 404,
		"pkg/networkserver",
	},
	{
		"no device, at the application server", state.ErrNoDevice, "/as/applications/{a}/devices/{d}", "PUT", 404,
		"app1.dev1",
	},
	{"a key of another application", admin.ErrApplication, "/x", "POST", 403, "no_application_rights"},
	{"a key without the right", admin.ErrRights, "/x", "POST", 403, "insufficient_application_rights"},
	{"the id is taken", registry.ErrTaken, "/x", "POST", 409, "id_taken"},
	{"the device is there", state.ErrRegistered, "/x", "POST", 409, "id_taken"},
	{"the session is another's", session.ErrTwin, "/x", "POST", 409, session.ErrTwin.Error()},
	{
		"the EUIs are", &registry.TakenError{
			JoinEUI: "J", DevEUI: "D",
			Device: session.ID{Application: "app1", Device: "dev1"},
		}, "/x", "POST", 409,
		"as `{device_id}` in application",
	},
	{
		"the EUIs are in another application", &registry.TakenError{JoinEUI: "J", DevEUI: "D"}, "/x", "POST", 409,
		"already registered\"",
	},
	{"too many drafts", registry.ErrTooMany, "/x", "POST", 429, ""},
	{"too many devices", session.ErrFull, "/x", "POST", 429, ""},
	{"out of time", context.DeadlineExceeded, "/x", "POST", 504, ""},
	{"stopped", context.Canceled, "/x", "POST", 503, ""},
	{"nothing that is known, of a change", errors.New("oops"), "/x", "POST", 400, `{"code":3,"message":"oops"}`},
	{"nothing that is known, of a question", errors.New("oops"), "/x", "GET", 500, `{"code":2,"message":"oops"}`},
}

// Each error becomes the status and the name that The Things Stack has for it.
func TestErrors(t *testing.T) {
	for _, tt := range faults {
		w := httptest.NewRecorder()
		c := &call{
			w: w, r: httptest.NewRequest(tt.method, "/", nil), route: &route{path: tt.path},
			params: map[string]string{"a": "app1", "d": "dev1"},
		}
		c.refuse(tt.err)
		if got := w.Body.String(); w.Code != tt.status || !strings.Contains(got, tt.with) || !json.Valid([]byte(got)) ||
			w.Header().Get("Content-Length") != fmt.Sprint(len(got)) {
			t.Errorf("%s: %d, want %d: %s, want %s", tt.name, w.Code, tt.status, got, tt.with)
		}
	}
}

// A key that has expired is told so, once the calendar is known.
func TestExpiredKey(t *testing.T) {
	s := newStand(t)
	day := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	part := s.op("key.create", `{"application_id":"app1","rights":"all","name":"for a year","expires":"2031-01-01T00:00:00Z"}`)[0]
	var k admin.NewKey
	if err := json.Unmarshal([]byte(part), &k); err != nil {
		t.Fatal(err)
	}
	s.keys["year"] = k.Text
	for _, tt := range []struct {
		name   string
		now    time.Time
		status int
		with   string
	}{
		{"before", day, 200, `"expires_at":"2031-01-01T00:00:00Z"`},
		{"after", day.AddDate(2, 0, 0), 401, "token_expired"},
		{"at an unknown time", time.Time{}, 200, `"name":"for a year"`},
	} {
		s.api.o.Calendar = func() time.Time { return tt.now }
		w := s.direct("year", "GET", prefix+"/auth_info", nil)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.with) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.with)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
			t.Errorf("%s: WWW-Authenticate %q", tt.name, challenge)
		}
	}
}

// The answer depends on the Authorization, in each of its forms.
func TestAuthorization(t *testing.T) {
	s := newStand(t)
	good := s.keys["app"]
	for _, tt := range []struct {
		name, header string
		status       int
	}{
		{"nothing", "", 403},
		{"Bearer", "Bearer " + good, 200},
		{"in small letters, with spaces", "bearer   " + good + "  ", 200},
		{"Basic", "Basic " + good, 401},
		{"the key alone", good, 401},
		{"no key", "Bearer", 400},
		{"half of it", "Bearer " + good[:50], 400},
		{"of another form", "Bearer NNSXS.x.y", 400},
		{"two", "Bearer " + good + " " + good, 400},
	} {
		w := s.direct("", "GET", prefix+"/applications/app1", func(r *http.Request) {
			if tt.header != "" {
				r.Header.Set("Authorization", tt.header)
			}
		})
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, w.Code, tt.status, w.Body)
		}
		if strings.Contains(w.Body.String(), good[46:]) {
			t.Errorf("%s: the answer has the secret of the key", tt.name)
		}
	}
}

// Clients are told of the broker's ports on the host that they have called.
func TestMQTTConnection(t *testing.T) {
	s := newStand(t)
	for _, tt := range []struct{ name, plain, secure, host, want string }{
		{
			"all addresses", ":1883", ":8883", "gw.lan:8080",
			`{"public_address":"gw.lan:1883","public_tls_address":"gw.lan:8883","username":"app1"}`,
		},
		{"a host without a port", "0.0.0.0:1883", "", "gw.lan", `{"public_address":"gw.lan:1883","username":"app1"}`},
		{"IPv6", "[::]:1883", "", "[fe80::1]:8080", `{"public_address":"[fe80::1]:1883","username":"app1"}`},
		{"IPv6 without a port", "[::]:1883", "", "[fe80::1]", `{"public_address":"[fe80::1]:1883","username":"app1"}`},
		{"one address", "192.0.2.1:1883", "", "gw.lan:8080", `{"public_address":"192.0.2.1:1883","username":"app1"}`},
		{"off", "", "", "gw.lan", `{"username":"app1"}`},
		{"no address", "nowhere", "", "gw.lan", `{"username":"app1"}`},
	} {
		s.api.o.MQTT = func() (string, string) { return tt.plain, tt.secure }
		w := s.direct("app", "GET", prefix+"/as/applications/app1/mqtt-connection-info",
			func(r *http.Request) { r.Host = tt.host })
		if got := w.Body.String(); w.Code != 200 || got != tt.want {
			t.Errorf("%s:\ngot  %d %s\nwant %s", tt.name, w.Code, got, tt.want)
		}
	}
}

// A gateway tells what it does, once it is connected; times are left out while nobody
// knows them.
func TestGatewayStats(t *testing.T) {
	s := newStand(t)
	const path = "/gs/gateways/gw1/connection/stats"
	s.wants("app", "GET", "/gs/gateways/gw2/connection/stats", "", 404, "gateway_not_found", "gw2")
	s.wants("app", "GET", path, "", 404, "not_connected")
	s.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	admintest.WaitFor(t, "the gateway is connected",
		func() bool { status, _ := s.get("app", "GET", path, ""); return status == 200 })
	s.wants("app", "GET", path, "", 200, `"protocol":"local"`, "connected_at", "!last_uplink")
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	age := func(s float64) *float64 { return &s }
	for _, tt := range []struct {
		name string
		g    admin.Gateway
		now  time.Time
		want string
	}{
		{
			"a packet forwarder",
			admin.Gateway{LastPull: age(1), Since: age(3600), LastUplink: age(1.5)},
			now,
			`{"connected_at":"2026-11-29T11:00:00Z","last_uplink_received_at":"2026-11-29T11:59:58.5Z","protocol":"udp"}`,
		},
		{
			"at an unknown time",
			admin.Gateway{LastPull: age(1), Since: age(3600), LastTxAck: age(1)},
			time.Time{},
			`{"protocol":"udp"}`,
		},
		{
			"its duty cycle",
			admin.Gateway{SubBands: []admin.SubBandUsage{{
				Low: 868_000_000, High: 868_600_000, Used: 0.005,
				Allowed: 0.01,
			}}},
			now, `{"protocol":"local","sub_bands":[{"downlink_utilization":0.005,"downlink_utilization_limit":0.01,` +
				`"max_frequency":"868600000","min_frequency":"868000000"}]}`,
		},
	} {
		b, err := json.Marshal(statsOf(&tt.g, tt.now))
		if err != nil || string(b) != tt.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tt.name, err, b, tt.want)
		}
	}
}

// A page of devices is what its query says; nonsense is refused, and nothing is counted
// twice or left out.
func TestPages(t *testing.T) {
	s := newStand(t)
	for i := range 4 { // beside dev1
		s.op("device.put", `{"application_id":"app1","devices":[`+
			device(fmt.Sprintf("dev%d", i+2), fmt.Sprintf("0200000%d", i), fmt.Sprintf("020000000000000%d", i))+`]}`)
	}
	for _, tt := range []struct{ query, want string }{
		{"", "dev1 dev2 dev3 dev4 dev5"},
		{"order=device_id&limit=2", "dev1 dev2"},
		{"limit=2&page=2", "dev3 dev4"},
		{"limit=2&page=3", "dev5"},
		{"limit=2&page=4", ""},
		{"limit=2&page=0", "dev1 dev2"},
		{"limit=0", "dev1 dev2 dev3 dev4 dev5"},
		{"limit=2&order=-device_id", "dev5 dev4"},
		{"limit=2&page=3&order=-device_id", "dev1"},
		{"limit=2&page=4&order=-device_id", ""},
		{"limit=1000&page=1000000", ""},
	} {
		w := s.direct("app", "GET", prefix+"/applications/app1/devices?"+tt.query, nil)
		var page struct {
			Devices []struct {
				IDs struct {
					Device string `json:"device_id"`
				} `json:"ids"`
			} `json:"end_devices"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range page.Devices {
			got = append(got, d.IDs.Device)
		}
		if strings.Join(got, " ") != tt.want || w.Header().Get("X-Total-Count") != "5" {
			t.Errorf("%s: %v of %s, want %s", tt.query, got, w.Header().Get("X-Total-Count"), tt.want)
		}
	}
	for _, bad := range []string{
		"limit=-1", "limit=1001", "limit=x", "page=-1", "page=1000001", "page=x", "order=name",
		"field_mask=nothing",
	} {
		if w := s.direct("app", "GET", prefix+"/applications/app1/devices?"+bad, nil); w.Code != 400 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

// Which stored messages a query selects, and what is left of them.
func TestSelection(t *testing.T) {
	m := admin.Message{Age: 60, Payload: json.RawMessage(
		`{"end_device_ids":{"device_id":"dev1"},"received_at":"2026-11-29T12:00:00Z","uplink_message":{"f_port":7,"f_cnt":3}}`)}
	noon := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		s      selection
		suffix string
		want   bool
	}{
		{"all", selection{}, v3.Up, true},
		{"the last minute", selection{last: time.Minute}, v3.Up, true},
		{"the last 59 s", selection{last: 59 * time.Second}, v3.Up, false},
		{"after", selection{after: noon.Add(-time.Second)}, v3.Up, true},
		{"after its own time", selection{after: noon}, v3.Up, false},
		{"before", selection{before: noon.Add(time.Second)}, v3.Up, true},
		{"before its own time", selection{before: noon}, v3.Up, false},
		{"its port", selection{fPort: "7"}, v3.Up, true},
		{"another port", selection{fPort: "70"}, v3.Up, false},
		{"its port, of another kind", selection{fPort: "7"}, v3.Join, false},
	} {
		if got := tt.s.takes(&m, tt.suffix); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	broken := admin.Message{Payload: json.RawMessage("{")}
	if s := (selection{fPort: "7"}); s.takes(&broken, v3.Up) {
		t.Error("what cannot be read is selected")
	}
	s := selection{paths: []string{"uplink_message.f_cnt", "nothing"}}
	want := `{"end_device_ids":{"device_id":"dev1"},"received_at":"2026-11-29T12:00:00Z","uplink_message":{"f_cnt":3}}`
	if got := string(s.cut(m.Payload)); got != want {
		t.Errorf("cut: %s, want %s", got, want)
	}
	if got := string(s.cut(broken.Payload)); got != "{" {
		t.Errorf("what cannot be read becomes %s", got)
	}
}

// The form of answers with several parts is that of the client's Accept.
func TestEventStream(t *testing.T) {
	s := newStand(t)
	s.uplink("app1", 1)
	const path = prefix + "/as/applications/app1/packages/storage/uplink_message"
	for accept, want := range map[string]string{"": "}\n", "text/event-stream": "}\n\n", "application/json": "}\n"} {
		w := s.direct("app", "GET", path, func(r *http.Request) { r.Header.Set("Accept", accept) })
		body := w.Body.String()
		if !strings.HasPrefix(body, `{"result":{`) || !strings.HasSuffix(body, want) || strings.Count(body, "\n") != len(want)-1 {
			t.Errorf("Accept %q: %q", accept, body)
		}
	}
}

// A page answers what is not below the prefix of the API, and nothing else.
func TestMount(t *testing.T) {
	s := newStand(t)
	if w := s.direct("", "GET", "/", nil); w.Code != 404 {
		t.Errorf("without a page: %d", w.Code)
	}
	s.api.Mount(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", http.StatusTeapot},
		{"GET", "/api/page/session", http.StatusTeapot},
		{"GET", "/api/v3", http.StatusTeapot},
		{"GET", "/api/v3/nothing", 404},
		{"GET", "/api/v3/auth_info", 200},
		{"OPTIONS", "/api/v3/auth_info", 200},
		{"POST", "/api/v3/auth_info", 501},
		{"GET", "/api/v3/applications//devices", 404},
		{"GET", "/api/v3/auth_info/", 404},
	} {
		w := s.direct("", tt.method, tt.path, nil)
		if w.Code != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.status)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: pages of other origins may ask", tt.method, tt.path)
		}
	}
}

// An API that was opened and never run leaves its port free.
func TestClose(t *testing.T) {
	s := newStand(t)
	addr := "127.0.0.1:0"
	for range 2 {
		a, err := Listen(Options{Listen: addr, Admin: s.admin, Bridge: s.Bridge, Keys: access.NewRegistry("ttn")})
		if err != nil {
			t.Fatal(err)
		}
		addr = a.Addr().String()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Listen(Options{Listen: "nowhere"}); err == nil || !strings.HasPrefix(err.Error(), "api: ") {
		t.Errorf("%v", err)
	}
}
