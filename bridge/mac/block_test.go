package mac

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio/region"
)

// maskNamed reads a mask: "fsb2" is the second block of 8 channels with its channel of 500 kHz
// where the band has those, "fsb2-" without, "wide2" that one alone, "all" all, "0,9" by number.
func maskNamed(t *testing.T, p *region.Plan, text string) (m region.ChannelMask) {
	t.Helper()
	wide := p.MaxChannels() == 72
	for word := range strings.FieldsSeq(text) {
		var n int
		switch {
		case word == "all":
			return p.StartMask()
		case strings.HasPrefix(word, "wide"):
			if _, err := fmt.Sscanf(word, "wide%d", &n); err != nil {
				t.Fatal(err)
			}
			m.Set(63 + n)
		case strings.HasPrefix(word, "fsb"):
			if _, err := fmt.Sscanf(word, "fsb%d", &n); err != nil {
				t.Fatal(err)
			}
			for i := range 8 {
				m.Set(8*(n-1) + i)
			}
			if wide && !strings.HasSuffix(word, "-") {
				m.Set(63 + n)
			}
		default:
			if _, err := fmt.Sscan(word, &n); err != nil {
				t.Fatal(err)
			}
			m.Set(n)
		}
	}
	return m
}

// blockCases are wishes of which channels to use in bands that lay all down: what is asked has
// the forms of ChMaskCntl that the device's version knows (LoRaWAN regional parameters).
var blockCases = []struct {
	plan    string
	version session.Version
	wish    string
	asked   string // all requests, in hexadecimal
}{
	// Channels of the plan from the join-accept, from 1.0.3 on.
	{"US_902_928_FSB_2", session.V1_0_3, "fsb1", "0330ff0001" + "0330010041"},
	{"US_902_928_FSB_2", session.V1_0_4, "fsb2", ""},
	{"US_902_928_FSB_2", session.V1_0_4, "fsb2-", "0330000041"},
	{"US_902_928_FSB_2", session.V1_0_4, "fsb2 fsb7", "0330ff0031" + "0330420041"},
	{"US_902_928_FSB_2", session.V1_0_4, "wide2", "0340000001"},
	{"US_902_928_FSB_2", session.V1_1, "8 9 10 11", "0330000f01" + "0330000041"},
	{"US_902_928_FSB_2", session.V1_1, "all", "0330ff0061"},
	{"AU_915_928_FSB_2", session.V1_0_4, "fsb1", "091d" + "0330ff0001" + "0330010041"},
	{"AU_915_928_FSB_2", session.V1_0_4, "fsb1 fsb2 fsb3 fsb4 fsb5", "091d" + "03301f0051" + "03301f0041"},
	{"CN_470_510_FSB_11", session.V1_1, "fsb1", "0330ff0001" + "0330000051"},
	{"CN_470_510_FSB_11", session.V1_1, "all", "0330000061"},
	// All channels at first: before 1.0.3 a join-accept has no masks.
	{"US_902_928_FSB_2", session.V1_0_2, "fsb1", "0330010071" + "0330ff0001"},
	{"US_902_928_FSB_2", session.V1_0_2, "all", ""},
	{"AU_915_928_FSB_2", session.V1_0_2, "fsb1", "0330010071" + "0330ff0001"},
	{
		"CN_470_510_FSB_11", session.V1_0_2, "fsb11-",
		"0330ff0051" + "0330000001" + "0330000011" + "0330000021" + "0330000031" + "0330000041",
	},
	// Each request by itself before 1.0.2: none leaves the device without a channel.
	{"US_902_928_FSB_2", session.V1_0_1, "fsb1", "0330ff0001" + "0330010041" + "0330000011" + "0330000021" + "0330000031"},
}

// The wish of which channels to use is asked once, in one block, and holds: what ADR asks
// later leaves the channels as they are.
func TestMaskWishes(t *testing.T) {
	for _, tt := range blockCases {
		t.Run(fmt.Sprintf("%s, %v, %s", tt.plan, tt.version, tt.wish), func(t *testing.T) {
			e := newEndDevice(t, tt.plan, tt.version, link{3, 0, 1})
			e.noADR = true
			want := maskNamed(t, e.plan, tt.wish)
			e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Mask: &want}}
			for range 10 {
				e.uplink()
			}
			if got := hexOf(e.asked); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
			e.noADR = false
			for range 50 {
				e.uplink()
			}
			if used, _ := usedMask(e.d, e.d.Session, e.plan); e.mask != want || used != want {
				t.Errorf("uses %04x, known to use %04x, wanted %04x", e.mask, used, want)
			}
		})
	}
}

