package v3

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth limits the nesting of objects and lists in a message.
const maxDepth = 32

// reader reads a JSON text in one pass, as leniently as The Things Stack does with
// google.golang.org/protobuf/encoding/protojson: it skips unknown members, integers
// may be strings, base64 may have either alphabet and no padding, and null stands
// for a missing member.
//
// It keeps the first fault. After a value of the wrong kind it goes on with the
// next value; after text that is not JSON it reads everything as if the text had
// ended.
type reader struct {
	b      []byte
	i      int
	depth  int
	item   int    // number of the present item in the list, from 1; 0: none
	fault  string // the first fault
	faults int
}

// path returns the path of a field.
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

// report records a fault of a field.
func (r *reader) report(field, fault string) {
	if r.faults++; r.faults == 1 {
		r.fault = r.path(field) + ": " + fault
	}
}

// stop records a fault that ends the reading.
func (r *reader) stop(fault string) {
	if r.faults == 0 {
		r.fault = fmt.Sprintf("%s at byte %d", fault, r.i)
	}
	r.faults++
	r.b, r.i = nil, 0
}

func (r *reader) noJSON() { r.stop("not JSON") }

// wrong records that a value has another kind than its field, and skips the value.
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

// null reads a null if that comes next.
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

// sequence reads the elements between two brackets. Commas separate them.
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

// members reads an object. The body of the range loop reads the value of each
// member.
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

// elements reads a list. The body of the range loop reads each element.
func (r *reader) elements(yield func() bool) { r.sequence(yield) }

// skip skips a value.
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

// known returns the field of a member whose value the caller must read now; the
// member's name is the field's in snake_case or in camelCase. It returns "" if the
// member is done: an unknown member, a null, or a duplicate, which is a fault. seen
// has a bit for each field that was read.
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

// sameName reports whether the name of a member is a field's name in snake_case or
// in camelCase.
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

// quoted reads a string. The bytes may be part of the text. It returns nil if no
// string comes next.
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

// escaped reads the rest of a string that has a backslash.
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

// escape appends the character of an escape sequence. The backslash was read
// before.
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

// number reads a number and returns its text.
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

// numberLength returns the length of the JSON number at the beginning of b, or 0 if
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
