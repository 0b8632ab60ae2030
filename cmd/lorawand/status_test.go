package main

import (
	"strings"
	"testing"

	"lorawand/bridge/admin"
)

func TestWear(t *testing.T) {
	const day = 86400
	if got := wear(&admin.Status{Uptime: 599, FlashWritten: 8192}, 800e9); got != "8192 bytes taken since the start; too early to tell how long it lasts" {
		t.Error(got)
	}
	s := admin.Status{Uptime: 10 * day, FlashWritten: 3000 * 10 * day}
	s.Published = 10 * 10 * day
	for endurance, want := range map[string]string{
		"800GB": "300 for each uplink; at this rate it lasts 8.5 years", "3 TB": "lasts 31.7 years", "1000TB": "more than 1000 years", "80000MB": "lasts 0.8 years",
	} {
		bytes, err := parseSize(endurance)
		if err != nil {
			t.Fatal(err)
		}
		if got := wear(&s, bytes); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", endurance, got, want)
		}
	}
}
