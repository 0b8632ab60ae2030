//go:build !small

package admin

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/broker"
)

// A page that is mounted answers all addresses but those of metrics and health, and these
// only where they are asked for and not told something.
func TestMount(t *testing.T) {
	h := newHouse(t)
	s, err := ListenHTTP(h.admin, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Mount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "page %s %s", r.Method, r.URL.Path)
	}))
	admintest.Run(t, s.Run)
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/", 200, "page GET /"},
		{"GET", "/index.html", 200, "page GET /index.html"},
		{"POST", "/api/login", 200, "page POST /api/login"},
		{"GET", "/healthz", 200, "good\n"},
		{"HEAD", "/healthz", 200, ""},
		{"GET", "/healthz/", 200, "page GET /healthz/"},
		{"GET", "/readyz", 200, "core: good\n"},
		{"GET", "/readyz?verbose", 200, "core: good\n"},
		{"GET", "/metrics", 200, "lorawand_build_info"},
		{"POST", "/metrics", 200, "page POST /metrics"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+s.Addr().String()+tt.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		asked := strings.Contains(string(b), tt.want) && (tt.want != "" || len(b) == 0)
		if err != nil || answer.StatusCode != tt.status || !asked {
			t.Errorf("%s %s: %d, %v, %.200q, want %d %q", tt.method, tt.path, answer.StatusCode, err, b, tt.status, tt.want)
		}
	}
}

// A listener that fails ends the server with an error.
func TestListenerFails(t *testing.T) {
	h := newHouse(t)
	s, err := ListenHTTP(h.admin, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "http: ") {
		t.Errorf("%v", err)
	}
	c, err := Listen(h.admin, h.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "control socket: ") {
		t.Errorf("%v", err)
	}
}

// /readyz tells of a broker that serves, and is not good where it does not.
func TestReadyBroker(t *testing.T) {
	h := newHouse(t)
	b, err := broker.New(broker.Options{
		Listen: []string{"127.0.0.1:0"}, Keys: h.State.Keys, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := h.http()
	if _, text := get(t, s, "/readyz"); strings.Contains(text, "mqtt") {
		t.Errorf("without a broker: %s", text)
	}
	h.admin.o.Broker = b
	wants(t, s, "/readyz", 503, "mqtt: the broker does not serve\n", "not ready\n", "core: good\n")
	stop := admintest.Run(t, b.Run)
	admintest.WaitFor(t, "the broker serves", b.Serving)
	wants(t, s, "/readyz", 200, "mqtt: listening on "+b.Addrs()[0].String()+"\n")
	stop()
	wants(t, s, "/readyz", 503, "mqtt: the broker does not serve\n")
}
