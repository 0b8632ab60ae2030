//go:build !small

package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/admintest"
)

// stand is an API in front of a house with two applications whose devices have the same
// ids.
type stand struct {
	*testing.T
	*admintest.House
	api   *API
	admin *admin.Admin
	keys  map[string]string // app, read-only, foreign …
}

func newStand(t *testing.T) *stand {
	t.Helper()
	return newStandWith(t, time.Minute)
}

// newStandWith is newStand with the time that requests may take.
func newStandWith(t *testing.T, timeout time.Duration) *stand {
	t.Helper()
	s := &stand{T: t, House: admintest.New(t), keys: map[string]string{}}
	var err error
	if s.admin, err = admin.New(admin.Options{
		Bridge: s.Bridge, Store: s.Store, Keys: s.State.Keys, Applications: s.State.Applications,
		Codecs: s.State.Codecs, Resolver: s.Resolver, Plan: admintest.Plan, Logger: s.Logger,
	}); err != nil {
		t.Fatal(err)
	}
	if s.api, err = Listen(Options{
		Listen: "127.0.0.1:0", Admin: s.admin, Bridge: s.Bridge, Keys: s.State.Keys, Calendar: s.Clock.Calendar,
		Logger: s.Logger, NetID: "000000", Timeout: timeout,
		MQTT: func() (string, string) { return ":1883", "127.0.0.1:8883" },
	}); err != nil {
		t.Fatal(err)
	}
	admintest.Run(t, s.api.Run)
	s.provision()
	return s
}

// op carries out an operation as the owner.
func (s *stand) op(name, args string) (parts []string) {
	s.Helper()
	return admintest.Op(s.T, s.admin, name, args)
}

// device is an ABP device that decodes CayenneLPP.
func device(id, addr, eui string) string {
	key := func(b string) string { return `{"key":"` + strings.Repeat(b, 16) + `"}` }
	return `{"ids":{"device_id":"` + id + `","dev_eui":"` + eui + `"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN",` +
		`"session":{"dev_addr":"` + addr + `","keys":{"f_nwk_s_int_key":` + key("a1") + `,"app_s_key":` + key("a2") + `}},` +
		`"formatters":{"up_formatter":"FORMATTER_CAYENNELPP","down_formatter":"FORMATTER_CAYENNELPP"}}`
}

func (s *stand) provision() {
	s.Helper()
	for i, app := range []string{"app1", "harness"} {
		s.op("device.put", fmt.Sprintf(`{"application_id":%q,"devices":[%s]}`, app, device("dev1", fmt.Sprintf("0100000%d", i), fmt.Sprintf("010000000000000%d", i))))
	}
	for name, args := range map[string]string{
		"app": `{"application_id":"app1","rights":"all"}`, "read-only": `{"application_id":"app1","rights":"traffic-read"}`,
		"foreign": `{"application_id":"harness","rights":"all"}`, "devices": `{"application_id":"app1","rights":"devices-read,devices-write"}`,
	} {
		var k struct {
			Key string `json:"key"`
		}
		part := s.op("key.create", args)[0]
		if err := json.Unmarshal([]byte(part), &k); err != nil || k.Key == "" {
			s.Fatalf("%s, %v", part, err)
		}
		s.keys[name] = k.Key
	}
}

// ask sends a request with one of the keys; "" is none.
func (s *stand) ask(key, method, path string, body io.Reader) *http.Response {
	s.Helper()
	authorization := ""
	if key != "" {
		authorization = "Bearer " + s.keys[key]
	}
	return s.askAs(authorization, method, path, body)
}

