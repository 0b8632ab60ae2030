//go:build !small

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The daemon serves the HTTP API: what was heard is in the storage, a push goes the way
// of those over MQTT, and another application gets nothing.
func TestAPI(t *testing.T) {
	s := newSite(t, "")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "[http]\n", "[http]\napi_listen = \"127.0.0.1:0\"\n", 1))
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	foreign := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app2", "--rights", "all"))
	r := s.start()
	messages := r.watch("app1", key, "#")
	r.forwarder(testEUI).send(0, "by the storage")
	next(t, messages)
	ask := func(key, method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "http://"+r.d.api.Addr().String()+"/api/v3"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(b)
	}
	storage := "/as/applications/app1/packages/storage/uplink_message"
	if status, text := ask(key, "GET", storage, ""); status != 200 || !strings.Contains(text, `"frm_payload":"YnkgdGhlIHN0b3JhZ2U="`) {
		t.Errorf("%d %s", status, text)
	}
	if status, text := ask(foreign, "GET", storage, ""); status != 403 || strings.Contains(text, "frm_payload") {
		t.Errorf("%d %s", status, text)
	}
	const push = `{"downlinks":[{"f_port":15,"frm_payload":"vu8=","correlation_ids":["by:http"]}]}`
	if status, text := ask(key, "POST", "/as/applications/app1/devices/dev1/down/push", push); status != 200 ||
		text != "{}" {
		t.Errorf("%d %s", status, text)
	}
	if m := next(t, messages); m.topic != "v3/app1/devices/dev1/down/queued" ||
		!strings.Contains(string(m.payload), "by:http") {
		t.Errorf("%s %s", m.topic, m.payload)
	}
}
