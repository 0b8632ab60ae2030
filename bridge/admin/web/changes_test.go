//go:build !small

package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/admin/web/door"
	"lorawand/bridge/admin/web/trial"
	"lorawand/bridge/event"
	"lorawand/bridge/v3"
)

// The page changes things by operations, and gets their errors.
func TestOperate(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, op, args string
		status         int
		at             string
		want           any
	}{
		{"a device", "device.put", `{"application_id":"farm","devices":[` + otaa("dev3", 9) + `]}`, 200, "parts", []any{}},
		{"again", "device.put", `{"application_id":"farm","devices":[` + otaa("dev3", 9) + `]}`, 400, "parts.0.registered", true},
		{"its name", "device.set", `{"application_id":"farm","device_id":"dev3","fields":{"name":"Barn"}}`, 200, "parts", []any{}},
		{"a wrong field", "device.set", `{"application_id":"farm","device_id":"dev3","fields":{"app_key":"12"}}`, 400, "parts", []any{}},
		{"its DevNonces", "device.set", `{"application_id":"farm","device_id":"dev3","reset_join_nonces":true}`, 200, "parts", []any{}},
		{
			"a formatter", "device.set", `{"application_id":"farm","device_id":"dev3","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`,
			200, "parts.0.note", nil,
		},
		{"export", "device.export", `{"application_id":"farm","devices":["dev3"],"password":"` + secret + `"}`, 200, "parts.0.name", "Barn"},
		{"deleted", "device.delete", `{"application_id":"farm","devices":["dev3"]}`, 200, "parts", []any{}},
		{"not there", "device.delete", `{"application_id":"farm","devices":["dev3"]}`, 400, "parts", []any{}},
		{
			"a downlink", "downlink.push",
			`{"application_id":"farm","device_id":"dev1","body":{"downlinks":[{"f_port":5,"frm_payload":"AQI="}]}}`, 200, "parts.1", nil,
		},
		{"none on port 0", "downlink.push", `{"application_id":"farm","device_id":"dev1","body":{"downlinks":[{"f_port":0}]}}`, 400, "parts", []any{}},
		{"the queue is cleared", "downlink.push", `{"application_id":"farm","device_id":"dev1","replace":true,"body":{"downlinks":[]}}`, 200, "parts", []any{}},
		{"a formatter for all", "application.set", `{"application_id":"farm","up_formatter":{"formatter":"FORMATTER_CAYENNELPP"}}`, 200, "parts", []any{}},
		{"an unknown key", "key.revoke", `{"id":"x"}`, 400, "parts", []any{}},
		{"MAC", "device.mac", `{"application_id":"farm","device_id":"dev1"}`, 200, "parts.0.device_id", "dev1"},
		{"why", "why", `{"correlation_id":"x"}`, 400, "parts", []any{}},
		{"no such operation", "no.thing", `{}`, 404, "parts", nil},
		{"one that is not for pages", "events", `{"follow":true}`, 404, "parts", nil},
		{"none", "", `{}`, 404, "parts", nil},
		{"no object", "device.put", `[]`, 400, "parts", nil},
		{"null", "device.put", `null`, 400, "parts", nil},
		{"an unknown argument", "device.delete", `{"application_id":"farm","x":1}`, 400, "parts", []any{}},
	} {
		status, out := w.do("op/"+tt.op, tt.args)
		if got := at(out, tt.at); status != tt.status || fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: %d, %v; want %d, %v", tt.name, status, out, tt.status, tt.want)
		}
		if _, told := out["error"].(string); told != (status != http.StatusOK) {
			t.Errorf("%s: %v", tt.name, out)
		}
	}
	if q := at(w.read("device?application_id=farm&device_id=dev1"), "device.queue"); q != nil {
		t.Errorf("the queue is not empty: %v", q)
	}
}

// A key is shown once; when it is revoked, it is gone.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	_, out := w.do("op/key.create", `{"application_id":"farm","name":"Node-RED","password":"`+secret+`"}`)
	id, text := at(out, "parts.0.id"), at(out, "parts.0.key")
	if text == nil || !strings.HasPrefix(text.(string), "NNSXS.") {
		t.Fatalf("%v", out)
	}
	keys := w.read("keys")
	if at(keys, "keys.0.id") != id || at(keys, "keys.0.name") != "Node-RED" ||
		at(keys, "keys.0.rights") != "read and write" {
		t.Errorf("%v", keys)
	}
	if status, out := w.do("op/key.revoke", fmt.Sprintf(`{"id":%q}`, id)); status != 200 || at(w.read("keys"), "keys.0") != nil {
		t.Errorf("%d %v", status, out)
	}
}