func (s *stand) askAs(authorization, method, path string, body io.Reader) *http.Response {
	s.Helper()
	req, err := http.NewRequest(method, "http://"+s.api.Addr().String()+prefix+path, body)
	if err != nil {
		s.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	r, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// get returns the answer to a request.
func (s *stand) get(key, method, path, body string) (status int, text string) {
	s.Helper()
	r := s.ask(key, method, path, strings.NewReader(body))
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// wants checks an answer; a text that begins with "!" must not be in it.
func (s *stand) wants(key, method, path, body string, status int, texts ...string) {
	s.Helper()
	got, text := s.get(key, method, path, body)
	if got != status {
		s.Errorf("%s %s by %s: status %d, want %d: %s", method, path, key, got, status, text)
	}
	for _, want := range texts {
		if without, no := strings.CutPrefix(want, "!"); no == strings.Contains(text, strings.TrimPrefix(want, "!")) {
			s.Errorf("%s %s by %s: %q: %v in %s", method, path, key, without, no, text)
		}
	}
}

// recorded is a call of The Things Stack with its answer.
type recorded struct {
	What, Method, Path, Auth string
	Request, Response        json.RawMessage
	Status                   int
}

// differences are the calls that are answered otherwise on purpose: the status here, the
// call and why. README.md has the list for people.
var differences = []struct {
	status    int
	call, why string
}{
	{200, "GET /auth_info app key", "key ids are random"},
	{200, "GET /auth_info read-only key", "key ids are random"},
	{401, "GET /auth_info bad key form/unknown", "key ids have 39 characters"},
	{200, "GET /applications/app1/devices?limit=3&page=1&field_mask=name IS list", "other devices"},
	{200, "GET /applications/app1/devices?limit=3&page=2&order=-device_id IS list page 2 order", "other devices"},
	{
		200, "PUT /ns/applications/app1/devices/h-http NS set unknown field",
		"a device that lost its keys is kept as one that is not complete",
	},
	{404, "GET /applications/app1/api-keys api keys list", "lorawand api-key list"},
	{200, "GET /applications/app1/rights rights", "there are fewer rights"},
	{404, "GET /applications/app1/collaborators collaborators", "there are no users"},
	{404, "GET /as/configuration AS configuration", "nothing to tell"},
	{404, "GET /ns/default_mac_settings/EU_863_870_TTN/PHY_V1_0_3_REV_A NS default MAC settings", "not served"},
	{404, "GET /ns/dev_addr NS dev_addr", "not served"},
	{200, "GET /configuration/frequency-plans frequency plans", "other plans, names without explanations"},
	{200, "GET /as/applications/app1/devices/dev1/down queue list", "an item gets its f_cnt when it is sent; no rpc: ids"},
	{
		200, "GET /as/applications/app1/devices/dev1/down queue list, read-only key",
		"an item gets its f_cnt when it is sent; no rpc: ids",
	},
	{200, "POST /as/applications/app1/devices/dev1/down/push push bogus priority", "as over MQTT: NORMAL"},
	{400, "POST /as/applications/app1/devices/dev1/down/push push class_b_c with hex EUI", "as over MQTT: base64"},
	{200, "POST /as/applications/app1/devices/h-http/down/push push, empty body", "nothing to push is no error"},
	{200, "POST /as/applications/app1/devices/h-http/down/push push, {}", "nothing to push is no error"},
	{404, "POST /as/applications/app1/devices/nosuch/up/simulate simulate unknown device", "never a silent loss"},
	{200, "GET /as/applications/app1/packages/storage/uplink_message storage", "the open source build has no storage"},
	{
		200, "GET /as/applications/app1/devices/dev1/packages/storage/uplink_message storage of device",
		"the open source build has no storage",
	},
	{404, "GET /as/applications/app1/devices/dev1/packages packages list", "there are no application packages"},
	{200, "GET /as/applications/app1/mqtt-connection-info mqtt connection info", "other ports"},
	{404, "GET /as/pubsub-formats pubsub formats", "there is no pub/sub"},
	{404, "GET /as/pubsub/app1 pubsub list", "there is no pub/sub"},
	{404, "GET /as/webhook-formats webhook formats", "webhooks are set by lorawand application set"},
	{404, "GET /as/webhook-templates webhook templates", "webhooks are set by lorawand application set"},
	{404, "GET /as/webhooks/app1 webhooks list", "webhooks are set by lorawand application set"},
}

// Each recorded call of The Things Stack gets the same status and, but for times and random
// ids, the same answer.
func TestAsTheThingsStack(t *testing.T) {
	s := newStand(t)
	b, err := os.ReadFile("testdata/tts-http.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var c recorded
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		s.compare(&c)
	}
}

func (s *stand) compare(c *recorded) {
	s.Helper()
	var body string
	if json.Unmarshal(c.Request, &body) != nil { // else it is a text that is no JSON
		body = string(c.Request)
	}
	r := s.askAs(s.authorization(c), c.Method, c.Path, strings.NewReader(body))
	got, err := io.ReadAll(r.Body)
	if err != nil {
		s.Fatal(err)
	}
	name := c.Method + " " + c.Path + " " + c.What
	for _, d := range differences {
		if d.call != name {
			continue
		}
		if r.StatusCode != d.status {
			s.Errorf("%s: status %d, the list of differences says %d: %s", name, r.StatusCode, d.status, got)
		}
		return
	}
	if r.StatusCode != c.Status {
		s.Errorf("%s: status %d, not %d: %s", name, r.StatusCode, c.Status, got)
		return
	}
	if d := details(c.Response); c.Status >= 400 && d != "" {
		// The Things Stack names the outermost message of what is not valid, here it is
		// the field.
		if d != details(got) {
			s.Errorf("%s: %s, not %s", name, got, c.Response)
		}
		if strings.HasSuffix(d, ":validation") {
			return
		}
	} else if c.Status >= 400 {
		return // a text of its JSON library
	}
	var ours, theirs any
	if json.Unmarshal(c.Response, &theirs) == nil && json.Unmarshal(got, &ours) == nil {
		if at := lacks(ours, theirs, ""); at != "" {
			s.Errorf("%s: %s differs\nhere:  %s\nthere: %s", name, at, got, c.Response)
		}
	}
}

// details are the code, the namespace and the name of an error.
func details(response []byte) string {
	var e struct {
		Code    int
		Details []struct{ Namespace, Name string }
	}
	if json.Unmarshal(response, &e) != nil || len(e.Details) == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s:%s", e.Code, e.Details[0].Namespace, e.Details[0].Name)
}

// lacks returns where an answer lacks something of another, or has it otherwise.
func lacks(ours, theirs any, at string) string {
	switch theirs := theirs.(type) {
	case map[string]any:
		o, ok := ours.(map[string]any)
		if !ok {
			return at
		}
		for name, v := range theirs {
			if where := lacks(o[name], v, at+"."+name); where != "" {
				return where
			}
		}
		return ""
	case []any:
		o, ok := ours.([]any)
		if !ok || len(o) != len(theirs) {
			return at
		}
		for i := range theirs {
			if where := lacks(o[i], theirs[i], fmt.Sprintf("%s[%d]", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if ours != theirs {
		return at
	}
	return ""
}

// authorization is what the client of a recorded call has shown.
func (s *stand) authorization(c *recorded) string {
	key := s.keys[c.Auth]
	switch {
	case c.Auth == "none":
		return ""
	case c.Auth == "other" && strings.Contains(c.What, "other application"):
		key = s.keys["foreign"]
	case c.What == "Basic":
		return "Basic Zm9vOmJhcg=="
	case c.What == "foo key":
		key = "foo"
	case strings.Contains(c.What, "wrong"):
		key = s.keys["app"]
		last := map[bool]string{true: "B", false: "A"}[strings.HasSuffix(key, "A")]
		key = key[:len(key)-1] + last
	case c.What == "bad key form/unknown":
		key = "NNSXS." + strings.Repeat("A", 39) + "." + strings.Repeat("A", 52)
	}
	return "Bearer " + key
}
