package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
)

// port opens the HTTP port of a house and returns its address.
func (h *house) port() string {
	h.Helper()
	p, err := ListenHTTP(h.admin, "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	h.run(p.Run)
	return p.Addr().String()
}

func (h *house) get(address, path string) (int, string) {
	h.Helper()
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + address + path)
	if err != nil {
		h.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		h.Fatal(err)
	}
	return r.StatusCode, string(b)
}

var (
	sampleForm = regexp.MustCompile(`^lorawand_[a-z0-9_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.]+$`)
	familyForm = regexp.MustCompile(`^# (HELP|TYPE) (lorawand_[a-z0-9_]+) (.+)$`)
)

// checkExposition checks the text format: each family is there once, with HELP
// and TYPE before its samples, and no sample twice.
func checkExposition(t *testing.T, text string) map[string]string {
	t.Helper()
	values, kinds, family := map[string]string{}, map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := familyForm.FindStringSubmatch(line); m != nil {
			if m[1] == "TYPE" {
				if _, twice := kinds[m[2]]; twice || m[2] != family {
					t.Errorf("%q: twice, or without HELP", line)
				}
				kinds[m[2]] = m[3]
				if (m[3] == "counter") != strings.HasSuffix(m[2], "_total") {
					t.Errorf("%q: the name of a counter ends in _total, and no other", line)
				}
			}
			family = m[2]
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		if _, twice := values[name]; !sampleForm.MatchString(line) || twice || kinds[family] == "" || strings.SplitN(name, "{", 2)[0] != family {
			t.Errorf("%q: malformed, twice, or not of the family before", line)
		}
		values[name] = value
	}
	return values
}

func TestMetrics(t *testing.T) {
	h := newHouse(t)
	h.admin.o.GWMP = func() GWMP { return GWMP{Datagrams: 7, KernelDrops: 2} }
	h.admin.o.Build = Build{Version: `1 "x"`, Target: `a\b`}
	address := h.port()
	h.bridge.GatewayEvent(radio.GatewayEvent{Gateway: gatewayEUI, Kind: radio.GatewayConnected, At: 1, Address: "127.0.0.1:1"})
	h.bridge.Uplink(radio.Uplink{Gateway: gatewayEUI, PHYPayload: []byte{1, 2, 3}})
	// A join-request of a device that nobody knows.
	h.bridge.Uplink(radio.Uplink{Gateway: gatewayEUI, PHYPayload: make([]byte, 23)})
	put := PutArgs{Application: "app1", Devices: []json.RawMessage{json.RawMessage(goodDevice)}}
	if err := h.admin.Call(context.Background(), "device.put", put, nil); err != nil {
		t.Fatal(err)
	}
	status, text := h.get(address, "/metrics")
	if status != 200 {
		t.Errorf("status %d", status)
	}
	values := checkExposition(t, strings.NewReplacer(`\"`, "", `\\`, "").Replace(text))
	for name, want := range map[string]string{
		`lorawand_core_up`:                                     "1",
		`lorawand_uplinks_received_total`:                      "2",
		`lorawand_uplinks_dropped_total{reason="malformed"}`:   "1",
		`lorawand_uplinks_total{result="published"}`:           "0",
		`lorawand_joins_total{result="unknown_dev_eui"}`:       "1",
		`lorawand_joins_total{result="accepted"}`:              "0",
		`lorawand_downlinks_total{window="rx1",result="sent"}`: "0",
		`lorawand_devices`:                                     "1",
		`lorawand_gateways_connected`:                          "1",
		`lorawand_gwmp_datagrams_total`:                        "7",
		`lorawand_gwmp_bad_total{reason="kernel_buffer"}`:      "2",
		`lorawand_store_commits_total`:                         "1",
		`lorawand_store_up`:                                    "1",
		`lorawand_inbox_waiting`:                               "0",
	} {
		if values[name] != want {
			t.Errorf("%s is %q, want %q", name, values[name], want)
		}
	}
	if !strings.Contains(text, `lorawand_build_info{version="1 \"x\"",commit="",target="a\\b",`) {
		t.Error("labels are not escaped")
	}
	for _, name := range []string{"lorawand_flash_bytes_written_total", "lorawand_process_resident_memory_bytes", "lorawand_goroutines", "lorawand_uptime_seconds"} {
		if v := values[name]; v == "" || v == "0" {
			t.Errorf("%s is %q", name, v)
		}
	}
	if strings.Contains(text, "dev1") || strings.Contains(text, "app1") {
		t.Error("a device is named")
	}
}

func TestHealth(t *testing.T) {
	h := newHouse(t)
	address := h.port()
	if status, text := h.get(address, "/healthz"); status != 200 || text != "ok\n" {
		t.Errorf("%d %s", status, text)
	}
	h.admin.o.Checks = func() []Check { return []Check{{Name: "radio", Note: "listens"}} }
	if status, text := h.get(address, "/readyz"); status != 200 || text != "core: turns\nstore: can be written\nradio: listens\n" {
		t.Errorf("%d %s", status, text)
	}
	h.admin.o.Checks = func() []Check { return []Check{{Name: "radio", Err: fmt.Errorf("no chip\nanswers")}} }
	if status, text := h.get(address, "/readyz"); status != 503 || !strings.Contains(text, "radio: FAILED: no chip; answers\n") {
		t.Errorf("%d %s", status, text)
	}
	for path, want := range map[string]int{"/": 404, "/metrics/x": 404} {
		if status, _ := h.get(address, path); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	r, err := http.Post("http://"+address+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.StatusCode)
	}
}

// A core that hangs is told, and what does not need it is still measured.
func TestStuckCore(t *testing.T) {
	h := newHouse(t)
	h.stop()
	address := h.port()
	begin := time.Now()
	if status, text := h.get(address, "/healthz"); status != 503 || text != errNotTurning.Error()+"\n" {
		t.Errorf("%d %s", status, text)
	}
	if status, text := h.get(address, "/readyz"); status != 503 || !strings.Contains(text, "core: FAILED: the core has not turned") {
		t.Errorf("%d %s", status, text)
	}
	_, text := h.get(address, "/metrics")
	values := checkExposition(t, text)
	if values["lorawand_core_up"] != "0" || values["lorawand_store_up"] != "1" || values["lorawand_devices"] != "" {
		t.Errorf("%v", values)
	}
	if d := time.Since(begin); d > 3*healthPatience+2*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestHTTPLimits(t *testing.T) {
	h := newHouse(t)
	address := h.port()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		return c
	}
	c := dial()
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 64<<10)+"\r\n\r\n")
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "431") {
		t.Errorf("a long header: %q", line)
	}
	_ = c.Close()
	var held []net.Conn
	for range httpConns {
		held = append(held, dial())
	}
	// The long one may take its time to go; then there is a place for each.
	refused := dial()
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("more connections than allowed")
	}
	for _, c := range held {
		_ = c.Close()
	}
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c := http.Client{Timeout: time.Second}
		r, err := c.Get("http://" + address + "/healthz")
		if err == nil {
			_ = r.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
