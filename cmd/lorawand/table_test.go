package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// On a terminal a table has at most its width, and says what it leaves out.
func TestFit(t *testing.T) {
	table := func() [][]string {
		return [][]string{
			{"DEVICE", "DEV_EUI", "SEEN", "NAME"},
			{"app1/dev1", "70B3D57ED0000001", "5m", "the door of the barn"},
			{"app1/dev-with-a-long-name", "70B3D57ED0000002", "never", ""},
		}
	}
	spare := []string{"NONE", "DEV_EUI", "NAME"}
	for _, tt := range []struct {
		width int
		left  []string
	}{
		{0, nil},
		{200, nil},
		{72, nil},
		{71, []string{"DEV_EUI"}},
		{54, []string{"DEV_EUI"}},
		{53, []string{"DEV_EUI", "NAME"}},
		{20, []string{"DEV_EUI", "NAME"}},
	} {
		rows, left := fit(table(), spare, tt.width)
		if !slices.Equal(left, tt.left) || tt.width > 0 && total(rows) > tt.width {
			t.Errorf("%d columns: %d are used, %v is left out, want %v", tt.width, total(rows), left, tt.left)
		}
	}
	rows, _ := fit(table(), spare, 20)
	if rows[2][0] != "app1/dev-wit…" || rows[2][1] != "never" {
		t.Errorf("%q", rows)
	}
	if rows, _ := fit([][]string{{"A", "B"}, {"1", "2"}}, nil, 3); total(rows) != 4 {
		t.Errorf("what cannot be cut: %q", rows)
	}
}

// A file or a pipe gets all columns, aligned, and no colour.
func TestTableInPipe(t *testing.T) {
	tab := table{spare: []string{"B"}}
	tab.WriteString("A\tB\tC\n")
	tab.WriteString("ä\t" + strings.Repeat("x", 100) + "\tend\n")
	var out strings.Builder
	if err := tab.print(&out, false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || utf8.RuneCountInString(lines[1]) != 108 || strings.Index(lines[0], "C") != 105 {
		t.Errorf("%q", lines)
	}
	if got := alarm(&out, "WRONG"); got != "WRONG" {
		t.Errorf("%q", got)
	}
}
