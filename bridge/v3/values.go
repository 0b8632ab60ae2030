package v3

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"lorawand/bridge/jsontext"
	"lorawand/radio"
)

// string reads text.
func (r *reader) string(field string) string {
	if r.peek() != '"' {
		r.wrong(field, "a string")
		return ""
	}
	return string(r.quoted())
}

// bool reads true or false.
func (r *reader) bool(field string) bool {
	c := r.peek()
	if c != 't' && c != 'f' {
		r.wrong(field, "true or false")
		return false
	}
	r.skip()
	return c == 't'
}

// uint32 reads a 32-bit integer, which may be a string.
func (r *reader) uint32(field string) uint32 {
	var s []byte
	switch c := r.peek(); {
	case c == '"':
		if s = r.quoted(); numberLength(s) != len(s) {
			s = nil
		}
	case c == '-' || c >= '0' && c <= '9':
		s = r.number()
	default:
		r.wrong(field, "a number")
		return 0
	}
	v, ok := parseInteger(s)
	if !ok || v < 0 || v > 1<<32-1 {
		r.report(field, "not an integer from 0 to 4294967295")
		return 0
	}
	return uint32(v)
}

// parseInteger reads a JSON number without a fraction: "7", "7.0", "0.7e1". ok is
// false for other numbers and for those outside of int64.
func parseInteger(s []byte) (v int64, ok bool) {
	v, err := strconv.ParseInt(string(s), 10, 64)
	if err == nil {
		return v, true
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil || f < -1<<53 || f > 1<<53 {
		return 0, false
	}
	v = int64(f)
	return v, float64(v) == f
}

// bytes reads base64. It returns nil for an empty string.
func (r *reader) bytes(field string) []byte {
	if r.peek() != '"' {
		r.wrong(field, "a string")
		return nil
	}
	s := r.quoted()
	enc := base64.StdEncoding
	if bytes.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	if len(s)%4 != 0 {
		enc = enc.WithPadding(base64.NoPadding)
	}
	v, err := enc.AppendDecode(nil, s)
	if err != nil {
		r.report(field, "not base64")
		return nil
	}
	if len(v) == 0 {
		return nil
	}
	return v
}

// time reads a time as in RFC 3339. A time before 1970 is a fault.
func (r *reader) time(field string) time.Time {
	if r.peek() != '"' {
		r.wrong(field, "a string")
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, string(r.quoted()))
	t = t.UTC()
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		r.report(field, "not a time as in RFC 3339")
		return time.Time{}
	}
	return t
}

// priority reads the name or number of a priority. An unknown name is the lowest
// priority; ok is false for an unknown number.
func (r *reader) priority(field string) (p radio.Priority, ok bool) {
	if r.peek() == '"' {
		p, _ = radio.ParsePriority(string(r.quoted()))
		return p, true
	}
	if c := r.peek(); c != '-' && (c < '0' || c > '9') {
		r.wrong(field, "a name or a number")
		return 0, true
	}
	v, ok := parseInteger(r.number())
	if !ok || v < -1<<31 || v > 1<<31-1 {
		r.report(field, "not an integer of 32 bits")
		return 0, true
	}
	if v < 0 || v > int64(radio.PriorityHighest) {
		return 0, false
	}
	return radio.Priority(v), true
}

// object reads any object and returns it as The Things Stack writes a struct:
// without spaces, with sorted keys, with numbers as float64. It returns nil after a
// fault.
func (r *reader) object(field string) []byte {
	if r.peek() != '{' {
		r.wrong(field, "an object")
		return nil
	}
	faults := r.faults
	v := r.appendObject(nil, field)
	if r.faults > faults {
		return nil
	}
	return v
}

// structMember is a member of a written object: its key and its place.
type structMember struct {
	key        []byte
	start, end int
}

// sortMembers sorts the members of an object at the end of dst.
func sortMembers(dst []byte, ms []structMember, cmp func(a, b structMember) int) []byte {
	start := ms[0].start
	old := slices.Clone(dst[start:])
	slices.SortFunc(ms, cmp)
	dst = dst[:start]
	for i, m := range ms {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, old[m.start-start:m.end-start]...)
	}
	return dst
}

func (r *reader) appendObject(dst []byte, field string) []byte {
	dst = append(dst, '{')
	var ms []structMember
	for name := range r.members {
		if len(ms) > 0 {
			dst = append(dst, ',')
		}
		m := structMember{key: name, start: len(dst)}
		dst = append(jsontext.AppendString(dst, string(name)), ':')
		dst = r.appendValue(dst, field)
		m.end = len(dst)
		ms = append(ms, m)
	}
	byKey := func(a, b structMember) int { return bytes.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(ms, byKey) {
		dst = sortMembers(dst, ms, byKey)
	}
	for i := 1; i < len(ms); i++ {
		if bytes.Equal(ms[i-1].key, ms[i].key) {
			r.report(field, "a key more than once")
			break
		}
	}
	return append(dst, '}')
}

func (r *reader) appendValue(dst []byte, field string) []byte {
	switch c := r.peek(); c {
	case '{':
		return r.appendObject(dst, field)
	case '[':
		dst = append(dst, '[')
		first := true
		for range r.elements {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = r.appendValue(dst, field)
		}
		return append(dst, ']')
	case '"':
		return jsontext.AppendString(dst, string(r.quoted()))
	case 't', 'f', 'n':
		start := r.i
		r.skip()
		return append(dst, r.b[min(start, len(r.b)):r.i]...)
	}
	v, err := strconv.ParseFloat(string(r.number()), 64)
	if err != nil {
		r.report(field, "a number out of range")
	}
	return appendFloat(dst, v, 64)
}
