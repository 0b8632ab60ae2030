//go:build !small

package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// source opens an event stream as an EventSource does.
func (s *stand) source(query, header string) *http.Response {
	s.Helper()
	req, err := http.NewRequest("GET", "http://"+s.api.Addr().String()+prefix+"/events"+query, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if header != "" {
		req.Header.Set("Authorization", header)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = r.Body.Close() })
	return r
}

// A browser's EventSource gets each event as a message: those of the key's application, or
// of the devices that it names.
func TestEventSource(t *testing.T) {
	s := newStand(t)
	all := s.source("?access_token="+s.keys["app"], "")
	one := s.source("?device_id=other&device_id=dev1", "Bearer "+s.keys["app"])
	foreign := s.source("", "Bearer "+s.keys["foreign"])
	s.uplink("app1", 2)
	for name, r := range map[string]*http.Response{"all": all, "one": one} {
		if kind := r.Header.Get("Content-Type"); r.StatusCode != 200 || kind != "text/event-stream" {
			t.Fatalf("%s: status %d, %s", name, r.StatusCode, kind)
		}
		data, found := strings.CutPrefix(nextLine(t, r), "data: ")
		var e eventJSON
		if !found || json.Unmarshal([]byte(data), &e) != nil || e.Name != "as.up.data.forward" {
			t.Errorf("%s: %s", name, data)
		}
	}
	s.uplink("harness", 3)
	if line := nextLine(t, foreign); !strings.Contains(line, `"f_port":3`) {
		t.Errorf("another application gets %s", line)
	}
	for query, want := range map[string]int{
		"?access_token=" + s.keys["devices"]: 403, "?access_token=x": 400, "": 403,
		"?access_token=" + s.keys["app"] + strings.Repeat("&device_id=x", maxIdentifiers+1): 400,
	} {
		if r := s.source(query, ""); r.StatusCode != want {
			t.Errorf("%.60s: status %d, want %d", query, r.StatusCode, want)
		}
	}
	s.wantsStatus("GET", "/applications/app1/devices?access_token="+s.keys["app"], 403)
}

// nextLine returns the next line that is not empty.
func nextLine(t *testing.T, r *http.Response) string {
	t.Helper()
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		if lines.Text() != "" {
			return lines.Text()
		}
	}
	t.Fatalf("no line: %v", lines.Err())
	return ""
}

// wantsStatus asks without a key in the header.
func (s *stand) wantsStatus(method, path string, want int) {
	s.Helper()
	req, err := http.NewRequest(method, "http://"+s.api.Addr().String()+prefix+path, http.NoBody)
	if err != nil {
		s.Fatal(err)
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != want {
		s.Errorf("%s %.60s: status %d, want %d", method, path, r.StatusCode, want)
	}
}
