package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"lorawand/radio"
)

// fetch gets a page of the running daemon's HTTP port.
func (r *running) fetch(path string) (int, string) {
	r.Helper()
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + r.d.http.Addr().String() + path)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// What goes by is counted.
func TestMetricsOfTraffic(t *testing.T) {
	s := newSite(t, "")
	s.must("", "device", "create", "dev1", "--application", "app1", "--dev-addr", testAddr.String(), "--nwk-s-key", testNwk, "--app-s-key", testApp)
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	r := s.start()
	ch := r.watch("app1", key, "#")
	f := r.transmitter(testEUI, func(radio.Downlink) radio.TxResult { return radio.TxOK })
	s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef")
	next(t, ch)
	contains(t, "before", r.metrics(), "lorawand_downlink_queue_items 1\n", `lorawand_downlinks_total{window="rx1",result="sent"} 0`+"\n")
	f.send(0, "x")
	for range 2 { // up and down/sent
		next(t, ch)
	}
	f.send(0, "x") // once more
	s.until("uplink repeated", "events")
	contains(t, "after", r.metrics(), `lorawand_uplinks_total{result="published"} 1`+"\n", `lorawand_uplinks_total{result="repeated"} 1`+"\n",
		"lorawand_downlink_queue_items 0\n", "lorawand_mqtt_clients 1\n", "lorawand_gateways_connected 1\n", "lorawand_api_keys 1\n",
		`lorawand_gwmp_bad_total{reason="malformed"} 0`+"\n", "# TYPE lorawand_flash_bytes_written_total counter\n", `lorawand_build_info{version="development"`)
	if text := r.metrics(); !strings.Contains(text, `window="rx1",result="sent"} 1`+"\n") && !strings.Contains(text, `window="rx2",result="sent"} 1`+"\n") {
		t.Errorf("no downlink was counted:\n%s", text)
	}
	if status, text := r.fetch("/healthz"); status != 200 || text != "ok\n" {
		t.Errorf("%d %s", status, text)
	}
	status, text := r.fetch("/readyz")
	contains(t, "readyz", text, "core: turns\nstore: can be written\nmqtt: listens on 127.0.0.1:", "udp: listens on 127.0.0.1:", ", 1 packet forwarders\n")
	if status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

func (r *running) metrics() string {
	r.Helper()
	status, text := r.fetch("/metrics")
	if status != 200 {
		r.Errorf("status %d", status)
	}
	return text
}
