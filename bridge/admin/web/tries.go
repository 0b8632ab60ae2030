package web

import (
	"net/netip"
	"sync"
	"time"
)

// tries makes who guesses passwords wait: after the third wrong one of an address 1 s,
// then 2, 4 … 60 s before the next is looked at. Of IPv6, which gives a host as many
// addresses as it likes, a /64 is one.
type tries struct {
	mu  sync.Mutex
	all map[netip.Prefix]*attempts
}

type attempts struct {
	wrong int
	busy  bool      // one is being looked at
	until time.Time // no other is before that
	last  time.Time
}

const (
	freeTries     = 2
	longestWait   = time.Minute
	forgetTries   = 15 * time.Minute
	mostAddresses = 512
)

// place is what counts as one address.
func place(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // an invalid address gives the zero Prefix
	return p
}

// begin returns how long an address must wait before its next try; 0: it may try now,
// and the caller calls end.
func (t *tries) begin(a netip.Addr, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[netip.Prefix]*attempts{}
	}
	p := place(a)
	one := t.all[p]
	if one == nil {
		if len(t.all) >= mostAddresses {
			t.forget(now)
		}
		one = &attempts{}
		t.all[p] = one
	}
	switch {
	case one.busy:
		return time.Second
	case now.Before(one.until):
		return one.until.Sub(now)
	case now.Sub(one.last) > forgetTries:
		one.wrong = 0
	}
	one.busy, one.last = true, now
	return 0
}

// end says what came of a try. It returns how long the next must wait.
func (t *tries) end(a netip.Addr, good, looked bool, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := place(a)
	one := t.all[p]
	if one == nil { // forgotten meanwhile
		return 0
	}
	one.busy, one.last = false, now
	switch {
	case good:
		delete(t.all, p)
		return 0
	case looked:
		one.wrong++
	}
	if one.wrong <= freeTries {
		return 0
	}
	wait := min(time.Second<<min(one.wrong-freeTries-1, 10), longestWait)
	one.until = now.Add(wait)
	return wait
}

// forget makes room for one more address: those go that have not tried for long, else
// the one that has tried least lately.
func (t *tries) forget(now time.Time) {
	var oldest netip.Prefix
	at := now.Add(time.Hour)
	for p, one := range t.all {
		if now.Sub(one.last) > forgetTries {
			delete(t.all, p)
		} else if one.last.Before(at) {
			oldest, at = p, one.last
		}
	}
	if len(t.all) >= mostAddresses {
		delete(t.all, oldest)
	}
}
