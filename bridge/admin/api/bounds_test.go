//go:build !small

package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
)

// Requests that are too large are refused, and the next client is served.
func TestBounds(t *testing.T) {
	s := newStand(t)
	push := "/as/applications/app1/devices/dev1/down/push"
	s.wants("app", "POST", push, `{"downlinks":[],"x":"`+strings.Repeat("x", maxBody)+`"}`, 400, "at most 65536")
	s.wants("app", "POST", push, strings.Repeat(" ", maxBigBody+1), 429, "longer than")
	s.wants("app", "POST", push, `{"downlinks":`+strings.Repeat("[", 10_000), 400)
	s.wants("app", "POST", push, strings.Repeat(`{"a":`, 20_000), 400)
	s.wants("app", "PUT", "/ns/applications/app1/devices/dev1", `{"field_mask":"`+strings.Repeat("name,", maxPaths+1)+`"}`, 400, "paths in the field mask")
	s.wants("app", "GET", "/applications/app1/devices/dev1?field_mask="+strings.Repeat("name,", maxPaths+1), "", 400)
	s.wants("app", "GET", "/applications/app1/devices/dev1?field_mask="+strings.Repeat("session.", 12)+"x", "", 400)
	s.wants("app", "GET", "/applications/app1/devices?page=99999999999999999999", "", 400)
	s.wants("app", "GET", "/applications/app1/devices?limit=1000&page=1000000", "", 200, "{}")
	s.wants("app", "GET", "/"+strings.Repeat("x/", 5000), "", 404)
	s.wants("app", "GET", "/applications/app1/devices/"+strings.Repeat("x", 8000), "", 404)
	s.wants("app", "GET", "/applications/app1/devices/dev1", "", 200)
	s.wants("app", "GET", "/applications/app1/devices/%2e%2e%2fdev1", "", 404)
	c, err := net.Dial("tcp", s.api.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "GET /api/v3/auth_info HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n",
		strings.Repeat("x", maxHeader+8192)); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "431") {
		t.Errorf("a long header: %q, %v", line, err)
	}
}

// One address cannot take all connections, and what it gives back can be had again.
func TestConnections(t *testing.T) {
	s := newStand(t)
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.api.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var open []net.Conn
	for range maxPerAddress {
		open = append(open, dial())
	}
	closed := dial()
	_ = closed.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := closed.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("one connection more: %v", err)
	}
	for _, c := range open {
		_ = c.Close()
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if r, err := http.Get("http://" + s.api.Addr().String() + prefix + "/auth_info"); err == nil {
			_ = r.Body.Close()
			return
		} else if time.Now().After(end) {
			t.Fatalf("nothing is given back: %v", err)
		}
	}
}

// Wrong keys are held back after ten, those who have the right one are not; the owner
// is told.
func TestWrongKeys(t *testing.T) {
	s := newStand(t)
	wrong := "Bearer NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("A", 52)
	for range 10 {
		s.askAs(wrong, "GET", "/auth_info", nil)
	}
	begin := time.Now()
	if r := s.askAs(wrong, "GET", "/auth_info", nil); r.StatusCode != 401 || time.Since(begin) < 250*time.Millisecond {
		t.Errorf("the eleventh: status %d after %v", r.StatusCode, time.Since(begin))
	}
	told := s.Events().Recent(func(e *event.Event) bool { return e.Kind == event.APIRefused })
	if len(told) != 11 || told[0].Word != "unknown_key" || strings.Contains(told[0].Text(), strings.Repeat("A", 52)) {
		t.Errorf("%d events, the first %q", len(told), told[0].Text())
	}
	s.op("key.revoke", `{"id":"`+keyID(s.keys["read-only"])+`"}`)
	if status, _ := s.get("read-only", "GET", "/auth_info", ""); status != 401 {
		t.Errorf("a revoked key: %d", status)
	}
}

