package admin

import (
	"math"
	"testing"
	"time"
)

func TestWear(t *testing.T) {
	const year = 8766 * time.Hour
	for _, tt := range []struct {
		name      string
		written   int64
		uplinks   uint64
		uptime    time.Duration
		endurance int64
		each      float64 // -1: not told
		years     float64 // -1: too early
	}{
		{"before ten minutes", 1000, 10, earliest - 1, 1e12, 100, -1},
		{"no uplink yet", 1000, 0, time.Minute, 1e12, -1, -1},
		{"one uplink a second, 300 bytes each", 300 * 3600, 3600, time.Hour, 800e9, 300, 800e9 / 300 / year.Seconds()},
		{"a year for a tenth", 80e9, 1e6, year, 800e9, 80_000, 10},
		{"nothing written", 0, 5, time.Hour, 800e9, 0, mostYears},
		{"hardly anything written", 1, 5, 24 * time.Hour, 800e9, 0.2, mostYears},
	} {
		w := wear(tt.written, tt.uplinks, tt.uptime, tt.endurance)
		told := func(what string, got *float64, want float64) {
			if want < 0 {
				if got != nil {
					t.Errorf("%s: %s is %v", tt.name, what, *got)
				}
				return
			}
			if got == nil || math.Abs(*got-want) > 1e-6*want {
				t.Errorf("%s: %s is not %v: %+v", tt.name, what, want, w)
			}
		}
		told("bytes for each uplink", w.PerUplink, tt.each)
		told("years", w.YearsLeft, tt.years)
	}
}
