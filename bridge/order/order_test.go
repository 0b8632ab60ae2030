package order

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// As slices.SortStableFunc, for any length and any number of equal elements.
func TestBy(t *testing.T) {
	type element struct{ key, place int }
	compare := func(a, b element) int { return cmp.Compare(a.key, b.key) }
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 12, 13, 100, 1000} {
		for _, keys := range []int{1, 2, 10, 1_000_000} {
			got := make([]element, n)
			for i := range got {
				got[i] = element{rnd.IntN(keys), i}
			}
			want := slices.Clone(got)
			slices.SortStableFunc(want, compare)
			if By(got, compare); !slices.Equal(got, want) {
				t.Errorf("%d elements of %d keys: %v, want %v", n, keys, got, want)
			}
		}
	}
}
