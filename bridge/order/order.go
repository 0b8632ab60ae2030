// Package order sorts slices of structs that are sorted seldom. Package slices compiles its
// algorithm anew for each type of element, which is 14 kB on MIPS: three dozen of them were a
// fortieth of the program. Here all types share one copy, which is slower, and allocates 40 bytes.
package order

import "sort"

// By sorts s in the order of compare, which is below, at or above 0 as a comes before b, is equal to
// it, or comes behind it. Elements that are equal keep their order.
func By[E any](s []E, compare func(a, b E) int) { sort.Stable(&by[E]{s, compare}) }

type by[E any] struct {
	elements []E
	compare  func(a, b E) int
}

func (b *by[E]) Len() int           { return len(b.elements) }
func (b *by[E]) Less(i, j int) bool { return b.compare(b.elements[i], b.elements[j]) < 0 }
func (b *by[E]) Swap(i, j int)      { b.elements[i], b.elements[j] = b.elements[j], b.elements[i] }