// Each route asks for the right of its operation, and for a key of the application in
// its path.
func TestRightsOfRoutes(t *testing.T) {
	s := newStand(t)
	fill := strings.NewReplacer("{a}", "app1", "{d}", "dev1", "{g}", "gw1", "{t}", "uplink_message")
	for _, r := range routes {
		path := fill.Replace(r.path)
		if r.op == "" {
			continue
		}
		s.wants("", r.method, path, "{}", 403)
		if strings.Contains(r.path, "{a}") {
			s.wants("foreign", r.method, path, "{}", 403, "no_application_rights")
		}
	}
	for _, tt := range []struct{ key, method, path, missing string }{
		{"read-only", "POST", "/as/applications/app1/devices/dev1/down/push", "RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE"},
		{"read-only", "POST", "/as/applications/app1/devices/dev1/up/simulate", "RIGHT_APPLICATION_TRAFFIC_UP_WRITE"},
		{"read-only", "GET", "/applications/app1/devices", "RIGHT_APPLICATION_DEVICES_READ"},
		{"read-only", "DELETE", "/applications/app1/devices/dev1", "RIGHT_APPLICATION_DEVICES_WRITE"},
		{"read-only", "GET", "/gs/gateways/gw1/connection/stats", "RIGHT_GATEWAY_STATUS_READ"},
		{
			"devices", "GET", "/as/applications/app1/devices/dev1/packages/storage/uplink_message",
			"RIGHT_APPLICATION_TRAFFIC_READ",
		},
		{"devices", "POST", "/events", "RIGHT_APPLICATION_TRAFFIC_READ"},
		{
			"devices", "GET", "/as/applications/app1/devices/dev1?field_mask=session.keys",
			"RIGHT_APPLICATION_DEVICES_READ_KEYS",
		},
		{
			"devices", "GET", "/js/applications/app1/devices/dev1?field_mask=root_keys.app_key.key",
			"RIGHT_APPLICATION_DEVICES_READ_KEYS",
		},
	} {
		s.wants(tt.key, tt.method, tt.path, "{}", 403, tt.missing)
	}
	s.wants("devices", "GET", "/ns/applications/app1/devices/dev1?field_mask=session", "", 200, `"dev_addr":"01000000"`, "!A1A1")
	s.wants("app", "GET", "/ns/applications/app1/devices/dev1?field_mask=session", "", 200, "A1A1A1")
}

// uplink is published of a device.
func (s *stand) uplink(app string, n int) {
	s.Helper()
	body := fmt.Sprintf(`{"uplink_message":{"f_port":%d,"f_cnt":%d,"frm_payload":"A2cBEA==","rx_metadata":[{"gateway_ids":{"gateway_id":"of-%s"}}],`+
		`"settings":{"data_rate":{"lora":{"spreading_factor":7}},"frequency":"868100000"}}}`, n, n, app)
	if err := s.Simulate(context.Background(), session.ID{Application: app, Device: "dev1"}, []byte(body)); err != nil {
		s.Fatal(err)
	}
}

// The stored messages of an application come back as its query selects them, without those
// of others.
func TestStorage(t *testing.T) {
	s := newStand(t)
	for i := 1; i <= 3; i++ {
		s.uplink("app1", i)
		s.uplink("harness", 10+i)
	}
	of := "/as/applications/app1/packages/storage/uplink_message"
	for _, tt := range []struct {
		name, path, query string
		fPorts            string
	}{
		{"all", of, "", "1 2 3"},
		{"of the device", "/as/applications/app1/devices/dev1/packages/storage/uplink_message", "", "1 2 3"},
		{"of no device", "/as/applications/app1/devices/dev2/packages/storage/uplink_message", "", ""},
		{"newest first", of, "order=-received_at", "3 2 1"},
		{"the newest two", of, "order=-received_at&limit=2", "3 2"},
		{"the last hour", of, "last=1h", "1 2 3"},
		{"the last second of 1970", of, "before=1970-01-01T00:00:00Z", ""},
		{"since then", of, "after=1970-01-01T00:00:00Z", "1 2 3"},
		{"a port", of, "f_port=2", "2"},
		{"joins", "/as/applications/app1/packages/storage/join_accept", "", ""},
	} {
		var got []string
		_, text := s.get("app", "GET", tt.path+"?"+tt.query, "")
		for line := range strings.Lines(text) {
			var v struct {
				Result struct {
					Up struct {
						FPort int `json:"f_port"`
					} `json:"uplink_message"`
				}
			}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%s: %q: %v", tt.name, line, err)
			}
			got = append(got, fmt.Sprint(v.Result.Up.FPort))
		}
		if strings.Join(got, " ") != tt.fPorts || strings.Contains(text, "harness") {
			t.Errorf("%s: ports %v, want %s: %s", tt.name, got, tt.fPorts, text)
		}
	}
	s.wants("app", "GET", of+"?field_mask=up.uplink_message.decoded_payload&limit=1", "", 200,
		`"uplink_message":{"decoded_payload":{"temperature_3":27.2}}`, `"device_id":"dev1"`, `"received_at":`, "!frm_payload")
	for _, bad := range []string{"last=x", "last=-1h", "after=x", "order=f_port", "limit=-1", "limit=x"} {
		s.wants("app", "GET", of+"?"+bad, "", 400)
	}
	s.wants("app", "GET", "/as/applications/app1/packages/storage/nothing", "", 400)
}

