package gwmp

import (
	"errors"
	"strconv"
)

// errNumber is the reason for JSON that is no number of the wanted kind.
var errNumber = errors.New("not a number, or out of range")

// fixed6 and fixed2 are decimal fractions read without floating point, in
// millionths and in hundredths: "868.1" is 868100000 and 86810.
type (
	fixed6 int64
	fixed2 int64
)

// UnmarshalJSON implements json.Unmarshaler.
func (f *fixed6) UnmarshalJSON(b []byte) error { return unmarshalFixed((*int64)(f), b, 6) }

// UnmarshalJSON implements json.Unmarshaler.
func (f *fixed2) UnmarshalJSON(b []byte) error { return unmarshalFixed((*int64)(f), b, 2) }

func unmarshalFixed(dst *int64, b []byte, digits int) error {
	if string(b) == "null" {
		return nil
	}
	v, ok := parseFixed(b, digits)
	if !ok {
		return errNumber
	}
	*dst = v
	return nil
}

// fixedLimit keeps a number of 10^6 units and its rounding within int64.
const fixedLimit = 1_000_000_000_000

// parseFixed reads a JSON number as a fixed-point number with so many digits
// behind the point, rounded half away from zero. ok is false for what is no
// number or lies beyond ±10^12 units before the point.
func parseFixed(b []byte, digits int) (v int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	i, frac, seen := 0, -1, false // frac: digits behind the point that were taken
	for ; i < len(b); i++ {
		c := b[i]
		switch {
		case c == '.' && frac < 0:
			frac = 0
			continue
		case c < '0' || c > '9':
			if c == 'e' || c == 'E' {
				return parseExponent(b, neg, digits)
			}
			return 0, false
		}
		seen = true
		if frac >= digits {
			if frac == digits && c >= '5' {
				v++
			}
			frac++ // only the first digit beyond rounds
			continue
		}
		if v = v*10 + int64(c-'0'); v > fixedLimit*1_000_000 {
			return 0, false
		}
		if frac >= 0 {
			frac++
		}
	}
	for frac = max(frac, 0); frac < digits; frac++ {
		if v *= 10; v > fixedLimit*1_000_000 {
			return 0, false
		}
	}
	if neg {
		v = -v
	}
	return v, seen
}

// parseExponent reads the rare number with an exponent the slow way.
func parseExponent(b []byte, neg bool, digits int) (int64, bool) {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f > fixedLimit {
		return 0, false
	}
	for range digits {
		f *= 10
	}
	v := int64(f + 0.5)
	if neg {
		v = -v
	}
	return v, true
}
