package jsontext

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Whatever the text, it can be read back, and is written as The Things Stack writes it.
func TestStrings(t *testing.T) {
	texts := []string{
		"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "äöü € 🛰", "a\xffb\xc3", "</script>\u2028",
		"\uFFFD", "\xe2\x82",
	}
	parts := []string{
		"", "a", "\"", "\\", "\n", "\x01", "ä", "€", "🛰", "\uFFFD", "\xff", "\xe2\x82", "\xed\xa0\x80", "\xc0\x80",
	}
	for range 20_000 {
		var text strings.Builder
		for range rand.IntN(6) {
			text.WriteString(parts[rand.IntN(len(parts))])
		}
		texts = append(texts, text.String())
	}
	for _, s := range texts {
		var back string
		b := AppendString([]byte("> "), s)
		if string(b) != "> "+written(s) {
			t.Fatalf("%q is written as %s, not %s", s, b, written(s))
		}
		valid := string([]rune(s)) // each byte that is not UTF-8 becomes U+FFFD
		if err := json.Unmarshal(b[len("> "):], &back); err != nil || back != valid {
			t.Fatalf("%q is written as %s: %q, %v", s, b, back, err)
		}
	}
}

// written is how a text is written, one rune after the other.
func written(s string) string {
	var w strings.Builder
	for _, r := range s {
		switch i := strings.IndexRune("\"\\\n\r\t", r); {
		case i >= 0:
			w.WriteString(`\` + `"\nrt`[i:i+1])
		case r < ' ':
			fmt.Fprintf(&w, `\u%04x`, r)
		default:
			w.WriteRune(r)
		}
	}
	return `"` + w.String() + `"`
}

// The forms of numbers are those of The Things Stack 3.32.1, measured.
func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		v    float64
		bits int
		want string
	}{
		{0, 64, "0"},
		{math.Copysign(0, -1), 64, "-0"},
		{1, 64, "1"},
		{-52.3731, 64, "-52.3731"},
		{12345678901234567890, 64, "12345678901234567000"},
		{1e20, 64, "100000000000000000000"},
		{1e21, 64, "1e+21"},
		{1e-6, 64, "0.000001"},
		{1e-7, 64, "1e-7"},
		{-1.5e-7, 64, "-1.5e-7"},
		{1e-10, 64, "1e-10"},
		{math.MaxFloat64, 64, "1.7976931348623157e+308"},
		{math.SmallestNonzeroFloat64, 64, "5e-324"},
		{float64(float32(3) / 8), 32, "0.375"},
		{float64(float32(3) / 7), 32, "0.42857143"},
		{float64(float32(1e-7)), 32, "1e-7"},
	} {
		got := string(AppendNumber(nil, tt.v, tt.bits))
		var back float64
		if err := json.Unmarshal([]byte(got), &back); got != tt.want || err != nil || tt.bits == 64 && back != tt.v {
			t.Errorf("%v with %d bits is written as %s, not %s (%v, %v)", tt.v, tt.bits, got, tt.want, back, err)
		}
	}
}

func TestValues(t *testing.T) {
	v := Object{
		"b": 1.5, "a": List{nil, true, "x", List{}, Object{}}, "10": 2.0, "9": 3.0, "B": false, "": "empty", "q\"": nil,
	}
	const want = `{"":"empty","10":2,"9":3,"B":false,"a":[null,true,"x",[],{}],"b":1.5,"q\"":null}`
	if got := string(Append([]byte("> "), v)); got != "> "+want {
		t.Errorf("%s, not %s", got, want)
	}
}
