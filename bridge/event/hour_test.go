package event

import (
	"testing"
	"time"

	"lorawand/radio"
)

func TestHour(t *testing.T) {
	var h Hour
	at := func(d time.Duration) radio.HostTime { return radio.HostTime(d) }
	if n := h.Count(at(5 * time.Hour)); n != 0 {
		t.Errorf("%d before the first", n)
	}
	h = Hour{}
	for m := range 120 {
		h.Add(at(time.Duration(m) * time.Minute))
		h.Add(at(time.Duration(m)*time.Minute + time.Second))
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{
		{119 * time.Minute, 120},
		{120 * time.Minute, 118},
		{150 * time.Minute, 58},
		{178 * time.Minute, 2},
		{179 * time.Minute, 0},
		{1000 * time.Hour, 0},
	} {
		if n := h.Count(at(tt.after)); n != tt.want {
			t.Errorf("after %v: %d, want %d", tt.after, n, tt.want)
		}
	}
	h.Add(at(time.Hour)) // late
	if n := h.Count(at(1000 * time.Hour)); n != 1 {
		t.Errorf("one that comes late: %d", n)
	}
}
