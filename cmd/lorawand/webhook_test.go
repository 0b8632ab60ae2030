//go:build !small

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// The messages of an application go to its webhook from the moment on that it is set.
func TestWebhook(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	posts := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- r.Header.Get("X-Mine") + " " + string(body)
	}))
	t.Cleanup(receiver.Close)
	r := s.start()
	messages := r.watch("app1", key, "v3/+/devices/+/up")
	f := r.forwarder(testEUI)
	f.send(0, "before")
	next(t, messages)
	s.must("", "application", "set", "app1", "--webhook", receiver.URL, "--webhook-header", "X-Mine: secret")
	shown := s.must("", "application", "get", "app1") + s.must("", "application", "get", "app1", "--json")
	contains(t, "the application", shown, "webhook:        "+receiver.URL+" with X-Mine\n", `"webhook":{"url":"`+receiver.URL+`","headers":["X-Mine"]}`)
	if strings.Contains(shown, "secret") {
		t.Errorf("the value of a header is shown: %s", shown)
	}
	f.send(1, "posted")
	want := next(t, messages)
	select {
	case got := <-posts:
		if got != "secret "+string(want.payload) {
			t.Errorf("posted is %s\non MQTT %s", got, want.payload)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing is posted")
	}
	path := "join_accept=/join{/devID}"
	s.must("", "application", "set", "app1", "--webhook", receiver.URL, "--webhook-path", path)
	contains(t, "the application", s.must("", "application", "get", "app1"), receiver.URL+" for "+path+"\n")
	s.must("", "application", "set", "app1", "--webhook", "")
	contains(t, "the application", s.must("", "application", "get", "app1"), "webhook:        none\n")
	for _, args := range [][]string{
		{"--webhook", "ftp://x"},
		{"--webhook-header", "X: y"},
		{"--webhook", "http://x", "--webhook-header", "X Y: z"},
		{},
		{"--webhook-path", "join_accept=/x"},
		{"--webhook", "http://x/{nosuch}"},
		{"--webhook", "http://x", "--webhook-path", "x"},
	} {
		if status, _, stderr := s.cli("", append([]string{"application", "set", "app1"}, args...)...); status != 2 {
			t.Errorf("%q: status %d, %s", args, status, stderr)
		}
	}
}