// blockCourses are what becomes of a wish for the second and seventh block of US915, of a
// device of LoRaWAN 1.0.4 in block 2.
var blockCourses = []struct {
	name  string
	run   func(e *endDevice, wish func(text string))
	asked string // all requests, in hexadecimal
	uses  string
}{
	{"refused: it keeps its channels, and ADR goes on with them", func(e *endDevice, wish func(string)) {
		e.refuses = func(macstate.Command) (byte, bool) { return 6, true }
		wish("fsb2 fsb7")
		e.goOn(30)
		e.refuses = nil
		e.d.Settings.MAC.ADR = macstate.ADR{Static: &macstate.Static{DataRate: 2, NbTrans: 1}}
		e.noADR = false
		e.goOn(30)
	}, "0330ff0031" + "0330420041" + "032000ff01", "fsb2"},
	{"another wish while the first is not answered", func(e *endDevice, wish func(string)) {
		e.mute = true
		wish("fsb1")
		e.goOn(1)
		e.mute = false
		wish("fsb3")
		e.goOn(30)
	}, "0330ff0001" + "0330010041" + "0330040071" + "0330ff0011", "fsb3"},
	{"a power cut before the answer", func(e *endDevice, wish func(string)) {
		wish("fsb1")
		e.goOn(1)
		e.restart()
		e.goOn(30)
	}, "0330ff0001" + "0330010041", "fsb1"},
	{"a power cut after the answer", func(e *endDevice, wish func(string)) {
		wish("fsb1")
		e.goOn(3)
		e.restart()
		e.goOn(30)
	}, "0330ff0001" + "0330010041", "fsb1"},
	{"taken back", func(e *endDevice, wish func(string)) {
		wish("fsb1")
		e.goOn(3)
		wish("")
		e.goOn(30)
	}, "0330ff0001" + "0330010041" + "033000ff01" + "0330020041", "fsb2"},
	{"it falls back to the lowest data rate, and uses all", func(e *endDevice, wish func(string)) {
		wish("fsb1")
		e.noADR = false
		e.goOn(30)
		e.asked, e.link, e.mask, e.heard = nil, link{0, 0, 1}, e.plan.StartMask(), snrAt(-1000)
		e.goOn(30)
	}, "0300010071" + "0300ff0001", "fsb1"},
	{"made with the channels of the plan", func(e *endDevice, wish func(string)) {
		e.d.SupportsJoin = false
		for n, c := range e.plan.DefaultChannels() {
			if e.mask.Has(n) {
				e.d.Settings.Frequencies = append(e.d.Settings.Frequencies, c.Frequency)
			}
		}
		e.goOn(30)
	}, "", "fsb2"},
	{"a wish of no channel is none", func(e *endDevice, wish func(string)) {
		e.d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Mask: &region.ChannelMask{}}}
		e.goOn(30)
	}, "", "fsb2"},
}

// restart has the network read what it has stored of the session.
func (e *endDevice) restart() {
	e.Helper()
	b, err := json.Marshal(e.d.Session.MAC)
	if err != nil {
		e.Fatal(err)
	}
	var state macstate.State
	if err := json.Unmarshal(b, &state); err != nil {
		e.Fatal(err)
	}
	e.d.Session.MAC = &state
}

func TestMaskWishCourses(t *testing.T) {
	for _, tt := range blockCourses {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "US_902_928_FSB_2", session.V1_0_4, link{3, 0, 1})
			e.noADR = true
			tt.run(e, func(text string) {
				w := &macstate.Wish{}
				if text != "" {
					mask := maskNamed(t, e.plan, text)
					w.Mask = &mask
				}
				e.d.Session.SetMAC(e.d.Session.MAC.With(func(m *macstate.State) { m.Wish = w }))
			})
			if got := hexOf(e.asked); got != tt.asked {
				t.Errorf("asked %s, want %s", got, tt.asked)
			}
			want := maskNamed(t, e.plan, tt.uses)
			if used, _ := usedMask(e.d, e.d.Session, e.plan); e.mask != want || used != want {
				t.Errorf("uses %04x, known to use %04x, want %04x", e.mask, used, want)
			}
		})
	}
}
