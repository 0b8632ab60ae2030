//go:build !small

package admin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/admin/admintest"
	"lorawand/bridge/store"
)

// get asks for a page.
func get(t *testing.T, h *HTTP, path string) (status int, body string) {
	t.Helper()
	c := http.Client{Timeout: 10 * time.Second}
	r, err := c.Get("http://" + h.Addr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (h *house) http() *HTTP {
	h.Helper()
	s, err := ListenHTTP(h.admin, "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	admintest.Run(h.T, s.Run)
	return s
}

func wants(t *testing.T, h *HTTP, path string, status int, texts ...string) {
	t.Helper()
	got, body := get(t, h, path)
	if got != status {
		t.Errorf("%s: status %d, want %d\n%s", path, got, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s: %q is not in\n%s", path, text, body)
		}
	}
}

// Health and readiness, with a disk that fails and recovers, and a driver that
// does not work.
func TestHealth(t *testing.T) {
	h := newHouse(t)
	var driver error
	h.admin.o.Drivers = func() []Driver { return []Driver{{Name: "radio", Err: driver}} }
	s := h.http()
	wants(t, s, "/healthz", 200, "good\n")
	wants(t, s, "/readyz", 200, "core: good\n", "store: good\n", "driver radio: good\n", "gateways: 1, 0 connected\n")
	record := store.Record{Kind: "x", Key: "y", Data: []byte("z")}
	for _, fault := range []error{unix.ENOSPC, unix.EROFS, unix.EIO} {
		h.Disk.Fail(func(string, string) error { return fault })
		if err := h.Store.Commit(record); !errors.Is(err, fault) {
			t.Fatalf("%v", err)
		}
		wants(t, s, "/readyz", 503, ": "+fault.Error(), "not ready\n")
		wants(t, s, "/metrics", 200, "lorawand_store_writable 0\n")
		wants(t, s, "/healthz", 200)
		h.Disk.Fail(nil)
		if err := h.Store.Commit(record); err != nil {
			t.Fatal(err)
		}
		wants(t, s, "/readyz", 200, "store: good\n")
	}
	driver = errors.New("no chip")
	wants(t, s, "/readyz", 503, "driver radio: no chip\n")
}

// A core that does not turn is not healthy, and nothing good is told of it.
func TestNoPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.StopBridge()
		const silent = "bridge: the core does not answer: context deadline exceeded\n"
		pages := h.admin.handler()
		for path, want := range map[string]string{
			"/healthz": silent,
			"/readyz":  "core: " + silent + "store: good\nnot ready\n",
			"/metrics": silent,
		} {
			begin, answer := time.Now(), httptest.NewRecorder()
			pages.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if got := answer.Body.String(); answer.Code != http.StatusServiceUnavailable || got != want {
				t.Errorf("%s: status %d\n%swant\n%s", path, answer.Code, got, want)
			}
			if d := time.Since(begin); d != pulseTimeout {
				t.Errorf("%s: after %v, want %v", path, d, pulseTimeout)
			}
		}
	})
}

// Every line is of the text format: a name, labels, a number.
func TestMetrics(t *testing.T) {
	h := newHouse(t)
	h.admin.o.Drivers = func() []Driver {
		return []Driver{{
			Name: "udp",
			Metrics: []Metric{
				{Name: "gwmp_datagrams_total", Help: "Datagrams.", Value: 7},
				{Name: "gwmp_delay_seconds", Help: "Delay.", Value: 0.25, Gauge: true},
			},
		}}
	}
	if err := h.Store.Commit(store.Record{Kind: "x", Key: "y", Data: []byte("z")}); err != nil {
		t.Fatal(err)
	}
	s := h.http()
	_, body := get(t, s, "/metrics")
	sample := regexp.MustCompile(`^(lorawand_[a-z0-9_]+)(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? -?[0-9.]+$`)
	family, seen := "", map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			family = strings.Fields(rest)[0]
			if seen[family] {
				t.Errorf("%s stands there twice", family)
			}
			seen[family] = true
			continue
		}
		if strings.HasPrefix(line, "# TYPE "+family+" ") {
			if counter := strings.HasSuffix(line, " counter"); counter != strings.HasSuffix(family, "_total") {
				t.Errorf("%s", line)
			}
			continue
		}
		if m := sample.FindStringSubmatch(line); m == nil || m[1] != family {
			t.Errorf("%q, in %s", line, family)
		}
	}
	for _, want := range []string{
		"lorawand_flash_bytes_written_total ", "lorawand_store_commits_total 1\n", "lorawand_gwmp_datagrams_total 7\n",
		"lorawand_gateways 1\n",
		`lorawand_uplinks_dropped_total{reason="mic"} 0`, `lorawand_downlinks_sent_total{window="rx2"} 0`,
		`lorawand_build_info{version="1",`,
		`lorawand_joins_total{result="used_dev_nonce"} 0`,
		`lorawand_downlinks_refused_total{window="rx1",reason="too_late"} 0`, "lorawand_process_start_time_seconds ",
		"lorawand_downlinks_waiting 0\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in\n%s", want, body)
		}
	}
	if m := regexp.MustCompile(`lorawand_resident_memory_bytes (\d{7,})\n`); !m.MatchString(body) {
		t.Error("no resident memory")
	}
}

// A request that is no question gets no answer, and no client keeps the others out.
func TestHTTPLimits(t *testing.T) {
	h := newHouse(t)
	s := h.http()
	wants(t, s, "/", 404)
	raw := func(text string) string {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, text)
		b, _ := io.ReadAll(c)
		return string(b)
	}
	if got := raw("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); !strings.HasPrefix(got,
		"HTTP/1.1 405 ") {
		t.Errorf("%.100q", got)
	}
	if got := raw("GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 20_000) +
		"\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431 ") {
		t.Errorf("%.100q", got)
	}
	var idle []net.Conn
	for range maxHTTPConns - 1 {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	for i := range 2 * maxHTTPConns {
		if got := raw("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") ||
			!strings.Contains(got, "Connection: close") {
			t.Fatalf("request %d: %.100q", i, got)
		}
	}
	for _, c := range idle {
		_, _ = fmt.Fprint(c, "\x00\xff")
	}
	wants(t, s, "/healthz", 200)
}
