package gateway

import (
	"testing"
	"time"

	"lorawand/radio"
)

func TestMoment(t *testing.T) {
	m := Moment{Counter: 5_000_000, Host: radio.HostTime(70 * time.Second)}
	tests := []struct {
		name string
		d    time.Duration
		want radio.ConcentratorTime
	}{
		{"the moment itself", 0, 5_000_000},
		{"later", time.Second, 6_000_000},
		{"earlier", -5 * time.Second, 0},
		{"behind the end of a 32-bit counter", 2 * time.Hour, 7_205_000_000},
		{"in whole microseconds", 1500 * time.Nanosecond, 5_000_001},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.CounterAt(m.Host.Add(tt.d)); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
