package board

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"lorawand/concentrator/sx1302"
)

// confValue is a value of a global_conf.json and its place. A missing value has the
// place of the object it is missing in.
type confValue struct {
	file    *confFile
	key     string // such as "radio_0.freq"; "" is the file
	line    int
	value   any // nil, bool, float64, string, map[string]*confValue or []*confValue
	missing bool
}

// confFile is a file that is being read, with its faults so far.
type confFile struct {
	name   string
	faults []error
}

// err returns the faults of the file, one error for each place.
func (f *confFile) err() error { return errors.Join(f.faults...) }

// fault adds a fault of a value: file:line: key: why.
func (v *confValue) fault(format string, args ...any) {
	v.file.faults = append(v.file.faults, confFault(v.place()+": "+fmt.Sprintf(format, args...)))
}

// place returns the place of a value: "global_conf.json:42: radio_0.freq".
func (v *confValue) place() string {
	if v.key == "" {
		return fmt.Sprintf("%s:%d", v.file.name, v.line)
	}
	return fmt.Sprintf("%s:%d: %s", v.file.name, v.line, v.key)
}

// confFault is an ErrConfig with a place in a file.
type confFault string

// Error implements error.
func (f confFault) Error() string { return string(f) }

// Is reports whether the target is ErrConfig.
func (confFault) Is(err error) bool { return err == sx1302.ErrConfig }

// kindOf names the kind of a value.
func kindOf(value any) string {
	switch value.(type) {
	case bool:
		return "true or false"
	case float64:
		return "a number"
	case string:
		return "a text"
	case map[string]*confValue:
		return "an object"
	case []*confValue:
		return "a list"
	}
	return "null"
}

// want returns the value if it has the wanted kind. Another kind is a fault.
func want[T any](v *confValue) (t T, ok bool) {
	if v.missing {
		return t, false
	}
	if t, ok = v.value.(T); !ok {
		v.fault("is %s, must be %s", kindOf(v.value), kindOf(any(t)))
	}
	return t, ok
}

// at returns a member of an object.
func (v *confValue) at(name string) *confValue {
	key := name
	if v.key != "" {
		key = v.key + "." + name
	}
	none := &confValue{file: v.file, key: key, line: v.line, missing: true}
	if v.missing {
		return none
	}
	members, ok := v.value.(map[string]*confValue)
	if !ok {
		return none // the fault was reported with the object
	}
	if m := members[name]; m != nil {
		m.key = key
		return m
	}
	return none
}

// object reports whether the value is an object.
func (v *confValue) object() bool {
	_, ok := want[map[string]*confValue](v)
	return ok
}

// list returns the items of a list.
func (v *confValue) list() []*confValue {
	items, _ := want[[]*confValue](v)
	for i, item := range items {
		item.key = fmt.Sprintf("%s[%d]", v.key, i)
	}
	return items
}

func (v *confValue) flag() bool {
	b, _ := want[bool](v)
	return b
}

func (v *confValue) text() string {
	s, _ := want[string](v)
	return s
}

// number returns a number within limits. A missing number becomes otherwise.
func (v *confValue) number(otherwise, low, high float64) float64 {
	n, ok := want[float64](v)
	if !ok {
		return otherwise
	}
	if !(n >= low && n <= high) {
		v.fault("%v, must be %v to %v", decimalText(n), decimalText(low), decimalText(high))
		return otherwise
	}
	return n
}

// whole is number without the fraction, which sx1302_hal cuts off too.
func (v *confValue) whole(otherwise, low, high int64) int64 {
	return int64(math.Trunc(v.number(float64(otherwise), float64(low), float64(high))))
}

// required makes a missing value a fault.
func (v *confValue) required() *confValue {
	if v.missing {
		v.fault("missing")
	}
	return v
}

// decimalText returns a number without an exponent.
func decimalText(n float64) string {
	if n == math.Trunc(n) && math.Abs(n) < 1e15 {
		return fmt.Sprintf("%d", int64(n))
	}
	return fmt.Sprintf("%v", n)
}

// maxConfDepth limits the nesting of a file; Semtech's files have a depth of 5.
const maxConfDepth = 32

// readConf reads a file and the line of each value. Comments were blanked before.
func readConf(name string, text []byte) (*confValue, error) {
	p := &confParser{file: &confFile{name: name}, text: text, decoder: json.NewDecoder(bytes.NewReader(text))}
	v, err := p.value(0)
	if err == nil {
		if _, more := p.decoder.Token(); more != io.EOF {
			err = errors.New("there is more behind its end")
		}
	}
	if err != nil {
		at := confValue{file: p.file, line: p.line(p.decoder.InputOffset())}
		at.fault("%v", plainJSONError(err))
		return nil, p.file.err()
	}
	return v, nil
}

// plainJSONError describes an error without the words of encoding/json.
func plainJSONError(err error) string {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the file ends too early"
	case errors.As(err, &syntax):
		return "no JSON: " + syntax.Error()
	}
	return err.Error()
}

// confParser builds the tree.
type confParser struct {
	file    *confFile
	text    []byte
	decoder *json.Decoder
	counted int64 // lines were counted up to here
	lines   int
}

// line returns the line of an offset in the text. Offsets never decrease.
func (p *confParser) line(offset int64) int {
	offset = min(offset, int64(len(p.text)))
	p.lines += bytes.Count(p.text[p.counted:max(offset, p.counted)], []byte("\n"))
	p.counted = max(offset, p.counted)
	return p.lines + 1
}

func (p *confParser) value(depth int) (*confValue, error) {
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	v := &confValue{file: p.file, line: p.line(p.decoder.InputOffset()), value: token}
	switch {
	case depth > maxConfDepth:
		return nil, fmt.Errorf("nested deeper than %d", maxConfDepth)
	case token == json.Delim('{'):
		v.value, err = p.object(depth)
	case token == json.Delim('['):
		v.value, err = p.list(depth)
	}
	return v, err
}

func (p *confParser) object(depth int) (map[string]*confValue, error) {
	members := map[string]*confValue{}
	for p.decoder.More() {
		name, err := p.decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string) // a decoder returns only strings here
		if members[key] != nil {
			return nil, fmt.Errorf("%.60q occurs twice", key)
		}
		if members[key], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := p.decoder.Token()
	return members, err
}

func (p *confParser) list(depth int) ([]*confValue, error) {
	items := []*confValue{}
	for p.decoder.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := p.decoder.Token()
	return items, err
}

// withoutComments replaces the C comments in Semtech's files by blanks.
func withoutComments(text []byte) []byte {
	out := slices.Clone(text)
	const (
		code = iota
		quoted
		block
		line
	)
	state := code
	for i := 0; i < len(out); i++ {
		two := string(out[i:min(i+2, len(out))])
		switch {
		case state == quoted:
			if out[i] == '\\' {
				i++
			} else if out[i] == '"' {
				state = code
			}
		case state == code && out[i] == '"':
			state = quoted
		case state == code && two == "/*":
			state = block
			out[i], out[i+1] = ' ', ' '
			i++
		case state == code && two == "//":
			state = line
			out[i] = ' '
		case state == block && two == "*/":
			state = code
			out[i], out[i+1] = ' ', ' '
			i++
		case state == line && out[i] == '\n':
			state = code
		case state == block || state == line:
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}
	return out
}
