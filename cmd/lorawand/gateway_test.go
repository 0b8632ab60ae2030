package main

import (
	"strings"
	"testing"

	"lorawand/bridge/admin"
)

// TestGatewayClock shows what keeps the calendar of a gateway right.
func TestGatewayClock(t *testing.T) {
	for want, g := range map[string]admin.Gateway{
		"its own":                 {},
		"its own, with GPS time":  {GPS: true},
		"ntp, within 3ms; no fix": {Clock: "ntp", ClockError: 0.003, GNSS: "no fix"},
		"ntp, within 13ms":        {Clock: "ntp", ClockError: 0.0125},
		"ntp, within 1ms":         {Clock: "ntp", ClockError: 0.000_001},
		"ntp":                     {Clock: "ntp"},
		"rtc, unchecked":          {Clock: "rtc"},
		"not set":                 {Clock: "none"},
		"gnss, within 1ms":        {Clock: "gnss", ClockError: 0.000_001},
		"ntp, within 15.999s":     {Clock: "ntp", ClockError: 15.999},
	} {
		if got := clock(&g); got != want {
			t.Errorf("%+v: %q, want %q", g, got, want)
		}
	}
}

// Whatever a fault says, a gateway has its cells.
func TestGatewayOfManyWords(t *testing.T) {
	g := admin.Gateway{ID: "gw", Fault: "open /dev/a\tb: no\nsuch device", GNSS: "a\tb"}
	var out strings.Builder
	if err := printGateway(&out, &g); err != nil {
		t.Fatal(err)
	}
	contains(t, "gateway get", out.String(), "state:          does not work: open /dev/a\uFFFDb: no\uFFFDsuch device\n")
	contains(t, "gateway get", out.String(), "clock:          its own; a\uFFFDb\n")
}
