package region

import (
	"cmp"
	"slices"
	"sort"
	"strings"
)

// About is where a plan is for.
type About struct {
	ID        string   `json:"id"`
	Band      string   `json:"band_id"`
	Region    string   `json:"region"`
	Countries []string `json:"country_codes,omitempty"` // ISO 3166, in lower case; a hint, not the law
	TTN       bool     `json:"ttn"`                     // The Things Network uses it
}

const (
	// de and no are missing in the source below; their rules are those of ERC/REC 70-03 too.
	inEurope = "al ad ao at bh be ba bw bg cg hr cy cz de dk ee sz fi fr gr hu is ie it lv ls li lt lu mg mw mt mu md " +
		"me mz na nl no mk ph pl pt ro ru sa rs sc sk si za es se ch tz tr ae gb va zm zw"
	inNorthAmerica  = "ca cr ec gy mx pa pr us"
	inAustralia     = "ar au bo br ca cl co do nz py pe sr uy"
	inSouthEastAsia = "bn kh hk id la tw th vn"
)

// places say where plans are for, by how the id begins and ends; the first that fits
// holds.
//
// Source: frequency-plans.yml of github.com/TheThingsNetwork/lorawan-frequency-plans
// at 041ab05; MHz are left out where the id has them.
var places = []struct{ begin, end, region, countries string }{
	{"EU_433", "", "ITU region 1", ""},
	{"EU_", "", "Europe", inEurope},
	{"US_", "", "North America", inNorthAmerica},
	{"AU_", "_BR", "Brazil", "br"},
	{"AU_", "", "Australia", inAustralia},
	{"CN_", "", "China", "cn"},
	{"AS_920_923_TTN_JP", "", "Japan", "jp"},
	{"AS_", "_TTN_AU", "Australia", "au"},
	{"AS_920_923_LBT", "", "Asia", "jp my sg"},
	{"AS_920_923", "", "Asia", "my sg"},
	{"AS_923_925", "", "Asia", inSouthEastAsia},
	{"AS_923_2", "", "Asia, AS923 group 2", ""},
	{"AS_923_3", "", "Asia, AS923 group 3", ""},
	{"AS_923_4", "", "Asia, AS923 group 4", ""},
	{"AS_923", "", "Asia, AS923 group 1", ""},
	{"SG_", "", "Singapore", "sg"},
	{"IL_", "", "Israel", "il"},
	{"IN_", "", "India", "in"},
	{"KR_", "", "South Korea", "kr"},
	{"MA_", "", "Morocco", "ma"},
	{"RU_", "", "Russia", "ru"},
	{"UZ_", "", "Uzbekistan", "uz"},
}

// ttnPlans are those that frequency-plans.yml says are of The Things Network.
var ttnPlans = []string{
	"EU_863_870_TTN", "US_902_928_FSB_2", "AU_915_928_FSB_2", "CN_470_510_FSB_11", "AS_920_923", "AS_920_923_LBT",
	"AS_923_925", "AS_923_925_LBT", "AS_920_923_TTN_AU", "AS_923_925_TTN_AU", "KR_920_923_TTN", "RU_864_870_TTN",
	"IL_917_920_TTN",
}

// About returns where the plan is for.
func (p *Plan) About() About {
	a := About{ID: p.id, Band: p.band.id, TTN: slices.Contains(ttnPlans, p.id)}
	for _, where := range places {
		if strings.HasPrefix(p.id, where.begin) && strings.HasSuffix(p.id, where.end) {
			a.Region, a.Countries = where.region, strings.Fields(where.countries)
			break
		}
	}
	return a
}

// All returns all plans in the order of the table. The caller must not change the
// slice.
func All() []*Plan { return plans }

// Meant says which plans somebody may mean by a name that no plan has, or why that plan is left out; "" if
// it resembles none.
func Meant(name string) string {
	if strings.HasPrefix(name, "ISM_2400") {
		return "plans of 2.4 GHz are left out: no gateway that lorawand serves has such a radio"
	}
	if near := Nearest(name); near != nil {
		return "the nearest are " + strings.Join(near, ", ")
	}
	return ""
}

// shortNames of bands, as RP002 and makers have them, and what ids have for them.
var shortNames = [][2]string{
	{"EU868", "EU863870"},
	{"US915", "US902928"},
	{"AU915", "AU915928"},
	{"CN470", "CN470510"},
	{"KR920", "KR920923"},
	{"IN865", "IN865867"},
	{"RU864", "RU864870"},
	{"MA869", "MA869870"},
}

// Nearest returns the ids of up to five plans that somebody may mean by a name that
// no plan has, best first; none if it resembles none.
func Nearest(name string) []string {
	const most, longest = 5, 40
	name = plainID(name[:min(len(name), longest)])
	for _, s := range shortNames {
		if rest, ok := strings.CutPrefix(name, s[0]); ok && !strings.HasPrefix(name, s[1]) {
			name = s[1] + rest
			break
		}
	}
	type candidate struct {
		plan            *Plan
		distance, whole int
	}
	var near []candidate
	for _, p := range plans {
		if c := (candidate{plan: p}); len(name) > 1 {
			c.distance, c.whole = distances(name, plainID(p.id))
			if 3*c.distance <= len(name) {
				near = append(near, c)
			}
		}
	}
	sort.SliceStable(near, func(i, j int) bool {
		a, b := &near[i], &near[j]
		preferred, whole := cmp.Compare(preference(b.plan), preference(a.plan)), cmp.Compare(a.whole, b.whole)
		if a.distance == 0 { // the ids begin like that
			return cmp.Or(cmp.Compare(a.distance, b.distance), preferred, whole) < 0
		}
		return cmp.Or(cmp.Compare(a.distance, b.distance), whole, preferred) < 0
	})
	var ids []string
	for _, c := range near[:min(len(near), most)] {
		ids = append(ids, c.plan.id)
	}
	return ids
}

// preference puts the plans of The Things Network first.
func preference(p *Plan) int {
	if slices.Contains(ttnPlans, p.id) {
		return 1
	}
	return 0
}

// plainID is a name in upper case, without what stands between its words.
func plainID(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, s)
}

// distances count the letters to insert, delete or change (Levenshtein) between a
// name and how an id begins, and between it and the whole id.
func distances(name, id string) (begin, whole int) {
	row := make([]int, len(name)+1)
	for j := range row {
		row[j] = j
	}
	begin = row[len(name)]
	for i := range len(id) {
		before := row[0]
		row[0] = i + 1
		for j := range len(name) {
			changed := before
			if name[j] != id[i] {
				changed++
			}
			before = row[j+1]
			row[j+1] = min(changed, before+1, row[j]+1)
		}
		begin = min(begin, row[len(name)])
	}
	return begin, row[len(name)]
}