// A formatter is tried on frames before it is set.
func TestTryFormatter(t *testing.T) {
	w := newWorld(t)
	frame := `{"f_port":7,"frm_payload":"A2cBEA=="}`
	lpp := `"formatter":{"formatter":"FORMATTER_CAYENNELPP"}`
	for _, tt := range []struct {
		name, args, at string
		status         int
		want           any
	}{
		{"one frame", `{"application_id":"farm",` + lpp + `,"frames":[` + frame + `]}`, "parts.0.data.temperature_3", 200, 27.2},
		{"of a device", `{"application_id":"farm","device_id":"dev2",` + lpp + `,"frames":[` + frame + `,` + frame + `]}`, "parts.1.ok", 200, true},
		{"a downlink", `{"application_id":"farm",` + lpp + `,"encode":{"f_port":3,"decoded_payload":{"analog_out_1":1.5}}}`, "parts.0.ok", 200, true},
		{"a script, where none runs", `{"application_id":"farm","formatter":{"formatter":"FORMATTER_JAVASCRIPT","formatter_parameter":"x"},"frames":[` + frame + `]}`, "parts.0.ok", 200, false},
		{"none", `{"application_id":"farm","formatter":{"formatter":"FORMATTER_NONE"},"frames":[` + frame + `]}`, "parts.0", 400, nil},
		{"an unknown one", `{"application_id":"farm","formatter":{"formatter":"X"},"frames":[` + frame + `]}`, "parts.0", 400, nil},
		{"an unknown device", `{"application_id":"farm","device_id":"dev9",` + lpp + `}`, "parts.0", 400, nil},
		{
			"longer than a frame", `{"application_id":"farm",` + lpp + `,"frames":[{"f_port":1,"frm_payload":"` +
				strings.Repeat("AAAA", 86) + `"}]}`, "parts.0", 400, nil,
		},
		{"too many", `{"application_id":"farm",` + lpp + `,"frames":[` + strings.Repeat(frame+",", trial.MaxTried) + frame + `]}`, "parts.0", 400, nil},
	} {
		status, out := w.do("op/"+trial.Operation, tt.args)
		if status != tt.status || at(out, tt.at) != tt.want {
			t.Errorf("%s: %d %v", tt.name, status, out)
		}
	}
}

// An import says what would happen to each device, and does it when it is asked to.
func TestImport(t *testing.T) {
	w := newWorld(t)
	file := "[" + abp("dev1", "01000001", 1) + "," + otaa("dev5", 5) + "]"
	ask := func(text string, more string) string {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return `{"application_id":"farm","text":` + string(b) + more + `}`
	}
	for _, tt := range []struct {
		name, args string
		want       string // results, and whether it was done
		devices    int
	}{
		{"what would happen", ask(file, `,"dry_run":true`), "[there new] false", 2},
		{"what would be replaced", ask(file, `,"dry_run":true,"update":true`), "[replaced new] false", 2},
		{"a taken DevEUI", ask(otaa("dev6", 2), ""), "[refused] false", 2},
		{"one wrong, none is taken", ask("["+otaa("dev6", 2)+","+otaa("dev7", 7)+"]", ""), "[refused new] false", 2},
		{"not a file", ask("nonsense", ""), "[refused] false", 2},
		{"CSV", ask("id;dev_eui;join_eui;app_key;lorawan_version\ndev8;24E1240000000008;0000000000000001;"+strings.Repeat("33", 16)+";1.0.3\n", `,"dry_run":true`), "[new] false", 2},
		{"in earnest", ask(file, ""), "[there new] true", 3},
		{"again", ask(file, ""), "[there there] false", 3},
		{"the same, replaced", ask(file, `,"update":true`), "[replaced replaced] true", 3},
		{"UTF-16", `{"application_id":"farm","dry_run":true,"base64":"` + base64.StdEncoding.EncodeToString(utf16le(otaa("dev9", 9))) + `"}`, "[new] false", 3},
	} {
		status, out := w.do("import", tt.args)
		var results []any
		rows, _ := out["rows"].([]any)
		for _, r := range rows {
			results = append(results, at(r, "result"))
			if at(r, "text") == "" || at(r, "tone") == nil {
				t.Errorf("%s: a row says nothing: %v", tt.name, r)
			}
		}
		if got := fmt.Sprint(results, " ", out["done"]); status != 200 || got != tt.want {
			t.Errorf("%s: %d %s, want %s: %v", tt.name, status, got, tt.want, out)
		}
		n := 0
		for _, d := range w.read("devices")["devices"].([]any) {
			if at(d, "app") == "farm" {
				n++
			}
		}
		if n != tt.devices {
			t.Errorf("%s: %d devices, want %d", tt.name, n, tt.devices)
		}
	}
	for _, args := range []string{`{"application_id":"X!","text":"[]"}`, `{`, `{"application_id":"farm","base64":"!"}`} {
		r := w.post(w.token, "/api/page/import", args)
		if r.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", args, r.status, r.body)
		}
	}
}

