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
