//go:build !small

package door

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
)

// A file is compressed once, where that makes it smaller.
func TestCompressed(t *testing.T) {
	f := NewFiles(fstest.MapFS{"long.js": {Data: bytes.Repeat([]byte("x "), 1000)}, "short.txt": {Data: []byte("x")}})
	for name, smaller := range map[string]bool{"long.js": true, "short.txt": false} {
		one := f.find(name)
		if one == nil || f.find(name) != one {
			t.Fatalf("%s is not kept", name)
		}
		if (one.small != nil) != smaller || one.small != nil && len(one.small) >= len(one.plain) {
			t.Errorf("%s: %d bytes of %d", name, len(one.small), len(one.plain))
		}
	}
	for _, accepts := range []string{"gzip", "br", ""} {
		r := httptest.NewRequest("GET", "/long.js", nil)
		r.Header.Set("Accept-Encoding", accepts)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if (w.Body.Len() == 2000) != (accepts != "gzip") ||
			(w.Header().Get("Content-Encoding") == "gzip") != (accepts == "gzip") {
			t.Errorf("%q: %d bytes, %v", accepts, w.Body.Len(), w.Header())
		}
	}
}

func TestLocalNames(t *testing.T) {
	for host, want := range map[string]bool{
		"192.168.1.20:8080": true, "192.168.1.20": true, "[fd00::1]:8080": true, "[fe80::1]": true, "localhost:8080": true,
		"gateway": true, "gateway.lan": true, "Gateway.Local:80": true, "gateway.home.arpa.": true, "": false, ":80": false,
		"evil.example": false, "192.168.1.20.nip.io": false, "gateway.lan.evil.example": false, "lan": true, "x.fritz.box": true,
		"evil.example.": false, "notlan": true, "x.notlan": false,
	} {
		if got := IsLocal(&http.Request{Host: host}); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