// More faults than are told leave no device that looks as if it were taken.
func TestImportManyFaults(t *testing.T) {
	w := newWorld(t)
	var rows []string
	for i := range maxFaults + 20 {
		rows = append(rows, strings.Replace(otaa(fmt.Sprintf("many%d", i), 2), "", "", 1))
	}
	b, err := json.Marshal("[" + strings.Join(rows, ",") + "]")
	if err != nil {
		t.Fatal(err)
	}
	_, out := w.do("import", `{"application_id":"farm","text":`+string(b)+`}`)
	if out["refused"] != float64(len(rows)) || out["done"] != false {
		t.Errorf("%v of %d are refused", out["refused"], len(rows))
	}
}

func utf16le(s string) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range []byte(s) {
		out = append(out, c, 0)
	}
	return out
}

// A backup comes as a file; one that cannot be restored is refused.
func TestBackup(t *testing.T) {
	w := newWorld(t)
	r := w.post(w.token, "/api/page/backup", `{"password":"`+secret+`"}`)
	if r.status != 200 || !strings.Contains(r.header.Get("Content-Disposition"), "attachment") ||
		!strings.Contains(r.body, "farm/dev1") ||
		!strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
		t.Errorf("%d %v %.200s", r.status, r.header, r.body)
	}
	again := w.restore(secret, r.body)
	if again.status != 400 || !strings.Contains(again.body, "nothing can be restored") {
		t.Errorf("a daemon that restores nothing: %+v", again)
	}
	if status, _ := w.do("op/restore", `{"text":""}`); status != http.StatusNotFound {
		t.Errorf("by the other way: %d", status)
	}
}

// restore sends the file of a backup, with a password.
func (w *world) restore(password, file string) reply {
	w.Helper()
	return w.ask(ask{
		method: "POST", path: "/api/page/restore", body: file, cookie: w.token, change: func(r *http.Request) {
			r.Header.Set("Content-Type", "application/octet-stream")
			r.Header.Set("X-Lorawand-Password", url.PathEscape(password))
		},
	})
}

// What gives keys away, or takes everything away, asks for the secret of the login once
// more; who guesses it waits as at the login.
func TestConfirm(t *testing.T) {
	w := newWorld(t)
	owner := w.token
	_, key := w.key("farm", "all")
	_, other := w.key("farm", "all")
	for _, who := range []struct {
		name, token, right string
		wrong              []string
	}{
		{"by password", owner, secret, []string{"", "x", key}},
		{"by key", w.login(key), key, []string{"", "x", secret, other}},
	} {
		w.token = who.token
		create := func(password string) reply {
			return w.post(w.token, "/api/page/op/key.create", `{"application_id":"farm","password":`+jsonText(password)+`}`)
		}
		backup := func(password string) reply {
			return w.post(w.token, "/api/page/backup", `{"password":`+jsonText(password)+`}`)
		}
		restore := func(password string) reply { return w.restore(password, "x") }
		export := func(password string) reply {
			return w.post(w.token, "/api/page/op/device.export", `{"application_id":"farm","password":`+jsonText(password)+`}`)
		}
		for _, wrong := range who.wrong {
			for what, f := range map[string]func(string) reply{
				"a key": create, "a backup": backup, "a restore": restore, "an export": export,
			} {
				if r := f(wrong); r.status != http.StatusForbidden {
					t.Errorf("%s: %s with %.20q: %d %.200s", who.name, what, wrong, r.status, r.body)
				}
				w.site.tries = door.Tries{} // the wait between them is tested elsewhere
			}
		}
		if r := create(who.right); r.status != http.StatusOK {
			t.Errorf("%s: a key: %d %s", who.name, r.status, r.body)
		}
		if r := export(who.right); r.status != http.StatusOK {
			t.Errorf("%s: an export: %d %s", who.name, r.status, r.body)
		}
	}
	w.token = owner
	for range 4 {
		w.restore("x", "x")
	}
	if r := w.restore(secret, "x"); r.status != http.StatusTooManyRequests {
		t.Errorf("who guesses: %+v", r)
	}
}

