package sheet

import (
	"strings"
	"testing"
)

// Every column has one name, which Columns lists and a table may use.
func TestColumns(t *testing.T) {
	listed := strings.Join(Columns(), "\n")
	for _, c := range columns {
		if !strings.Contains(listed, c.name) || Name(c.name) != c.name ||
			Name(strings.ToUpper(strings.ReplaceAll(c.name, "_", " "))) != c.name {
			t.Errorf("%s is called %q", c.name, Name(c.name))
		}
	}
	for other, name := range otherNames {
		if Name(other) != name || !strings.Contains(listed, other) {
			t.Errorf("%s is taken for %q, want %s", other, Name(other), name)
		}
	}
	if len(columnsByLetters) != len(columns)+len(otherNames) {
		t.Error("two columns have one name")
	}
}
