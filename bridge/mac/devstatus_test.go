package mac

import (
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
)

// The battery is asked for by time, whichever way the calendar has gone since the last answer.
func TestDevStatusByTime(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		last *macstate.Status // nil: none yet
		now  time.Time
		want bool
	}{
		{"no answer yet", nil, at, true},
		{"an hour later", &macstate.Status{At: at}, at.Add(time.Hour), false},
		{"a day later", &macstate.Status{At: at}, at.Add(statusTime), true},
		{"the calendar an hour back", &macstate.Status{At: at}, at.Add(-time.Hour), false},
		{"the calendar ten years back", &macstate.Status{At: at}, at.AddDate(-10, 0, 0), true},
		{"no calendar now", &macstate.Status{At: at}, time.Time{}, false},
		{"no calendar then", &macstate.Status{}, at, false},
	} {
		a := &asking{UplinkContext: UplinkContext{
			Device: &session.Device{}, Session: &session.Session{MAC: &macstate.State{Status: tt.last}}, At: tt.now,
		}}
		if wantDevStatus(a); (len(a.wanted) == 1) != tt.want {
			t.Errorf("%s: asked for %v, want %v", tt.name, a.wanted, tt.want)
		}
	}
}
