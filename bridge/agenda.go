package bridge

import (
	"container/heap"

	"lorawand/radio"
)

// agenda is what a Core has to do at a time, soonest first; at the same time,
// in the order in which it was noted. An entry is never taken back: what it
// calls looks whether it is still wanted.
type agenda struct {
	entries entries
	seq     uint64
}

type entry struct {
	at  radio.HostTime
	seq uint64
	do  func()
}

func (a *agenda) add(at radio.HostTime, do func()) {
	a.seq++
	heap.Push(&a.entries, entry{at, a.seq, do})
}

// next returns the time of the soonest entry.
func (a *agenda) next() (at radio.HostTime, ok bool) {
	if len(a.entries) == 0 {
		return 0, false
	}
	return a.entries[0].at, true
}

// due takes out an entry whose time has come, or returns nil.
func (a *agenda) due(now radio.HostTime) func() {
	if len(a.entries) == 0 || a.entries[0].at > now {
		return nil
	}
	return heap.Pop(&a.entries).(entry).do
}

type entries []entry

func (e entries) Len() int { return len(e) }
func (e entries) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e entries) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

// Push implements heap.Interface.
func (e *entries) Push(x any) { *e = append(*e, x.(entry)) }

// Pop implements heap.Interface.
func (e *entries) Pop() any {
	old := *e
	x := old[len(old)-1]
	old[len(old)-1] = entry{}
	*e = old[:len(old)-1]
	return x
}
