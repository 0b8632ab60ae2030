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
		if got := s.Take(tt.name, now); got != tt.want {
			t.Errorf("%s at %v: %v", tt.name, now.Unix(), got)
		}
	}
	taken := 0
	for i := range 3 * maxNames {
		if s.Take(fmt.Sprint(i), now) {
			taken++
		}
	}
	if taken != maxNames-2 || len(s.last) != maxNames {
		t.Errorf("%d names", taken)
	}
	if !s.Take("c", now.Add(seldom)) || len(s.last) != 1 {
		t.Errorf("%d names are remembered", len(s.last))
	}
}
