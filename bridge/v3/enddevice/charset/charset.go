// Package charset reads texts of spreadsheets, which are in UTF-8, UTF-16 or Windows-1252.
package charset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// Error says why a file is no text, and in which line.
type Error struct {
	Line int
	What string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

// UTF8 returns a file's text as UTF-8 without byte order mark. Spreadsheets
// also write UTF-16, with a mark or without, and Windows-1252.
func UTF8(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0")):
		return nil, &Error{1, "a workbook or an archive"}
	case bytes.HasPrefix(b, []byte("\ufeff")):
		b = b[len("\ufeff"):]
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		b = fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		b = fromUTF16(b[2:], binary.BigEndian)
	case len(b) >= 4 && b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0:
		b = fromUTF16(b, binary.LittleEndian)
	case len(b) >= 4 && b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0:
		b = fromUTF16(b, binary.BigEndian)
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return nil, &Error{1 + bytes.Count(b[:i], []byte("\n")), "not a text"}
	}
	if utf8.Valid(b) {
		return b, nil
	}
	return fromWindows1252(b), nil
}

// fromUTF16 decodes UTF-16. Half a character becomes U+FFFD.
func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	out := make([]byte, 0, len(b)/2+len(b)/8)
	for len(b) >= 2 {
		r := rune(order.Uint16(b))
		b = b[2:]
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if len(b) >= 2 {
				low = rune(order.Uint16(b))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				b = b[2:]
			}
		}
		out = utf8.AppendRune(out, r)
	}
	if len(b) > 0 {
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

// windows1252 are the characters of 0x80 to 0x9F; the rest is Latin-1. U+FFFD
// stands for those that are not defined.
//
// Source: the mapping table of the Unicode Consortium, CP1252.TXT.
var windows1252 = [32]rune{
	'€', utf8.RuneError, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', utf8.RuneError, 'Ž', utf8.RuneError,
	utf8.RuneError, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', utf8.RuneError, 'ž', 'Ÿ',
}

func fromWindows1252(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/8)
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			r = windows1252[c-0x80]
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}
