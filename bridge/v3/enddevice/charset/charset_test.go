package charset

import (
	"errors"
	"testing"
)

func TestUTF8(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
		line             int // of what is no text
	}{
		{"UTF-8", "id;Küche", "id;Küche", 0},
		{"UTF-8 with a mark", "\ufeffid", "id", 0},
		{"UTF-16, little-endian", "\xff\xfei\x00d\x00", "id", 0},
		{"UTF-16, big-endian", "\xfe\xff\x00i\x00d", "id", 0},
		{"UTF-16 without a mark", "i\x00d\x00", "id", 0},
		{"half a character", "\xff\xfe\x3d\xd8i\x00\x01", "\ufffdi\ufffd", 0},
		{"Windows-1252", "K\xfcche 5 \x80", "Küche 5 €", 0},
		{"a workbook", "PK\x03\x04", "", 1},
		{"not a text", "id\na\x00b", "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := UTF8([]byte(tt.text))
			var no *Error
			if line := 0; errors.As(err, &no) {
				if line = no.Line; line != tt.line {
					t.Errorf("%v, want line %d", err, tt.line)
				}
			} else if string(got) != tt.want || tt.line > 0 {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
