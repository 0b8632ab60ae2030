// Package jsontext appends JSON as The Things Stack writes it: no spaces, keys
// sorted as strings, numbers as short as they can be read back.
package jsontext

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Object and List hold nil, bool, float64, string, List and Object.
type (
	Object map[string]any
	List   []any
)

// Append appends a value of these types. NaN and infinities must not be among
// them.
func Append(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case float64:
		return AppendNumber(dst, v, 64)
	case string:
		return AppendString(dst, v)
	case List:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Append(dst, e)
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = Append(append(AppendString(dst, k), ':'), v[k])
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// AppendNumber appends a number of 32 or 64 bits as JavaScript writes it, but
// for -0, which keeps its sign.
func AppendNumber(dst []byte, v float64, bits int) []byte {
	abs := math.Abs(v)
	if abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, bits)
	// e-07 becomes e-7
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// AppendString appends a string. What is not UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0 // what is between this and i goes as it is, and at once
	for i := 0; i < len(s); {
		c, n := s[i], 1
		if c >= utf8.RuneSelf {
			_, n = utf8.DecodeRuneInString(s[i:])
		}
		if c >= ' ' && c != '"' && c != '\\' && (c < utf8.RuneSelf || n > 1) {
			i += n
			continue
		}
		dst = appendEscaped(append(dst, s[plain:i]...), c)
		i++
		plain = i
	}
	return append(append(dst, s[plain:]...), '"')
}

// appendEscaped appends a byte of a string that cannot stand for itself.
func appendEscaped(dst []byte, c byte) []byte {
	const digits = "0123456789abcdef"
	switch {
	case c >= utf8.RuneSelf: // not UTF-8
		return utf8.AppendRune(dst, utf8.RuneError)
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
