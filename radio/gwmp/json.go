package gwmp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth limits the nesting of objects and lists, as encoding/json does.
const maxDepth = 10_000

// Faults of the whole text.
var (
	errSyntax = errors.New("not JSON")
	errDepth  = fmt.Errorf("JSON that is nested deeper than %d", maxDepth)
)

// scanner parses a JSON text in one pass (RFC 8259). It accepts and refuses the
// same texts as encoding/json, but copies nothing: its results are parts of the
// text.
//
// After broken, a fault of the whole text, everything reads as if the text had
// ended. A value of another kind than its field is skipped, and the state of the
// field says so.
type scanner struct {
	b      []byte
	i      int
	depth  int
	first  bool // nothing was read since the last enter
	broken error

	lower [longestName]byte
}

// state says whether a field was read.
type state uint8

// States.
const (
	absent     state = iota // missing, or null
	known                   // read
	unreadable              // present, but not of the field's kind
)

// number is a field with a number; v is 0 unless the number is known.
type number struct {
	v int64
	state
}

// text is a field with a string: the bytes between its quotes, for unescaped. raw
// is empty unless the string is known.
type text struct {
	raw []byte
	state
}

// longestName is the length of the longest name of a field: "rssisd".
const longestName = 6

// stop ends the reading.
func (s *scanner) stop(err error) {
	if s.broken == nil {
		s.broken = fmt.Errorf("%w at byte %d", err, s.i)
	}
	s.b, s.i = nil, 0
}

// peek returns the first byte of the next token, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// end checks that nothing is left.
func (s *scanner) end() {
	if s.peek(); s.i < len(s.b) {
		s.stop(errSyntax)
	}
}

// object enters an object; more and name then read its members. Another value is
// skipped.
func (s *scanner) object() state { return s.enter('{') }

// list enters a list; more then reads its elements. Another value is skipped.
func (s *scanner) list() state { return s.enter('[') }

func (s *scanner) enter(opening byte) state {
	if s.peek() != opening {
		return s.other()
	}
	s.i++
	s.depth++ // only known fields are entered, so this is bounded
	s.first = true
	return known
}

// more reports whether the entered object or list has another element. It reads the
// comma before the element, or else the closing bracket.
func (s *scanner) more(closing byte) bool {
	first := s.first
	s.first = false
	switch c := s.peek(); {
	case c == closing:
		s.i++
		s.depth--
		return false
	case first:
		return true
	case c == ',':
		s.i++
		return true
	}
	s.stop(errSyntax)
	return false
}

// name reads the name of a member and the colon behind it. It returns the name in
// lower case, or nil for some names that no field has.
func (s *scanner) name() []byte {
	field := s.quoted()
	s.colon()
	for _, c := range field {
		if c < 'a' || c > 'z' {
			return s.fold(field)
		}
	}
	return field
}

func (s *scanner) colon() {
	if s.peek() != ':' {
		s.stop(errSyntax)
		return
	}
	s.i++
}

// fold returns a name as encoding/json compares names: it ignores case, and U+017F
// and U+212A are an s and a k.
func (s *scanner) fold(raw []byte) []byte {
	if len(raw) > len(`\u0000`)*longestName {
		return nil
	}
	out := s.lower[:0]
	for name := unescaped(raw); len(name) > 0; {
		r, n := utf8.DecodeRune(name)
		name = name[n:]
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r == '\u017f':
			r = 's'
		case r == '\u212a':
			r = 'k'
		}
		if r >= utf8.RuneSelf || len(out) == longestName {
			return nil
		}
		out = append(out, byte(r))
	}
	return out
}

// null reads a null if that comes next.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.literal("null")
	return true
}

func (s *scanner) literal(word string) {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		s.stop(errSyntax)
		return
	}
	s.i += len(word)
}

// other skips a value that is not of the field's kind. Null counts as a missing
// value.
func (s *scanner) other() state {
	if s.null() {
		return absent
	}
	s.skip()
	return unreadable
}

