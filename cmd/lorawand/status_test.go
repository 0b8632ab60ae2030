package main

import (
	"strings"
	"testing"

	"lorawand/bridge/admin"
)

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"800GB": 800_000_000_000, "1": 1, "1B": 1, "2.5 kB": 2500, "1TB": 1e12, "3MB": 3e6, "1000PB": 1e18,
		"": 0, "GB": 0, "0": 0, "-1GB": 0, "NaN": 0, "inf": 0, "1001PB": 0, "1GiB": 0, "0x1p80": 0,
	} {
		if got, err := parseBytes(text); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestWearText(t *testing.T) {
	each, some, many, none := 299.6, 84.25, 1000.0, 0.04
	for _, tt := range []struct {
		wear admin.Wear
		want string
	}{
		{admin.Wear{Written: 12_345_678, PerUplink: &each, Endurance: 800e9, YearsLeft: &some}, "12.35 MB written since the start, 300 bytes for each uplink; an endurance of 800 GB lasts 84 years like that"},
		{admin.Wear{Endurance: 800e9}, "0 B written since the start; too early to tell how long an endurance of 800 GB lasts"},
		{admin.Wear{Endurance: 1, YearsLeft: &many}, "0 B written since the start; an endurance of 1 B lasts 1000 years or more"},
		{admin.Wear{Endurance: 1500, YearsLeft: &none}, "0 B written since the start; an endurance of 1.5 kB lasts 0.0 years like that"},
	} {
		if got := wearText(&tt.wear); got != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
	}
}

func TestStatusWear(t *testing.T) {
	s := newSite(t, "")
	s.start()
	contains(t, "status", s.must("", "status", "--endurance", "5TB"), "too early to tell how long an endurance of 5 TB lasts\n")
	contains(t, "status --json", s.must("", "status", "--json"), `"endurance_bytes":800000000000`, `"flash_written_bytes":`)
	if status, _, errOut := s.cli("", "status", "--endurance", "much"); status != 2 || !strings.Contains(errOut, `--endurance: "much", must be`) {
		t.Errorf("exit status %d\n%s", status, errOut)
	}
}
