package broker

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/v3"
)

// A client with QoS 0 that does not read is cut off and what it has missed is
// counted; the library drops in silence.
func TestSlowClient(t *testing.T) {
	s := start(t, Limits{WritesPending: 100, WriteDeadline: 200 * time.Millisecond})
	s.login("slow").subscribe(0, "#")
	payload := strings.Repeat("x", 10_000)
	s.eventually("it is cut off", func() bool {
		for range 50 {
			s.up(payload)
		}
		return s.Stats().Clients == 0
	})
	if st := s.Stats(); st.ClientDropped == 0 || !strings.Contains(s.logged.String(), "too slow") {
		t.Errorf("%+v\n%s", st, s.logged)
	}
	if n := strings.Count(s.logged.String(), "too slow"); n != 1 {
		t.Errorf("logged %d times, want once", n)
	}
}

// Garbage from many connections costs neither the process nor much memory, and
// a client at work does not notice.
func TestGarbage(t *testing.T) {
	s := start(t, Limits{Unauthenticated: 1000, PerAddress: 1000})
	good := s.login("good").subscribe(0, "#")
	seeds := [][]byte{
		{0x10, 0xff, 0xff, 0xff, 0x7f},
		{0x82, 6, 0, 1, 0, 0, 1, 'a'},
		{0x30, 2, 0, 9},
		{0xf0, 0},
		{0x10, 0},
		{0x10, 20, 0, 4, 'M', 'Q', 'T', 'T', 5, 0xff, 0, 0, 0xff, 0xff, 0xff, 0xff},
		[]byte("GET / HTTP/1.1\r\n\r\n"),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 400 {
		r := dialRaw(t, s.addr)
		r.bytes(seeds[i%len(seeds)]...)
		r.Close()
		if i%10 == 0 {
			s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("x")})
			good.gets(upTopic, "x", 0)
		}
	}
	// The same from a client that has logged in.
	for range 20 {
		r := s.loginAs(5, "bad", "app1", s.key1)
		r.bytes(0x82, 6, 0, 1, 0, 0, 1, 'a')
		_ = r.closed(patience)
	}
	s.eventually("all gone", func() bool { st := s.Stats(); return st.Clients == 1 && st.Sessions == 1 && st.Panics == 0 })
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 32<<20 {
		t.Errorf("the process has grown by %d MB", grown>>20)
	}
	if n := s.server.Clients.Len(); n != 1 {
		t.Errorf("the library keeps %d clients, want 1", n)
	}
}
