// Package sheet has the columns of a table of devices, and reads their cells, however a
// spreadsheet has written them.
package sheet

import (
	"encoding"
	"errors"
	"strings"
	"unicode"
)

// Hex reads an identifier or a key as people and spreadsheets write them: with
// separators, a prefix 0x, or marks that make a cell a text.
func Hex(s string, into encoding.TextUnmarshaler) error {
	s = strings.TrimPrefix(strings.Trim(s, `'"= `), "0x")
	s = strings.TrimPrefix(s, "0X")
	if strings.Contains(s, "E+") && strings.Trim(s, "0123456789.,E+") == "" {
		return errRounded
	}
	digits := strings.Map(func(r rune) rune {
		if r == '-' || r == ':' || r == '.' || r == '_' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	return into.UnmarshalText([]byte(digits))
}

// errRounded is the reason for what was an identifier of digits alone until a
// spreadsheet took it for a number.
var errRounded = errors.New("a spreadsheet has made a number of it and lost digits: " +
	"format the column as text, and fill it in again")
