package classb

import (
	"math"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// How long a device has to acknowledge a downlink: what its owner says, as far as that can be
// added to a time.
func TestTimeout(t *testing.T) {
	const now = radio.HostTime(1000 * 24 * time.Hour)
	minute, longest := time.Minute, time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		name   string
		classC bool
		b, c   *time.Duration
		least  time.Duration
		most   time.Duration
	}{
		{"Class B, nothing said", false, nil, &minute, 10 * time.Minute, 10 * time.Minute},
		{"Class B, a minute", false, &minute, nil, minute, minute},
		{"Class B, the longest", false, &longest, nil, 365 * 24 * time.Hour, longest},
		{"Class C, nothing said", true, &minute, nil, 5 * time.Minute, 5 * time.Minute},
		{"Class C, a minute", true, nil, &minute, minute, minute},
		{"Class C, the longest", true, nil, &longest, 365 * 24 * time.Hour, longest},
		{"Class C, which joins", true, &minute, nil, 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &session.Device{ClassB: true, ClassC: tt.classC, Session: &session.Session{}}
			if tt.name == "Class C, which joins" {
				d.Pending = &session.Session{}
			}
			d.Settings.MAC.ClassBTimeout, d.Settings.MAC.ClassCTimeout = tt.b, tt.c
			got := Timeout(d)
			if got < tt.least || got > tt.most || now.Add(got) < now {
				t.Errorf("%v, want from %v to %v", got, tt.least, tt.most)
			}
		})
	}
}