// A client that follows the events of an application gets its messages and events, and no
// others, until the key is revoked.
func TestEvents(t *testing.T) {
	s := newStand(t)
	r := s.ask("app", "POST", "/events", strings.NewReader(`{"identifiers":[{"application_ids":{"application_id":"app1"}}]}`))
	if r.StatusCode != 200 {
		t.Fatalf("status %d", r.StatusCode)
	}
	lines := bufio.NewReader(r.Body)
	next := func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	s.uplink("harness", 1)
	s.uplink("app1", 2)
	l := next()
	for l == "\n" {
		l = next()
	}
	if !strings.Contains(l, `{"result":{"name":"as.up.data.forward"`) || !strings.Contains(l, `"f_port":2`) || !strings.Contains(l, "of-app1") {
		t.Errorf("%s", l)
	}
	if err := s.Push(context.Background(), session.ID{Application: "app1", Device: "dev1"}, false, []byte(`{"downlinks":[{"f_port":1,"frm_payload":"AQ=="}]}`)); err != nil {
		t.Fatal(err)
	}
	var seen string
	for !strings.Contains(seen, "as.down.data.receive") || !strings.Contains(seen, `"name":"as.up.forward"`) {
		seen += next()
	}
	for _, foreign := range []string{`{"application_ids":{"application_id":"harness"}}`, `{"device_ids":{"device_id":"dev1","application_ids":{"application_id":"harness"}}}`, `{}`} {
		s.wants("app", "POST", "/events", `{"identifiers":[{"application_ids":{"application_id":"app1"}},`+foreign+`]}`, 403)
	}
	s.wants("app", "POST", "/events", `{}`, 400)
	for range maxStreams/2 - 1 {
		s.ask("read-only", "POST", "/events", strings.NewReader(`{"identifiers":[{"device_ids":{"device_id":"dev1","application_ids":{"application_id":"app1"}}}]}`))
	}
	s.wants("app", "POST", "/events", `{"identifiers":[{"application_ids":{"application_id":"app1"}}]}`, 429)
	if r := s.ask("foreign", "POST", "/events", strings.NewReader(`{"identifiers":[{"application_ids":{"application_id":"harness"}}]}`)); r.StatusCode != 200 {
		t.Errorf("another application: status %d", r.StatusCode)
	}
	s.op("key.revoke", `{"id":"`+keyID(s.keys["app"])+`"}`)
	s.uplink("app1", 3)
	rest, err := io.ReadAll(lines)
	if err != nil || strings.Contains(string(rest), "harness") {
		t.Errorf("after the key: %s, %v", rest, err)
	}
}

// Of the event streams one application has at most half, so that others find room.
func TestStreamsOfOneApplication(t *testing.T) {
	var s streams
	for _, tt := range []struct {
		app  string
		want int // of twice as many as there may be
	}{{"app1", maxStreams / 2}, {"app2", maxStreams / 2}, {"app3", 0}} {
		n := 0
		for range 2 * maxStreams {
			if s.begin(tt.app) {
				n++
			}
		}
		if n != tt.want {
			t.Errorf("%s has %d", tt.app, n)
		}
	}
	for range maxStreams / 2 {
		s.end("app1")
		s.end("app2")
	}
	if s.all != 0 || len(s.count) != 0 || !s.begin("app3") {
		t.Errorf("%d are left, %v", s.all, s.count)
	}
}

