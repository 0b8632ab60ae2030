package schedule

import (
	"time"

	"lorawand/radio"
)

// Agenda is a list of timed entries, soonest first; entries for the same time keep
// the order in which they were added. Entries cannot be removed: the code that
// carries one out checks whether it is still wanted. The zero value is empty.
//
// It is a binary heap of its own, because container/heap would allocate memory for
// each entry, and every uplink adds two.
type Agenda[T any] struct {
	entries []entry[T]
	seq     uint64
	idle    *Agenda[T]
}

// idling is how much later than its time Next tells of an idle entry.
const idling = 15 * time.Second

type entry[T any] struct {
	at   radio.HostTime
	seq  uint64
	what T
}

func (e *entry[T]) before(o *entry[T]) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// Len returns how many entries there are that are not idle.
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

// AddIdle is Add; if the entry is idle, nothing has to wake for it. It is carried out before what comes
// after its time, see Passed; where nothing comes, some seconds late.
func (a *Agenda[T]) AddIdle(at radio.HostTime, idle bool, what T) {
	if !idle {
		a.Add(at, what)
		return
	}
	if a.idle == nil {
		a.idle = &Agenda[T]{}
	}
	a.idle.Add(at, what)
}

// Next returns when there is something to do. ok is false if there is nothing.
func (a *Agenda[T]) Next() (at radio.HostTime, ok bool) {
	if a.idle != nil {
		if at, ok = a.idle.Next(); ok {
			at = at.Add(idling)
		}
	}
	if len(a.entries) > 0 && (!ok || a.entries[0].at < at) {
		return a.entries[0].at, true
	}
	return at, ok
}

// Passed removes the first idle entry if it is for a time before now, and returns it.
func (a *Agenda[T]) Passed(now radio.HostTime) (at radio.HostTime, what T, ok bool) {
	if a.idle == nil {
		return 0, what, false
	}
	return a.idle.Due(now - 1)
}

// Due removes the first entry that is not idle if its time has come, and returns it. ok is false if
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
