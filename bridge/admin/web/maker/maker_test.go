package maker

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, tt := range []struct{ eui, want string }{
		{"24E124FFFE000001", "Milesight"},
		{"70B3D57ED0001234", "The Things Network (own and many makers' devices)"},
		{"70B3D57ECFFFFFFF", ""}, // the block beside it
		{"0024E124FFFE0000", ""}, // not at the beginning
		{"24E12", ""},
		{"0000000000000000", ""},
		{"", ""},
	} {
		if got := Of(tt.eui); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.eui, got, tt.want)
		}
	}
}

// Each row can be reached and is written as EUIs are.
func TestMakers(t *testing.T) {
	for _, m := range makers {
		if got := Of(m.begin + strings.Repeat("0", 16-len(m.begin))); got != m.name {
			t.Errorf("%s is of %s, not of %s", m.begin, got, m.name)
		}
		if strings.Trim(m.begin, "0123456789ABCDEF") != "" || len(m.begin) < 6 || len(m.begin) > 9 {
			t.Errorf("%q is not the beginning of an EUI", m.begin)
		}
	}
}
