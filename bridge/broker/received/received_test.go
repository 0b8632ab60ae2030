package received

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Each step is one of "+7": publish 7 is taken, "-7": it is released, "/": the client connects again.
// A release that is answered with "not found" stands in the result as "?7".
func TestIDs(t *testing.T) {
	tests := []struct {
		name  string
		steps string
		want  string // unfinished, then what was not found
		full  bool
	}{
		{"nothing", "", "[]", false},
		{"an exchange", "+7 -7", "[]", false},
		{"released twice", "+7 -7 -7", "[]", false},
		{"released again after a reconnect", "+7 -7 / -7", "[]", false},
		{"never taken", "-7", "[] ?7", false},
		{"the last two are remembered", "+1 -1 +2 -2 +3 -3 -1 -2 -3", "[] ?1", false},
		{"an id is used again", "+7 -7 +7", "[7]", false},
		{"an id that is used again is over once more", "+7 -7 +7 -7 +8 -8 +9 -9 -7", "[] ?7", false},
		{"three are the most", "+3 +1 +2", "[3 1 2]", true},
		{"one is released", "+3 +1 +2 -1", "[3 2]", false},
		{"those of an earlier connection do not count", "+1 +2 +3 /", "[1 2 3]", false},
		{"three more on the next connection", "+1 +2 +3 / +4 +5 +6", "[1 2 3 4 5 6]", true},
		{"an earlier one is released", "+1 +2 +3 / +4 +5 +6 -2", "[1 3 4 5 6]", true},
		{"the newest stay", "+1 +2 +3 / +4 +5 +6 /", "[4 5 6]", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ids IDs
			ids.Begin(3, 2)
			unknown := ""
			for _, step := range strings.Fields(tt.steps) {
				id := uint16(step[len(step)-1] - '0')
				switch step[0] {
				case '+':
					ids.Add(id)
				case '-':
					if !ids.Release(id) {
						unknown += fmt.Sprint(" ?", id)
					}
				case '/':
					ids.Begin(3, 2)
				}
			}
			if got := fmt.Sprint(ids.Unfinished()) + unknown; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for id := range uint16(10) {
				has := slices.Contains(ids.Unfinished(), id)
				if again, full := ids.Takes(id); again != has || full != (tt.full && !has) {
					t.Errorf("Takes(%d) is %v, %v", id, again, full)
				}
			}
		})
	}
}

// What was stored is there again, and does not count for the connection that comes.
func TestRestore(t *testing.T) {
	var ids IDs
	ids.Restore([]uint16{5, 6})
	ids.Begin(3, 2)
	for id, want := range map[uint16]bool{4: false, 5: true, 6: true} {
		if again, full := ids.Takes(id); again != want || full {
			t.Errorf("Takes(%d) is %v, %v", id, again, full)
		}
	}
	if !ids.Release(5) || ids.Release(9) {
		t.Errorf("%d are unfinished", ids.Unfinished())
	}
}

// An unfinished publish costs a few bytes.
func TestSize(t *testing.T) {
	var ids IDs
	ids.Begin(1024, 0)
	for i := range uint16(1024) {
		ids.Add(i)
	}
	if n := 2 * (cap(ids.unfinished) + cap(ids.finished)); n > 4<<10 {
		t.Errorf("%d bytes for 1024", n)
	}
}
