package enddevice

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio/region"
)

// listed writes the channels of a plan as The Things Stack does, of which those of a mask, in
// hexadecimal words, are in use.
func listed(t *testing.T, planID, mask string) string {
	t.Helper()
	p, err := region.Lookup(planID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(fixedChannels(maskOf(t, mask), p))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func maskOf(t *testing.T, text string) (m region.ChannelMask) {
	t.Helper()
	for i, word := range strings.Fields(text) {
		if _, err := fmt.Sscanf(word, "%x", &m[i]); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

const (
	block2 = "ff00 0 0 0 2"
	block3 = "0 ff 0 0 4"

	allOf72 = "ffff ffff ffff ffff ff"
)

var maskCases = []struct {
	name             string
	plan             string
	current, desired string // masks; "": none is told
	is, wish         string // "": nothing
}{
	{"none told", "US_902_928_FSB_2", "", "", "", ""},
	{"those of the plan", "US_902_928_FSB_2", block2, block2, block2, ""},
	{"others wished", "US_902_928_FSB_2", block2, block3, block2, block3},
	{"others wished and in use", "US_902_928_FSB_2", block3, block3, block3, block3},
	{"those of the plan wished, others in use", "US_902_928_FSB_2", block3, block2, block3, ""},
	{"those of the plan wished, all in use", "US_902_928_FSB_2", allOf72, block2, allOf72, ""},
	{"those of the plan wished, and nothing known", "US_902_928_FSB_2", "", block2, "", ""},
	{"wished, and nothing known", "AU_915_928_FSB_2", "", block3, "", block3},
	{"of 96", "CN_470_510_FSB_11", "0 0 0 0 0 ff", "ff 0 0 0 0 0", "0 0 0 0 0 ff", "ff"},
	{"no channel is no wish", "US_902_928_FSB_2", block2, "0", block2, ""},
}

// Which of 72 or 96 channels are in use, and which are wished, is read, and is the same after
// an export and an import.
func TestMasksAreHandedOver(t *testing.T) {
	for _, tt := range maskCases {
		t.Run(tt.name, func(t *testing.T) {
			part := func(name, mask string) string {
				list := "[]"
				if mask != "" {
					list = listed(t, tt.plan, mask)
				}
				const windows = `"rx1_delay":5,"rx2_data_rate_index":8,"rx2_frequency":"923300000"`
				return `"` + name + `_parameters":{` + windows + `,"channels":` + list + `}`
			}
			text := strings.NewReplacer("EU_863_870_TTN", tt.plan, `"session"`, `"mac_state":{`+part("current", tt.current)+","+
				part("desired", tt.desired)+`},"session"`).Replace(otaaSession)
			entries, err := Parse([]byte(text), opts)
			if err != nil {
				t.Fatal(err)
			}
			checkMasks(t, entries[0].Device, tt.is, tt.wish)
			next, err := again(entries[0].Device)
			if err != nil {
				t.Fatal(err)
			}
			checkMasks(t, next, tt.is, tt.wish)
		})
	}
}

func checkMasks(t *testing.T, d *session.Device, is, wish string) {
	t.Helper()
	m := d.Session.MAC
	if m == nil {
		m = &macstate.State{}
	}
	word := func(m *region.ChannelMask) string { return fmt.Sprintf("%04x", *m) }
	got := [2]string{}
	if m.Mask != nil {
		got[0] = word(m.Mask)
	}
	if m.Wish != nil && m.Wish.Mask != nil {
		got[1] = word(m.Wish.Mask)
	}
	want := [2]string{}
	for i, text := range []string{is, wish} {
		if text != "" {
			mask := maskOf(t, text)
			want[i] = word(&mask)
		}
	}
	if got != want || len(d.Session.Parameters.Channels) > 0 || m.Wish != nil && len(m.Wish.Channels) > 0 {
		t.Errorf("uses and wishes %v, want %v; channels %v", got, want, d.Session.Parameters.Channels)
	}
}
