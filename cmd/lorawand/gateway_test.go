package main

import (
	"testing"

	"lorawand/bridge"
)

// TestGatewayClock shows what keeps the calendar of a gateway right.
func TestGatewayClock(t *testing.T) {
	for want, g := range map[string]*bridge.HostClock{
		"its own":             nil,
		"ntp, within 13ms":    {Source: "ntp", MaxError: 0.0125},
		"ntp, within 1ms":     {Source: "ntp", MaxError: 0.000_001},
		"ntp":                 {Source: "ntp"},
		"rtc, unchecked":      {Source: "rtc"},
		"not set":             {Source: "none"},
		"gnss, within 1ms":    {Source: "gnss", MaxError: 0.000_001},
		"ntp, within 15.999s": {Source: "ntp", MaxError: 15.999},
	} {
		if got := clock(g); got != want {
			t.Errorf("%+v: %q, want %q", g, got, want)
		}
	}
}
