package jsontext

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// Whatever the text, it can be read back.
func TestStrings(t *testing.T) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "äöü € 🛰", "a\xffb\xc3", "</script>\u2028"} {
		var back string
		b := AppendString(nil, s)
		if err := json.Unmarshal(b, &back); err != nil || back != strings.ToValidUTF8(s, "\uFFFD") {
			t.Errorf("%q is written as %s: %q, %v", s, b, back, err)
		}
	}
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