// A stream outlives the time that a request may take, and shows that it lives.
func TestEventsOutlive(t *testing.T) {
	s := newStandWith(t, 2*time.Second)
	for end := time.Now().Add(time.Minute); ; {
		req, err := http.NewRequest("POST", "http://"+s.api.Addr().String()+prefix+"/events",
			strings.NewReader(`{"identifiers":[{"application_ids":{"application_id":"app1"}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.keys["app"])
		r, err := http.DefaultClient.Do(req)
		if err != nil { // a machine that is busy has let the time for the request pass
			if time.Now().After(end) {
				t.Fatal(err)
			}
			continue
		}
		defer r.Body.Close()
		beats := make([]byte, 3)
		if _, err := io.ReadFull(r.Body, beats); err != nil || string(beats) != "\n\n\n" {
			t.Errorf("%q, %v", beats, err)
		}
		return
	}
}

// A device that is created in steps, one a registry, is registered with the one that
// makes it complete, and goes in steps too.
func TestFourRegistries(t *testing.T) {
	s := newStand(t)
	const ids = `"ids":{"device_id":"steps","dev_eui":"a1b2c3d4e5f60708","join_eui":"0000000000000001"}`
	id := session.ID{Application: "app1", Device: "steps"}
	registered := func(want bool) {
		t.Helper()
		if _, err := s.Device(context.Background(), id); (err == nil) != want {
			t.Fatalf("registered: %v", err)
		}
	}
	s.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{`+ids+`,"name":"in steps"}}`, 200, `"dev_eui":"A1B2C3D4E5F60708"`)
	s.wants("devices", "POST", "/applications/app1/devices", `{"end_device":{`+ids+`}}`, 409, "id_taken")
	s.wants("app", "POST", "/applications/app1/devices", strings.Replace(`{"end_device":{`+ids+`}}`, "steps", "others", 1), 409, "euis_taken", "steps")
	s.wants("foreign", "POST", "/applications/harness/devices", `{"end_device":{`+ids+`}}`, 409, "euis_taken", "!steps", "!app1")
	s.wants("app", "GET", "/js/applications/app1/devices/steps", "", 404)
	registered(false)
	s.wants("devices", "PUT", "/js/applications/app1/devices/steps", `{"end_device":{`+ids+`,"root_keys":{"app_key":{"key":"`+strings.Repeat("0F", 16)+`"}}},"field_mask":"root_keys.app_key.key"}`, 200)
	registered(false)
	s.wants("devices", "GET", "/applications/app1/devices/steps?field_mask=name,session", "", 200, "in steps", "!0F0F")
	s.wants("devices", "PUT", "/ns/applications/app1/devices/steps", `{"end_device":{"supports_join":true,"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN",`+
		`"mac_settings":{"desired_rx1_delay":"RX_DELAY_3"}},"field_mask":{"paths":["supports_join","lorawan_version","frequency_plan_id","mac_settings.desired_rx1_delay"]}}`, 200)
	registered(true)
	s.wants("devices", "PUT", "/as/applications/app1/devices/steps", `{"end_device":{"formatters":{"up_formatter":"FORMATTER_CAYENNELPP"}},"field_mask":"formatters"}`, 200, "CAYENNELPP")
	s.wants("app", "GET", "/js/applications/app1/devices/steps?field_mask=root_keys", "", 200, strings.Repeat("0F", 16))
	s.wants("devices", "GET", "/ns/applications/app1/devices/steps?field_mask=mac_settings.desired_rx1_delay,formatters", "", 200, `"desired_rx1_delay":3`, "CAYENNELPP")
	s.wants("devices", "PUT", "/applications/app1/devices/steps", `{"end_device":{"name":"other"},"field_mask":"name,description"}`, 200, `"name":"other"`)
	s.wants("devices", "PUT", "/ns/applications/app1/devices/steps", `{"end_device":{},"field_mask":"root_keys"}`, 400)
	d, err := s.Device(context.Background(), id)
	if err != nil || d.Name != "other" || d.RootKeys.AppKey.IsZero() || d.Formatters.Up != "FORMATTER_CAYENNELPP" {
		t.Fatalf("%+v, %v", d, err)
	}
	for _, registry := range []string{"/as", "/ns", "/js"} {
		s.wants("devices", "DELETE", registry+"/applications/app1/devices/steps", "", 200)
		s.wants("devices", "DELETE", registry+"/applications/app1/devices/steps", "", 404)
		registered(false)
	}
	s.wants("app", "GET", "/applications/app1/devices/steps?field_mask=name,root_keys", "", 200, `"name":"other"`, "!0F0F")
	s.wants("devices", "DELETE", "/applications/app1/devices/steps", "", 200)
	s.wants("devices", "DELETE", "/applications/app1/devices/steps", "", 404)
}

// An application sees nothing of another's device of the same name.
func TestIsolation(t *testing.T) {
	s := newStand(t)
	for _, app := range []string{"app1", "harness"} {
		s.uplink(app, 1)
		id := session.ID{Application: app, Device: "dev1"}
		body := fmt.Sprintf(`{"downlinks":[{"f_port":1,"frm_payload":"AQ==","correlation_ids":["of:%s"]}]}`, app)
		if err := s.Push(context.Background(), id, false, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	fill := strings.NewReplacer("{a}", "app1", "{d}", "dev1", "{g}", "gw1", "{t}", "uplink_message")
	for _, r := range routes {
		if r.method != "GET" || r.op == "" || r.isSource() { // which has no end, and a test of its own
			continue
		}
		query := "?field_mask=name,session,formatters,ids"
		if strings.Contains(r.path, "storage") {
			query = ""
		}
		status, text := s.get("app", "GET", fill.Replace(r.path)+query, "")
		if strings.Contains(text, "harness") || strings.Contains(text, "01000001") {
			t.Errorf("%s: status %d: %s", r.path, status, text)
		}
	}
	s.wants("app", "GET", "/as/applications/app1/devices/dev1/down", "", 200, "of:app1")
	s.wants("app", "DELETE", "/applications/app1/devices/dev1", "", 200)
	s.wants("foreign", "GET", "/applications/harness/devices/dev1?field_mask=session", "", 200, "01000001")
	s.wants("foreign", "GET", "/as/applications/harness/devices/dev1/packages/storage/uplink_message", "", 200,
		"of-harness")
	s.wants("foreign", "GET", "/as/applications/harness/devices/dev1/down", "", 200, "of:harness")
	if n := len(s.Activity().Messages(session.ID{Application: "app1", Device: "dev1"}, v3.Up)); n != 0 {
		t.Errorf("%d messages of a device that is deleted", n)
	}
}
