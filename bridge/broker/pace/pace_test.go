package pace

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who tries wrong keys as fast as he can makes one line a second in the log, which
// says how many were left out.
func TestLinesOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged strings.Builder
		log := slog.New(slog.NewTextHandler(&logged, nil))
		var l Lines
		for range 1001 {
			l.Say(log, slog.LevelInfo, "refused", slog.String("user", "x"))
			time.Sleep(5 * time.Millisecond)
		}
		text := logged.String()
		if n := strings.Count(text, "msg=refused user=x"); n != 6 {
			t.Errorf("%d lines in 5 s", n)
		}
		if n := strings.Count(text, "lines_left_out=199"); n != 5 {
			t.Errorf("%d lines say how many were left out:\n%s", n, text)
		}
	})
}

// In the long run a handshake begins each handshakePause, whoever asks.
func TestHandshakes(t *testing.T) {
	var h Handshakes
	now := time.Unix(1000, 0)
	for i := range handshakeBurst {
		if wait, ok := h.Reserve(now); wait != 0 || !ok {
			t.Fatalf("handshake %d waits %v, %v", i, wait, ok)
		}
	}
	for i := range int(HandshakeTime / handshakePause) {
		want := time.Duration(i+1) * handshakePause
		if wait, ok := h.Reserve(now); wait != want || !ok {
			t.Fatalf("handshake %d behind the burst waits %v, %v; want %v", i, wait, ok, want)
		}
	}
	if wait, ok := h.Reserve(now); ok {
		t.Errorf("one more than can have its turn in time waits %v", wait)
	}
	if wait, ok := h.Reserve(now.Add(time.Minute)); wait != 0 || !ok {
		t.Errorf("a minute later a handshake waits %v, %v", wait, ok)
	}
}

func TestSourceOf(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::1": "2001:db8:1:2::",
		"2001:db8:1:3::1": "2001:db8:1:3::", "::1": "::",
	} {
		if got := SourceOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s counts as %v, want %s", addr, got, want)
		}
	}
}
