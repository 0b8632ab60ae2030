package session

import (
	"testing"
)

// A registration that does not know what the device was told changes only what it
// names anew.
func TestSucceedParameters(t *testing.T) {
	two, three := uint8(2), uint8(3)
	known := Parameters{RX1Delay: 5, RX1DROffset: 1, RX2DataRate: 3, RX2Frequency: 869_525_000}
	for _, tt := range []struct {
		name     string
		was, is  Settings
		brings   *Parameters
		delay    uint8
		dataRate uint8
	}{
		{"nothing", Settings{}, Settings{}, nil, 5, 3},
		{"as before", Settings{RX1Delay: &two}, Settings{RX1Delay: &two}, nil, 5, 3},
		{"a delay", Settings{}, Settings{RX1Delay: &two}, nil, 2, 3},
		{"another delay", Settings{RX1Delay: &two}, Settings{RX1Delay: &three, RX2DataRate: &two}, nil, 3, 2},
		{"what it was told", Settings{}, Settings{RX1Delay: &two}, &Parameters{RX1Delay: 7}, 7, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old := otaa()
			old.SupportsJoin, old.Settings = false, tt.was
			p := known
			old.Session.Parameters = &p
			next := old.Clone()
			next.Settings, next.Session.Parameters = tt.is, tt.brings
			next.Succeed(old)
			got := next.Session.Parameters
			if got.RX1Delay != tt.delay || got.RX2DataRate != tt.dataRate {
				t.Errorf("%+v, want RX1 delay %d and RX2 data rate %d", got, tt.delay, tt.dataRate)
			}
			if p.RX1Delay != 5 {
				t.Error("what it was is changed, so that it could not be taken back")
			}
		})
	}
}
