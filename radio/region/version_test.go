package region

import (
	"errors"
	"fmt"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for v := V1_0; v < numVersions; v++ {
		if got := ParseVersion(v.String()); got != v {
			t.Errorf("%s is read as %v", v, got)
		}
		if got := VersionNumber(uint64(versionNames[v].number)); got != v {
			t.Errorf("%d is read as %v, want %v", versionNames[v].number, got, v)
		}
	}
	for text, want := range map[string]Version{
		"RP001_V1_0_2_REV_B": V1_0_2B, "TS001_V1_0": V1_0, "1.0.2": V1_0_2B, "1.0.2-a": V1_0_2A, "1.1-a": V1_1A, "rp002-1.0.3": RP002_1_0_3,
		"phy_v1_0_3_rev_a": VersionUnknown, "": VersionUnknown, "PHY_V9": VersionUnknown, "PHY_UNKNOWN": VersionUnknown,
	} {
		if got := ParseVersion(text); got != want {
			t.Errorf("%q is read as %v, want %v", text, got, want)
		}
	}
	p := lookup(t, "EU_863_870")
	if VersionNumber(99) != VersionUnknown || Version(99).String() != "PHY_UNKNOWN" || p.For(99) != p {
		t.Error("a version that is none is known")
	}
}

// Regional parameters 1.0.3 rev A, 2.2.4 and 2.5.4: channel masks in a CFList are
// new there. RP002-1.0.4 has frequencies in all versions of the other bands.
func TestCFListByVersion(t *testing.T) {
	for _, tt := range []struct {
		plan  string
		masks Version // from this one on
	}{
		{"US_902_928_FSB_2", V1_0_3A}, {"AU_915_928_FSB_2", V1_0_3A}, {"AU_915_928_FSB_2_BR", V1_0_3A},
	} {
		for v := VersionUnknown; v < numVersions; v++ {
			l := lookup(t, tt.plan).For(v).CFList()
			if want := v == VersionUnknown || v >= tt.masks; (len(l.Masks) > 0) != want || len(l.Frequencies) > 0 {
				t.Errorf("%s, %v: %+v, want masks: %t", tt.plan, v, l, want)
			}
		}
	}
	for _, id := range []string{"EU_863_870_TTN", "AS_923_925", "IN_865_867", "KR_920_923_TTN", "EU_433"} {
		for v := VersionUnknown; v < numVersions; v++ {
			if l := lookup(t, id).For(v).CFList(); len(l.Frequencies) == 0 || len(l.Masks) > 0 {
				t.Errorf("%s, %v: %+v", id, v, l)
			}
		}
	}
}

// RX1 data rates by offset 0 to 7, of some uplinks. AS923: regional parameters
// 1.0.3 rev A, 2.8.7, and RP002-1.0.4, 2.10.7. Where nothing stands, all versions
// are alike.
func TestRX1ByVersion(t *testing.T) {
	old, free, limited := V1_1B, DwellLimits{}, DwellLimits{Uplink: true, Downlink: true}
	for _, tt := range []struct {
		plan     string
		from, to Version
		told     DwellLimits
		dr       uint8
		want     string
	}{
		{"AS_923", V1_0, old, free, 0, "0 0 0 0 0 0 1 2"},
		{"AS_923", V1_0, old, free, 4, "4 3 2 1 0 0 5 5"},
		{"AS_923", V1_0, old, free, 5, "5 4 3 2 1 0 5 5"},
		{"AS_923", V1_0, old, free, 6, "5 5 4 3 2 1 5 5"},
		{"AS_923", V1_0, old, free, 7, "5 5 5 4 3 2 5 5"},
		{"AS_923", V1_0, old, limited, 0, "2 2 2 2 2 2 2 2"},
		{"AS_923", V1_0, old, limited, 7, "5 5 5 4 3 2 5 5"},
		{"AS_923", RP002_1_0_0, RP002_1_0_4, free, 4, "4 3 2 1 0 0 5 6"},
		{"AS_923", RP002_1_0_0, RP002_1_0_4, free, 7, "7 6 5 4 3 2 7 7"},
		{"AS_923", RP002_1_0_0, RP002_1_0_4, limited, 5, "5 4 3 2 2 2 6 7"},
		{"AS_923_2", V1_0, old, free, 7, "5 5 5 4 3 2 5 5"},
		{"IL_917_920_TTN", RP002_1_0_3, RP002_1_0_4, free, 7, "7 6 5 4 3 2 7 7"},
		{"EU_863_870_TTN", V1_0, RP002_1_0_4, free, 5, "5 4 3 2 1 0 - -"},
		{"KR_920_923_TTN", V1_0, RP002_1_0_4, free, 5, "5 4 3 2 1 0 - -"},
	} {
		for v := tt.from; v <= tt.to; v++ {
			p := lookup(t, tt.plan).For(v).Told(tt.told)
			got := ""
			for offset := range uint8(maxOffsets) {
				switch w, err := p.RX1(p.Channels()[0].Frequency, tt.dr, offset); {
				case errors.Is(err, ErrDataRate):
					got += " -"
				case err != nil:
					t.Error(err)
				default:
					got += fmt.Sprintf(" %d", w.DataRate)
				}
			}
			if got[1:] != tt.want {
				t.Errorf("%s, %v, %+v, DR%d:%s, want %s", tt.plan, v, tt.told, tt.dr, got, tt.want)
			}
		}
	}
}

// A plan for a device is ready made: frames ask for it.
func TestForDoesNotAllocate(t *testing.T) {
	p := lookup(t, "AS_923")
	name := V1_0_3A.String()
	if n := testing.AllocsPerRun(100, func() { p.For(ParseVersion(name)).Told(DwellLimits{Uplink: true}) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if p.For(V1_0_3A).Told(DwellLimits{Uplink: true}) != p.Told(DwellLimits{Uplink: true}).For(V1_0_3A) {
		t.Error("the order makes a difference")
	}
}
