package fifo

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A queue does what a slice does, whatever is done to it.
func TestQueue(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q Queue[*int]
	var want []*int
	for i := range 20_000 {
		if grow := i/1000%2 == 0; len(want) > 0 && rnd.IntN(3) > 0 != grow {
			if got := q.Pop(); got != want[0] {
				t.Fatalf("step %d: popped %d, want %d", i, *got, *want[0])
			}
			want = want[1:]
		} else {
			q.Push(&i)
			want = append(want, &i)
		}
		if q.Len() != len(want) || len(want) > 0 && *q.First() != want[0] {
			t.Fatalf("step %d: %d values, want %d", i, q.Len(), len(want))
		}
		if i%100 == 0 {
			var all []*int
			for v := range q.All() {
				all = append(all, *v)
			}
			if !slices.Equal(all, want) {
				t.Fatalf("step %d: other values", i)
			}
		}
	}
}

func TestAllStops(t *testing.T) {
	var q Queue[int]
	for i := range 5 {
		q.Push(i)
	}
	for v := range q.All() {
		if *v == 2 {
			return
		}
		if *v > 2 {
			t.Fatal("it does not stop")
		}
	}
}

// A queue does not hold what was popped, and an empty one gives its room back.
func TestRoom(t *testing.T) {
	var q Queue[*int]
	for i := range 1000 {
		q.Push(&i)
	}
	if len(q.ring) > 1500 {
		t.Errorf("room for %d values, 1000 wait", len(q.ring))
	}
	for range 999 {
		q.Pop()
	}
	for i, v := range q.ring {
		if v != nil && i != q.first {
			t.Fatal("a value is held that was popped")
		}
	}
	if q.Pop(); len(q.ring) != 0 {
		t.Errorf("an empty queue keeps room for %d", len(q.ring))
	}
}

func BenchmarkFullQueue(b *testing.B) {
	var q Queue[[9]int]
	for range 1024 {
		q.Push([9]int{})
	}
	b.ReportAllocs()
	for b.Loop() {
		q.Pop()
		q.Push([9]int{})
	}
}