// text reads a string.
func (s *scanner) text() text {
	if s.peek() != '"' {
		return text{state: s.other()}
	}
	return text{s.quoted(), known}
}

// integer reads a whole number from low to high in any form: 100, 100.0 or 1e2.
func (s *scanner) integer(low, high int64) number {
	if !s.atNumber() {
		return number{state: s.other()}
	}
	v, ok := parseWhole(s.number())
	if !ok || v < low || v > high {
		return number{state: unreadable}
	}
	return number{v, known}
}

// fixed reads a number as a fixed-point number with this many digits behind the
// point.
func (s *scanner) fixed(digits int) number {
	if !s.atNumber() {
		return number{state: s.other()}
	}
	v, ok := parseFixed(s.number(), digits)
	if !ok {
		return number{state: unreadable}
	}
	return number{v, known}
}

func (s *scanner) atNumber() bool {
	c := s.peek()
	return c == '-' || c >= '0' && c <= '9'
}

// quoted reads a string and returns the bytes between its quotes. Like
// encoding/json it accepts invalid UTF-8.
func (s *scanner) quoted() []byte {
	if s.peek() != '"' {
		s.stop(errSyntax)
		return nil
	}
	s.i++
	start := s.i
	for i := start; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:i]
		case c == '\\':
			n := escapeLength(s.b[i:])
			if n == 0 {
				s.i = i
				s.stop(errSyntax)
				return nil
			}
			i += n - 1
		case c < ' ':
			s.i = i
			s.stop(errSyntax)
			return nil
		}
	}
	s.i = len(s.b)
	s.stop(errSyntax)
	return nil
}

// escapeLength returns the length of the escape sequence at the beginning of b, or
// 0 if there is none.
func escapeLength(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// unescaped returns the text of a JSON string. A character beyond 16 bits, which no
// field needs, becomes two U+FFFD.
func unescaped(raw []byte) []byte {
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return raw
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		switch c := raw[i+1]; c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
			out = utf8.AppendRune(out, rune(r))
		default:
			out = append(out, c)
		}
		i += escapeLength(raw[i:])
	}
	return out
}

// number reads a number and returns its text.
func (s *scanner) number() []byte {
	s.peek()
	n := numberLength(s.b[s.i:])
	if n == 0 {
		s.stop(errSyntax)
		return nil
	}
	s.i += n
	return s.b[s.i-n : s.i]
}

// skip skips a value. It is not recursive, so that nested input cannot exhaust the
// stack.
func (s *scanner) skip() {
	var few [32]byte
	awaited := few[:0] // closing brackets
	for {
		switch c := s.peek(); c {
		case '{', '[':
			if s.depth+len(awaited) == maxDepth {
				s.stop(errDepth)
				return
			}
			s.i++
			awaited = append(awaited, c+2) // ASCII: '{' and '}', '[' and ']'
			if s.peek() == c+2 {
				break
			}
			if c == '{' {
				s.quoted()
				s.colon()
			}
			continue
		case '"':
			s.quoted()
		case 't':
			s.literal("true")
		case 'f':
			s.literal("false")
		case 'n':
			s.literal("null")
		default:
			s.number()
		}
		if awaited = s.leave(awaited); len(awaited) == 0 {
			return
		}
	}
}

// leave reads what may follow a skipped object or list: closing brackets, and the
// beginning of the next member. It returns the closing brackets that are still
// missing.
func (s *scanner) leave(awaited []byte) []byte {
	for len(awaited) > 0 {
		closing := awaited[len(awaited)-1]
		switch s.peek() {
		case closing:
			s.i++
			awaited = awaited[:len(awaited)-1]
		case ',':
			s.i++
			if closing == '}' {
				s.quoted()
				s.colon()
			}
			return awaited
		default:
			s.stop(errSyntax)
			return nil
		}
	}
	return nil
}
