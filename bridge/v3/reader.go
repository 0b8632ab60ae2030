package v3

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep the objects and lists of a message are nested.
const maxDepth = 32

// reader takes a JSON text apart in one pass, as leniently as The Things Stack
// does: google.golang.org/protobuf/encoding/protojson, with members that are
// not known left out. Integers may be strings, base64 may be of either
// alphabet and without padding, and null is a member that is not there.
//
// It keeps the first fault. A value of the wrong kind is passed over and the
// rest is still read; after text that is no JSON everything reads as if the
// text had ended.
type reader struct {
	b      []byte
	i      int
	depth  int
	item   int    // which one of the list is read, from 1 on; 0: none
	fault  string // the first
	faults int
}

// path says where a field stands.
func (r *reader) path(field string) string {
	if r.item == 0 {
		return field
	}
	item := "downlinks[" + strconv.Itoa(r.item-1) + "]"
	if field == "" {
		return item
	}
	return item + "." + field
}

// report notes a fault of a field.
func (r *reader) report(field, fault string) {
	if r.faults++; r.faults == 1 {
		r.fault = r.path(field) + ": " + fault
	}
}

// stop notes a fault after which nothing can be read.
func (r *reader) stop(fault string) {
	if r.faults == 0 {
		r.fault = fmt.Sprintf("%s at byte %d", fault, r.i)
	}
	r.faults++
	r.b, r.i = nil, 0
}

func (r *reader) noJSON() { r.stop("not JSON") }

// wrong notes that a value is not what its field takes, and passes over it.
func (r *reader) wrong(field, want string) {
	if r.peek() != 0 {
		r.report(field, "not "+want)
	}
	r.skip()
}

// peek returns the first byte of the next token, 0 at the end.
func (r *reader) peek() byte {
	for ; r.i < len(r.b); r.i++ {
		switch c := r.b[r.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// null takes a null, if that is next.
func (r *reader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.literal("null")
	return true
}

func (r *reader) literal(word string) {
	if !bytes.HasPrefix(r.b[r.i:], []byte(word)) {
		r.noJSON()
		return
	}
	r.i += len(word)
}

// sequence reads what stands between brackets and is parted by commas.
func (r *reader) sequence(element func() bool) {
	closing := r.b[r.i] + 2 // ASCII: '{' and '}', '[' and ']'
	if r.depth++; r.depth > maxDepth {
		r.stop("nested too deep")
		return
	}
	r.i++
	for more := r.peek() != closing; more; {
		if !element() {
			return
		}
		if more = r.peek() == ','; more {
			r.i++
		}
	}
	if r.peek() != closing {
		r.noJSON()
		return
	}
	r.i++
	r.depth--
}

// members reads an object, which is next. Whoever ranges over it reads the
// value of each member.
func (r *reader) members(yield func(name []byte) bool) {
	r.sequence(func() bool {
		name := r.quoted()
		if r.peek() != ':' {
			r.noJSON()
			return false
		}
		r.i++
		return yield(name)
	})
}

// elements reads a list, which is next. Whoever ranges over it reads each
// element.
func (r *reader) elements(yield func() bool) { r.sequence(yield) }

// skip passes over a value.
func (r *reader) skip() {
	switch r.peek() {
	case '{':
		for range r.members {
			r.skip()
		}
	case '[':
		for range r.elements {
			r.skip()
		}
	case '"':
		r.quoted()
	case 't':
		r.literal("true")
	case 'f':
		r.literal("false")
	case 'n':
		r.literal("null")
	default:
		r.number()
	}
}

// known returns which of the fields a member is, in snake_case as here or in
// camelCase, when its value is to be read. It returns "" where nothing is left
// to do: the member is not known, is null, or comes again, which is a fault.
// seen has a bit for each field that came.
func (r *reader) known(name []byte, fields []string, seen *uint32) string {
	for i, n := range fields {
		if !sameName(name, n) {
			continue
		}
		if *seen&(1<<i) != 0 {
			r.report(n, "more than once")
			break
		}
		*seen |= 1 << i
		if r.null() {
			return ""
		}
		return n
	}
	r.skip()
	return ""
}

// sameName reports whether a member's name is that of a field, which is
// snake_case, or its camelCase.
func sameName(name []byte, field string) bool {
	if string(name) == field {
		return true
	}
	i := 0
	for j := 0; j < len(field); j++ {
		c := field[j]
		if c == '_' {
			j++
			c = field[j] - 'a' + 'A'
		}
		if i == len(name) || name[i] != c {
			return false
		}
		i++
	}
	return i == len(name)
}

// quoted reads a string, which must be next. The bytes may lie within the
// text. It returns nil where there is none.
func (r *reader) quoted() []byte {
	if r.peek() != '"' {
		r.noJSON()
		return nil
	}
	r.i++
	for start, i := r.i, r.i; i < len(r.b); i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.i = i + 1
			return r.validUTF8(r.b[start:i])
		case c == '\\':
			r.i = i
			return r.escaped(slices.Clone(r.b[start:i]))
		case c < ' ':
			r.i = i
			r.noJSON()
			return nil
		}
	}
	r.noJSON()
	return nil
}

func (r *reader) validUTF8(s []byte) []byte {
	if !utf8.Valid(s) {
		r.stop("not UTF-8")
		return nil
	}
	return s
}

// escaped reads the rest of a string from its first backslash on.
func (r *reader) escaped(s []byte) []byte {
	for r.i < len(r.b) {
		c := r.b[r.i]
		r.i++
		switch {
		case c == '"':
			return r.validUTF8(s)
		case c < ' ':
			r.noJSON()
			return nil
		case c == '\\':
			var ok bool
			if s, ok = r.escape(s); !ok {
				r.noJSON()
				return nil
			}
		default:
			s = append(s, c)
		}
	}
	r.noJSON()
	return nil
}

// escape appends what an escape stands for, behind its backslash.
func (r *reader) escape(s []byte) ([]byte, bool) {
	if r.i == len(r.b) {
		return s, false
	}
	c := r.b[r.i]
	r.i++
	switch c {
	case '"', '\\', '/':
		return append(s, c), true
	case 'b':
		return append(s, '\b'), true
	case 'f':
		return append(s, '\f'), true
	case 'n':
		return append(s, '\n'), true
	case 'r':
		return append(s, '\r'), true
	case 't':
		return append(s, '\t'), true
	case 'u':
		v, ok := r.hex4()
		if ok && utf16.IsSurrogate(v) {
			var low rune
			if ok = bytes.HasPrefix(r.b[r.i:], []byte(`\u`)); ok {
				r.i += 2
				low, ok = r.hex4()
			}
			v = utf16.DecodeRune(v, low)
			ok = ok && v != utf8.RuneError
		}
		return utf8.AppendRune(s, v), ok
	}
	return s, false
}

func (r *reader) hex4() (rune, bool) {
	if len(r.b)-r.i < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(r.b[r.i:r.i+4]), 16, 16)
	r.i += 4
	return rune(v), err == nil
}

// number reads a number, which must be next, and returns its text.
func (r *reader) number() []byte {
	r.peek()
	n := numberLength(r.b[r.i:])
	if n == 0 {
		r.noJSON()
		return nil
	}
	r.i += n
	return r.b[r.i-n : r.i]
}

// numberLength returns how long the JSON number is that b begins with, 0 if
// there is none (RFC 8259, section 6).
func numberLength(b []byte) int {
	i := 0
	digits := func() bool {
		start := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		if i++; !digits() {
			return 0
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return 0
		}
	}
	return i
}