// How many formatters are tried at a time is bounded, for each browser.
func TestTrialsAtOnce(t *testing.T) {
	w := newWorld(t)
	session := w.site.sessions.Find(w.token, time.Now())
	var ends []func()
	for {
		end, ok := w.site.trials.Begin(session)
		if !ok {
			break
		}
		ends = append(ends, end)
	}
	try := func() int {
		return w.post(w.token, "/api/page/op/"+trial.Operation, `{"application_id":"farm","formatter":{"formatter":`+
			`"FORMATTER_CAYENNELPP"},"frames":[]}`).status
	}
	if status := try(); status != http.StatusTooManyRequests || len(ends) == 0 {
		t.Errorf("%d, after %d trials", status, len(ends))
	}
	ends[0]()
	if status := try(); status != http.StatusOK {
		t.Errorf("when one has ended: %d", status)
	}
}

// The password is changed by who knows the old one, and all have to log in again.
func TestChangePassword(t *testing.T) {
	w := newWorld(t)
	for _, args := range []string{`{"password":"another password"}`, `{"password":"another password","old":"x"}`, `{"password":"another password","old":5}`} {
		if r := w.post(w.token, "/api/page/op/page.password", args); r.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", args, r.status, r.body)
		}
		w.site.tries = door.Tries{} // the wait between them is tested elsewhere
	}
	if status, out := w.do("op/page.password", `{"password":"short","old":"`+secret+`"}`); status != 400 {
		t.Errorf("too short: %d %v", status, out)
	}
	if status, out := w.do("op/page.password", `{"password":"another password","old":"`+secret+`"}`); status != 200 {
		t.Fatalf("%d %v", status, out)
	}
	if r := w.get(w.token, "/api/page/devices"); r.status != http.StatusUnauthorized {
		t.Errorf("the session goes on: %d", r.status)
	}
	w.login("another password")
}

// The page tells each step of a downlink.
func TestOutcomes(t *testing.T) {
	w := newWorld(t)
	log, now := w.Activity(), w.Now().Host
	queue := func(n string) {
		log.Message(v3.Message{Application: "farm", Device: "dev1", Suffix: v3.DownQueued, Payload: []byte(
			`{"downlink_queued":{"f_port":5,"frm_payload":"AQI=","confirmed":true,"correlation_ids":["mine","as:downlink:` + n + `"]}}`)}, now)
	}
	tell := func(kind event.Kind, n string) {
		log.Event(&event.Event{
			Kind: kind, Host: now, Device: w.dev, CorrelationIDs: []string{"as:downlink:" + n}, FCnt: 7,
			Err: fmt.Errorf("why not"),
		})
	}
	ends := map[string]event.Kind{"A": event.DownlinkAcked, "B": event.DownlinkNacked, "C": event.DownlinkFailed, "D": event.DownlinkSent, "E": event.DownlinkQueued}
	for _, n := range []string{"A", "B", "C", "D", "E"} {
		queue(n)
		tell(event.DownlinkQueued, n)
		if ends[n] != event.DownlinkQueued {
			tell(event.DownlinkSent, n)
			tell(ends[n], n)
		}
	}
	out := w.read("device?application_id=farm&device_id=dev1")
	for i, want := range []string{"waiting", "sent", "failed", "nack", "ack"} { // newest first
		o := at(out, fmt.Sprintf("device.outcomes.%d", i))
		if at(o, "result") != want || at(o, "payload") != "0102" || at(o, "port") != 5.0 || at(o, "steps.0.0") != "pushed" ||
			at(o, "said") == "" {
			t.Errorf("%d: %v, want %s", i, o, want)
		}
	}
	for _, name := range strings.Fields("id at port payload text confirmed result tone said steps") {
		if o, _ := at(out, "device.outcomes.0").(map[string]any); o[name] == nil {
			t.Errorf("an outcome has no %s", name)
		}
	}
}
