package region

import "strings"

// Version is a version of the regional parameters, in the order in which they
// were published.
type Version uint8

// Versions. Of 1.0.2, 1.0.3 and 1.1 the last letter is the revision.
const (
	VersionUnknown Version = iota // the rules of a network that knows nothing of its device
	V1_0
	V1_0_1
	V1_0_2A
	V1_0_2B
	V1_0_3A
	V1_1A
	V1_1B
	RP002_1_0_0
	RP002_1_0_1
	RP002_1_0_2
	RP002_1_0_3
	RP002_1_0_4

	numVersions
)

// versionNames are those of The Things Stack (PHYVersion), each with the number
// that its enumeration gives it.
//
// Source: api/ttn/lorawan/v3/lorawan.proto of lorawan-stack 3.32.1.
var versionNames = [numVersions]struct {
	name   string
	number int
}{
	VersionUnknown: {"PHY_UNKNOWN", 0},
	V1_0:           {"PHY_V1_0", 1},
	V1_0_1:         {"PHY_V1_0_1", 2},
	V1_0_2A:        {"PHY_V1_0_2_REV_A", 3},
	V1_0_2B:        {"PHY_V1_0_2_REV_B", 4},
	V1_0_3A:        {"PHY_V1_0_3_REV_A", 7},
	V1_1A:          {"PHY_V1_1_REV_A", 5},
	V1_1B:          {"PHY_V1_1_REV_B", 6},
	RP002_1_0_0:    {"RP002_V1_0_0", 8},
	RP002_1_0_1:    {"RP002_V1_0_1", 9},
	RP002_1_0_2:    {"RP002_V1_0_2", 10},
	RP002_1_0_3:    {"RP002_V1_0_3", 11},
	RP002_1_0_4:    {"RP002_V1_0_4", 12},
}

// String returns the name of The Things Stack, such as "PHY_V1_0_3_REV_A".
func (v Version) String() string {
	if v >= numVersions {
		v = VersionUnknown
	}
	return versionNames[v].name
}

// VersionNumber returns the version that has a number in The Things Stack's
// enumeration, or VersionUnknown.
func VersionNumber(n uint64) Version {
	for v, row := range versionNames {
		if uint64(row.number) == n {
			return Version(v)
		}
	}
	return VersionUnknown
}

// otherNames of versions: what The Things Stack also takes, and how people write
// them.
var otherNames = map[string]Version{
	"TS001_V1_0": V1_0, "TS001_V1_0_1": V1_0_1, "RP001_V1_0_2": V1_0_2A, "RP001_V1_0_2_REV_B": V1_0_2B,
	"RP001_V1_0_3_REV_A": V1_0_3A, "RP001_V1_1_REV_A": V1_1A, "RP001_V1_1_REV_B": V1_1B,
	"1.0": V1_0, "1.0.0": V1_0, "1.0.1": V1_0_1, "1.0.2": V1_0_2B, "1.0.2-A": V1_0_2A, "1.0.2-B": V1_0_2B,
	"1.0.3": V1_0_3A, "1.0.3-A": V1_0_3A, "1.1": V1_1B, "1.1-A": V1_1A, "1.1-B": V1_1B,
	"RP002-1.0.0": RP002_1_0_0, "RP002-1.0.1": RP002_1_0_1, "RP002-1.0.2": RP002_1_0_2,
	"RP002-1.0.3": RP002_1_0_3, "RP002-1.0.4": RP002_1_0_4,
}

// ParseVersion reads what String returns, and other names of the versions.
// Another text gives VersionUnknown.
func ParseVersion(s string) Version {
	for v := range versionNames {
		if versionNames[v].name == s {
			return Version(v)
		}
	}
	if v, ok := otherNames[s]; ok || len(s) > 32 {
		return v
	}
	return otherNames[strings.ToUpper(s)]
}

// limits are what is known of a device's dwell times.
type limits uint8

const (
	notTold       limits = iota // nothing
	told                        // the first of four: none, uplink, downlink, both
	uplinkLimit   = 1
	downlinkLimit = 2

	numLimits = told + uplinkLimit + downlinkLimit + 1
)

func limitsOf(l DwellLimits) limits {
	out := told
	if l.Uplink {
		out += uplinkLimit
	}
	if l.Downlink {
		out += downlinkLimit
	}
	return out
}

// views are a plan as each device sees it, by the place of its tables among those of
// the band, and by limits: [place*numLimits+limits].
type views []Plan

func (v views) at(place uint8, l limits) *Plan { return &v[int(place)*int(numLimits)+int(l)] }
