// Package fifo has a queue that neither moves what waits in it nor keeps room
// that it does not need.
package fifo

import "iter"

// Queue holds values, oldest first. The zero value is empty and ready.
type Queue[T any] struct {
	ring     []T
	first, n int
}

// keptRoom is the room that an empty queue keeps, in values.
const keptRoom = 16

// Len returns how many values wait.
func (q *Queue[T]) Len() int { return q.n }

// First returns the oldest value. There must be one.
func (q *Queue[T]) First() *T { return &q.ring[q.first] }

// Push appends a value.
func (q *Queue[T]) Push(v T) {
	if q.n == len(q.ring) {
		larger := make([]T, max(4, q.n+q.n/2))
		n := copy(larger, q.ring[q.first:])
		copy(larger[n:], q.ring[:q.first])
		q.ring, q.first = larger, 0
	}
	q.ring[(q.first+q.n)%len(q.ring)] = v
	q.n++
}

// Pop takes the oldest value out. There must be one.
func (q *Queue[T]) Pop() T {
	var none T
	v := q.ring[q.first]
	q.ring[q.first] = none // which may hold memory
	q.first = (q.first + 1) % len(q.ring)
	if q.n--; q.n == 0 && len(q.ring) > keptRoom {
		*q = Queue[T]{}
	}
	return v
}

// All goes through the values, oldest first.
func (q *Queue[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range q.n {
			if !yield(&q.ring[(q.first+i)%len(q.ring)]) {
				return
			}
		}
	}
}
