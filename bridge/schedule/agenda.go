package schedule

import "lorawand/radio"

// Agenda is a list of timed entries, soonest first; entries for the same time keep
// the order in which they were added. Entries cannot be removed: the code that
// carries one out checks whether it is still wanted. The zero value is empty.
//
// It is a binary heap of its own, because container/heap would allocate memory for
// each entry, and every uplink adds two.
type Agenda[T any] struct {
	entries []entry[T]
	seq     uint64
}

type entry[T any] struct {
	at   radio.HostTime
	seq  uint64
	what T
}

func (e *entry[T]) before(o *entry[T]) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// Len returns how many entries there are.
func (a *Agenda[T]) Len() int { return len(a.entries) }

// Add adds an entry for a time.
func (a *Agenda[T]) Add(at radio.HostTime, what T) {
	a.seq++
	a.entries = append(a.entries, entry[T]{at, a.seq, what})
	h := a.entries
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h[i].before(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// Next returns the time of the soonest entry. ok is false if there is none.
func (a *Agenda[T]) Next() (at radio.HostTime, ok bool) {
	if len(a.entries) == 0 {
		return 0, false
	}
	return a.entries[0].at, true
}

// Due removes the first entry if its time has come, and returns it. ok is false if
// there is none.
func (a *Agenda[T]) Due(now radio.HostTime) (at radio.HostTime, what T, ok bool) {
	h := a.entries
	if len(h) == 0 || h[0].at > now {
		return 0, what, false
	}
	e, n := h[0], len(h)-1
	h[0], h[n] = h[n], entry[T]{}
	h = h[:n]
	a.entries = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return e.at, e.what, true
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
