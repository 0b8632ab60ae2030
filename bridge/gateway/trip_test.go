package gateway

import (
	"testing"
	"time"
)

func TestLead(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name         string
		local        bool
		trips        []time.Duration
		lead, latest time.Duration
	}{
		{"never answered", false, nil, 800 * ms, 75 * ms},
		{"never answered, local", true, nil, 800 * ms, 75 * ms},
		{"local", true, []time.Duration{3 * ms}, 150 * ms, 75 * ms},
		{"local, a slow host", true, []time.Duration{50 * ms}, 150 * ms, 75 * ms},
		{"local, with a network behind it", true, []time.Duration{120 * ms}, 360 * ms, 135 * ms},
		{"local, with a slow network behind it", true, []time.Duration{800 * ms}, 875 * ms, 475 * ms},
		{"local, once slow", true, append(make([]time.Duration, 31), 900*ms), 150 * ms, 75 * ms},
		{"network", false, []time.Duration{100 * ms}, 350 * ms, 125 * ms},
		{"slow network", false, []time.Duration{600 * ms}, 675 * ms, 375 * ms},
		{"network with an outlier", false, append(make([]time.Duration, 31), 900*ms), 300 * ms, 75 * ms},
		{"a clock that went back", false, []time.Duration{-5 * ms}, 300 * ms, 75 * ms},
		{
			"the old ones are forgotten", false,
			append([]time.Duration{900 * ms, 900 * ms, 900 * ms, 900 * ms}, make([]time.Duration, 32)...), 300 * ms, 75 * ms,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &Gateway{Local: tt.local}
			for _, d := range tt.trips {
				g.Answered(d)
			}
			if g.Lead() != tt.lead || g.Latest() != tt.latest {
				t.Errorf("lead %v, latest %v; want %v, %v", g.Lead(), g.Latest(), tt.lead, tt.latest)
			}
		})
	}
}
