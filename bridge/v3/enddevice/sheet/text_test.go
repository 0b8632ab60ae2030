package sheet

import (
	"errors"
	"testing"
)

// However a spreadsheet writes it, the text is the same.
func TestText(t *testing.T) {
	errFile := errors.New("no file of ours")
	for _, tt := range []struct {
		name, in, want, err string
	}{
		{"UTF-8", "Küche", "Küche", ""},
		{"with a mark", "\ufeffKüche", "Küche", ""},
		{"UTF-16", "\xff\xfeK\x00\xfc\x00", "Kü", ""},
		{"big-endian", "\xfe\xff\x00K\x00\xfc", "Kü", ""},
		{"without a mark", "K\x00i\x00", "Ki", ""},
		{"half a character", "\xff\xfeK\x00\x00\xd8", "K\ufffd", ""},
		{"Windows-1252", "K\xfcche \x80", "Küche €", ""},
		{"a workbook", "PK\x03\x04", "", "line 1: no file of ours: a workbook or an archive; export the devices as CSV, in UTF-8"},
		{"bytes", "a\nb\x00", "", "line 2: no file of ours: not a text; export the devices as CSV, in UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Text([]byte(tt.in), errFile)
			if tt.err != "" {
				if !errors.Is(err, errFile) || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
