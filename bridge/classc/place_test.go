package classc

import (
	"testing"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// PlaceOf compares the time of an item with RX1, which opens 10 s after the start.
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
			it := &session.Item{ClassBC: &session.ClassBC{}}
			if got := PlaceOf(it, nil, second(tt.at), tt.airtime, second(10), tt.due); got != tt.want {
				t.Errorf("place %d, want %d", got, tt.want)
			}
		})
	}
}

// RX1 is for an item that names gateways only where no other one could be taken.
func TestPlaceOfNamedGateways(t *testing.T) {
	a, b := &gateway.Gateway{ID: "a", EUI: radio.EUI64{1}}, &gateway.Gateway{ID: "b", EUI: radio.EUI64{2}}
	for _, tt := range []struct {
		name  string
		named []session.GatewayAntenna
		paths []gateway.Path
		want  Place
	}{
		{"none named", nil, []gateway.Path{{Gateway: a}, {Gateway: b}}, InRX1},
		{"the one", []session.GatewayAntenna{{GatewayID: "a"}}, []gateway.Path{{Gateway: a}}, InRX1},
		{"by its EUI", []session.GatewayAntenna{{EUI: radio.EUI64{1}}}, []gateway.Path{{Gateway: a}}, InRX1},
		{
			"both",
			[]session.GatewayAntenna{{GatewayID: "a"}, {GatewayID: "b"}},
			[]gateway.Path{{Gateway: a}, {Gateway: b}},
			InRX1,
		},
		{"one of two", []session.GatewayAntenna{{GatewayID: "a"}}, []gateway.Path{{Gateway: a}, {Gateway: b}}, Beside},
		{"another", []session.GatewayAntenna{{GatewayID: "b"}}, []gateway.Path{{Gateway: a}}, Beside},
	} {
		it := &session.Item{ClassBC: &session.ClassBC{Gateways: tt.named}}
		if got := PlaceOf(it, tt.paths, 10, time.Second, 10, false); got != tt.want {
			t.Errorf("%s: place %d, want %d", tt.name, got, tt.want)
		}
	}
}

// When an item is to be sent, by any calendar.
func TestTime(t *testing.T) {
	const now = radio.HostTime(time.Minute)
	noon := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		at      time.Time
		quality radio.TimeQuality
		want    radio.HostTime
	}{
		{"at no time of its own", time.Time{}, radio.TimeNTP, 0},
		{"in 10 s", noon.Add(10 * time.Second), radio.TimeNTP, now.Add(10 * time.Second)},
		{"passed", noon.Add(-10 * time.Second), radio.TimeRTC, now.Add(-10 * time.Second)},
		{"the last day", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), radio.TimeNTP, now.Add(Far)},
		{"the first day", time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), radio.TimeNTP, now.Add(-Far)},
		{"without a calendar", noon.Add(10 * time.Second), radio.TimeNone, now.Add(Far)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			it := &session.Item{ClassBC: &session.ClassBC{AbsoluteTime: tt.at}}
			if got := Time(it, now, radio.WallTime{Time: noon, Quality: tt.quality}); got != tt.want {
				t.Errorf("at %d, want %d", got, tt.want)
			}
		})
	}
	if got := Time(&session.Item{}, now, radio.WallTime{}); got != 0 {
		t.Errorf("without class_b_c: at %d", got)
	}
}
