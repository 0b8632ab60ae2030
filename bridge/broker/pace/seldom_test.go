package pace

import (
	"fmt"
	"testing"
	"time"
)

// A name has its turn once a minute; how many names have one in a minute is bounded.
func TestSeldom(t *testing.T) {
	var s Seldom
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		after time.Duration
		name  string
		want  bool
	}{
		{0, "a", true},
		{time.Second, "a", false},
		{time.Second, "b", true},
		{57 * time.Second, "a", false},
		{time.Second, "a", true},
		{time.Second, "b", false},
		{time.Second, "b", true},
	} {
		now = now.Add(tt.after)
		if got := s.Take("app1", tt.name, now); got != tt.want {
			t.Errorf("%s at %v: %v", tt.name, now.Unix(), got)
		}
	}
	for _, app := range []string{"app2", "app3"} {
		taken := 0
		for i := range 3 * maxNames {
			if s.Take(app, fmt.Sprint(i), now) {
				taken++
			}
		}
		if taken != maxNames || len(s.last[app]) != maxNames {
			t.Errorf("%d names of %s", taken, app)
		}
	}
	if !s.Take("app2", "a", now.Add(seldom)) || len(s.last) != 1 || len(s.last["app2"]) != 1 {
		t.Errorf("%d names of %d applications are remembered", len(s.last["app2"]), len(s.last))
	}
}
