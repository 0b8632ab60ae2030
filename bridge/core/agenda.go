package core

import "lorawand/radio"

// agenda is what a Core has to do at a time, soonest first; at the same time,
// in the order in which it was noted. An entry is never taken back: whoever
// carries it out looks whether it is still wanted.
//
// It is a binary heap of its own, as container/heap would allocate for each
// entry, of which every uplink makes two.
type agenda struct {
	entries []entry
	seq     uint64
}

// duty is what an entry asks for.
type duty uint8

const (
	toDecide   duty = iota // on the window at hand of an exchange
	toHandOver             // a transmission to a gateway without a queue of its own
	toConfirm              // that a transmission took place
)

type entry struct {
	at       radio.HostTime
	seq      uint64
	duty     duty
	exchange *exchange // with toDecide
	id       uint64    // of the Downlink, with the others
}

func (e *entry) before(o *entry) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// add notes an entry, which needs no seq.
func (a *agenda) add(e entry) {
	a.seq++
	e.seq = a.seq
	a.entries = append(a.entries, e)
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

// next returns the time of the soonest entry.
func (a *agenda) next() (at radio.HostTime, ok bool) {
	if len(a.entries) == 0 {
		return 0, false
	}
	return a.entries[0].at, true
}

// due takes out an entry whose time has come. ok is false if there is none.
func (a *agenda) due(now radio.HostTime) (e entry, ok bool) {
	h := a.entries
	if len(h) == 0 || h[0].at > now {
		return entry{}, false
	}
	e, n := h[0], len(h)-1
	h[0], h[n] = h[n], entry{}
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
			return e, true
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
