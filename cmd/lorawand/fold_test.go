package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFolded(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"short", "a: b\n", "a: b\n"},
		{"no newline", "a: b", "a: b"},
		{"at a space", "a:  bbbb cccc dddd eeee\nx\n", "a:  bbbb cccc dddd\n    eeee\nx\n"},
		{"exactly", "a:  bbbb cccc ddd ee\n", "a:  bbbb cccc ddd ee\n"},
		{"several times", "a:  bbbbbbbbbb cccccccccc dddddddddd\n", "a:  bbbbbbbbbb\n    cccccccccc\n    dddddddddd\n"},
		{
			"a long word", "a:  " + strings.Repeat("ä", 34) + "\n",
			"a:  " + strings.Repeat("ä", 16) + "\n    " + strings.Repeat("ä", 16) + "\n    ää\n",
		},
		{"spaces only", strings.Repeat(" ", 50) + "\n", "\n    \n"},
	} {
		got := folded(tt.text, 20, 4)
		if got != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.want)
		}
		for line := range strings.Lines(got) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 20 {
				t.Errorf("%s: %q is too long", tt.name, line)
			}
		}
	}
	if got := folded("a: b c d e f\n", 5, 4); got != "a: b c d e f\n" {
		t.Errorf("a terminal that is too narrow: %q", got)
	}
}
