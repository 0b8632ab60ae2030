package region

import (
	"slices"
	"strings"
	"testing"
)

// A wrong name, and the plan that is named first for it; none: it resembles none.
func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"EU868":                            "EU_863_870_TTN",
		"eu868_ttn":                        "EU_863_870_TTN",
		"EU_863_870_TNT":                   "EU_863_870_TTN",
		"EU-863-870-TTN":                   "EU_863_870_TTN",
		"EU_868":                           "EU_863_870_TTN",
		"EU_863_870_ROAMING":               "EU_863_870_ROAMING_DRAFT",
		"US915":                            "US_902_928_FSB_2",
		"US":                               "US_902_928_FSB_2",
		"US_902_928":                       "US_902_928_FSB_2",
		"US_902_928_FSB2":                  "US_902_928_FSB_2",
		"US_902_928_FBS_7":                 "US_902_928_FSB_7",
		"AU915":                            "AU_915_928_FSB_2",
		"AU_915_928_FSB_3_BRA":             "AU_915_928_FSB_3_BR",
		"AS923":                            "AS_923_925",
		"AS923-2":                          "AS_923_2",
		"AS_920_923_TTN_JP":                "AS_920_923_TTN_JP_1",
		"KR920":                            "KR_920_923_TTN",
		"IN865":                            "IN_865_867",
		"CN470":                            "CN_470_510_FSB_11",
		"CN_470_510":                       "CN_470_510_FSB_11",
		"RU864":                            "RU_864_870_TTN",
		"EU433":                            "EU_433",
		"":                                 "",
		"X":                                "",
		"\xff\x00":                         "",
		"moon":                             "",
		"ISM_2400_3CH_DRAFT2":              "",
		strings.Repeat("EU_863_870", 9999): "",
	} {
		got := Nearest(name)
		if len(got) > 5 || want == "" && len(got) > 0 || want != "" && (len(got) == 0 || got[0] != want) {
			t.Errorf("%.40q: %v, want %q first", name, got, want)
		}
	}
}

// All plans of The Things Stack, but for that of 2.4 GHz, say where they are for.
func TestAbout(t *testing.T) {
	if n := len(All()); n != 70 || n != len(IDs()) {
		t.Errorf("%d plans, want 70", n)
	}
	used := 0
	forAll(t, func(t *testing.T, p *Plan) {
		a := p.About()
		if a.ID != p.ID() || a.Band != p.BandID() || a.Region == "" || len(a.Region) > 20 {
			t.Errorf("%+v", a)
		}
		for _, c := range a.Countries {
			if len(c) != 2 {
				t.Errorf("country %q", c)
			}
		}
		if a.TTN {
			used++
		}
	})
	if used != len(ttnPlans) {
		t.Errorf("The Things Network uses %d plans of %d", used, len(ttnPlans))
	}
	for id, want := range map[string]string{
		"EU_863_870_TTN": "za", "US_902_928_FSB_2": "us", "AU_915_928_FSB_2": "nz", "AU_915_928_FSB_2_BR": "br",
		"AS_920_923_TTN_JP_1_LAND_MOBILE": "jp", "AS_920_923_LBT": "jp", "AS_920_923": "my", "AS_923_925": "th",
		"AS_920_923_TTN_AU": "au", "UZ_923_1": "uz",
	} {
		if a := lookup(t, id).About(); !slices.Contains(a.Countries, want) {
			t.Errorf("%s is for %v, want %s", id, a.Countries, want)
		}
	}
	if a := lookup(t, "AS_920_923").About(); slices.Contains(a.Countries, "jp") {
		t.Errorf("%+v: Japan asks for listening before talking", a)
	}
}
