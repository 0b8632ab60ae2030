package pace

import (
	"fmt"
	"testing"
)

// Each of those that share a name has its turn, whatever happens to other names.
func TestTurns(t *testing.T) {
	var turns Turns
	var had [3]int
	for i := range 9 {
		had[turns.Next("a", 3)]++
		turns.Next(fmt.Sprint(i), 1)
	}
	if had != [3]int{3, 3, 3} {
		t.Errorf("they had %d turns", had)
	}
	for i := range 10_000 {
		turns.Next(fmt.Sprint(i), 1)
	}
	if n := len(turns.turns); n > mostTurns+1 {
		t.Errorf("%d names are remembered", n)
	}
}
