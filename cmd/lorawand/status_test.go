package main

import (
	"encoding/json"
	"strings"
	"testing"

	"lorawand/bridge/admin"
)

// The wear of the flash, for people and as JSON.
func TestWear(t *testing.T) {
	const day = 86400
	busy := admin.Status{
		Uptime: 10 * day, FlashWritten: 3000 * 10 * day, FlashUplinks: 3000 * 10 * day,
		Published: 10 * 10 * day,
	}
	tests := []struct {
		name, endurance string
		status          admin.Status
		text, json      string
	}{
		{
			"too early", "800GB",
			admin.Status{Uptime: 599, FlashWritten: 8192},
			"8192 bytes taken since the start; too early to tell how long it lasts", `{"flash_endurance_bytes":800000000000}`,
		},
		{
			"too early, with uplinks", "800GB",
			admin.Status{Uptime: 599, FlashWritten: 8192, FlashUplinks: 8192, Published: 4},
			"8192 bytes taken since the start, 2048 for each uplink; too early to tell how long it lasts",
			`{"flash_endurance_bytes":800000000000,"flash_bytes_per_uplink":2048}`,
		},
		{
			"uplinks and pushes", "800GB",
			admin.Status{Uptime: 599, FlashWritten: 40000, FlashUplinks: 1000, Published: 10, FlashPushes: 24576, Pushes: 2},
			"40000 bytes taken since the start, 100 for each uplink, 12288 for each push; too early to tell how long it lasts",
			`{"flash_endurance_bytes":800000000000,"flash_bytes_per_uplink":100,"flash_bytes_per_push":12288}`,
		},
		{
			"NOR flash", "800GB", busy, "2592000000 bytes taken since the start, 300 for each uplink; at this rate it lasts " +
				"8.5 years",
			`{"flash_endurance_bytes":800000000000,"flash_bytes_per_uplink":300,"flash_lifetime_years":8.5}`,
		},
		{"a card", "3 TB", busy, "lasts 31.7 years", `,"flash_lifetime_years":31.7}`},
		{"small", "80000MB", busy, "lasts 0.8 years", `,"flash_lifetime_years":0.8}`},
		{"a disk", "1000TB", busy, "lasts more than 1000 years", `,"flash_lifetime_years":10562.7}`},
		{"nothing written", "1B", admin.Status{Uptime: day}, "0 bytes taken since the start; at this rate it lasts 0.0 years", `"flash_lifetime_years":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bytes, err := parseSize(tt.endurance)
			if err != nil {
				t.Fatal(err)
			}
			w := wearOf(&tt.status, bytes)
			if got := wearText(&tt.status, w); !strings.HasSuffix(got, tt.text) {
				t.Errorf("%s, want %s", got, tt.text)
			}
			got, err := json.Marshal(w)
			if err != nil || !strings.HasSuffix(string(got), tt.json) {
				t.Errorf("%s, %v, want %s", got, err, tt.json)
			}
		})
	}
}

// One thing is not told in the plural.
func TestStatusPlural(t *testing.T) {
	for _, tt := range []struct {
		status admin.Status
		want   []string
	}{
		{admin.Status{Devices: 1, Joins: 1, Sessions: 1, APIKeys: 1}, []string{
			"1, 1 join, 0 refused\n",
			"0 connected, 1 session, 1 API key\n",
		}},
		{admin.Status{Devices: 2, Joins: 2, Sessions: 0, APIKeys: 3}, []string{
			"2, 2 joins, 0 refused\n",
			"0 connected, 0 sessions, 3 API keys\n",
		}},
	} {
		var b strings.Builder
		if err := printStatus(&b, &tt.status, nil, 1); err != nil {
			t.Fatal(err)
		}
		for _, want := range tt.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in\n%s", want, &b)
			}
		}
	}
}

// The object of status has what the daemon tells and what the flag asks for.
func TestStatusJSON(t *testing.T) {
	s := newSite(t, "")
	s.start()
	var got map[string]any
	if err := json.Unmarshal([]byte(s.must("", "status", "--json", "--endurance", "3TB")), &got); err != nil {
		t.Fatal(err)
	}
	if got["flash_endurance_bytes"] != 3e12 || got["clock"] == nil || got["flash_written_bytes"] == nil ||
		got["version"] == nil {
		t.Errorf("%v", got)
	}
}

func TestConfigCheckPlural(t *testing.T) {
	for text, want := range map[string]string{ // beside the one of every site
		"": "1 gateway",
		"[[gateway]]\neui = \"0242020000247899\"\n": "2 gateways",
	} {
		s := newSite(t, text)
		if out := s.must("", "config", "check"); out != "The configuration is good: "+want+".\n" {
			t.Errorf("%q, want %s", out, want)
		}
	}
}
