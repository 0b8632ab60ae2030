// Package door says who may come in to the web page: which requests are the page's own,
// which browsers have logged in, and who has to wait before another try. It also hands
// out the files of the page, which are for everybody.
package door

import (
	"net/netip"
	"sync"
	"time"
)

// Tries makes who guesses passwords wait: after the third wrong one of an address 1 s,
// then 2, 4 … 60 s before the next is looked at. Of IPv6, which gives a host as many
// addresses as it likes, a /64 is one. The zero value is ready.
type Tries struct {
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

// Begin returns how long an address must wait before its next try; 0: it may try now,
// and the caller calls End.
func (t *Tries) Begin(a netip.Addr, now time.Time) time.Duration {
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

// End says what came of a try. It returns how long the next must wait.
func (t *Tries) End(a netip.Addr, good, looked bool, now time.Time) time.Duration {
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
func (t *Tries) forget(now time.Time) {
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

// Len returns how many addresses are remembered.
func (t *Tries) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}
