package classc

import (
	"testing"
	"time"

	"lorawand/radio"
)

// Where the time of an item lies to RX1, which opens 10 s after the start.
func TestPlaceOf(t *testing.T) {
	const airtime = 200 * time.Millisecond
	second := func(s float64) radio.HostTime { return radio.HostTime(s * float64(time.Second)) }
	for _, tt := range []struct {
		name    string
		at      float64 // s
		due     bool
		airtime time.Duration
		want    Place
	}{
		{"no time", 0, false, airtime, Elsewhere},
		{"long before", 5, false, airtime, Beside},
		{"long before, and an answer is due", 5, true, airtime, Beside},
		{"ends when RX1 opens", 9.8, false, airtime, InRX1},
		{"ends so long before that the device can turn to RX1", 9.7, true, airtime, Beside},
		{"a long frame", 7.5, false, 2500 * time.Millisecond, InRX1},
		{"with RX1", 10, true, airtime, InRX1},
		{"while the device listens in RX1", 10.26, false, airtime, InRX1},
		{"behind", 10.27, false, airtime, Beside},
		{"behind a frame that is due", 10.27, true, airtime, Elsewhere},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := PlaceOf(second(tt.at), tt.airtime, second(10), tt.due); got != tt.want {
				t.Errorf("place %d, want %d", got, tt.want)
			}
		})
	}
}
