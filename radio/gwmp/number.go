package gwmp

import (
	"bytes"
	"math"
	"strconv"
)

// numberLength returns the length of the JSON number at the beginning of b, or 0 if
// there is none (RFC 8259, section 6).
func numberLength(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := digits(b[i:])
	if whole == 0 {
		return 0
	}
	if b[i] == '0' {
		whole = 1 // and no other digit behind it
	}
	i += whole
	if i < len(b) && b[i] == '.' {
		n := digits(b[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	return i
}

// digits returns how many digits b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(b)
}

// parseInteger reads a JSON number without fraction and exponent. ok is false for
// other numbers, and for those outside of int64.
func parseInteger(b []byte) (v int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	u, ok := parseDigits(b)
	switch {
	case neg && u <= -math.MinInt64:
		return -int64(u), ok
	case !neg && u <= math.MaxInt64:
		return int64(u), ok
	}
	return 0, false
}

// parseWhole reads a JSON number that is whole, in any form. ok is false for other
// numbers, for those outside of int64, and for those with a fraction or an exponent
// that float64 cannot hold exactly.
func parseWhole(b []byte) (v int64, ok bool) {
	if v, ok := parseInteger(b); ok {
		return v, true
	}
	if !bytes.ContainsAny(b, ".eE") {
		return 0, false
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, false
	}
	return int64(f), true
}

// parseDigits reads a number of digits only. ok is false for other text, and for
// numbers with 20 digits or more without leading zeros.
func parseDigits(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' || v >= 1e18 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, len(b) > 0
}

// fixedLimit is more than any number with six digits behind the point needs. Ten
// times as much fits int64.
const fixedLimit = 100_000_000_000_000_000

// parseFixed reads a JSON number as a fixed-point number with up to six digits
// behind the point, rounded half away from zero: with six digits "868.1" is
// 868100000. ok is false for text that is not a number, and for numbers beyond
// about ±10^12.
func parseFixed(b []byte, digits int) (v int64, ok bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	frac := -1 // digits read behind the point
	for _, c := range b {
		switch {
		case c == '.' && frac < 0:
			frac = 0
			continue
		case c == 'e' || c == 'E':
			return parseExponent(b, neg, digits)
		case c < '0' || c > '9':
			return 0, false
		}
		ok = true
		if frac >= digits {
			if frac == digits && c >= '5' {
				v++
			}
			frac = digits + 1 // further digits do not matter
			continue
		}
		if v >= fixedLimit {
			return 0, false
		}
		v = v*10 + int64(c-'0')
		if frac >= 0 {
			frac++
		}
	}
	for frac = max(frac, 0); frac < digits; frac++ {
		if v >= fixedLimit {
			return 0, false
		}
		v *= 10
	}
	if neg {
		v = -v
	}
	return v, ok
}

// parseExponent reads the rare number with an exponent in a slow way.
func parseExponent(b []byte, neg bool, digits int) (int64, bool) {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || f > 1e12 {
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
