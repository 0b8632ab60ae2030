package access

import (
	"net/netip"
	"sync"
	"time"
)

// Backoff slows down clients that guess API keys: the more logins from an address
// have failed lately, the later it answers the next failed login. Good logins are
// never delayed, so a guesser cannot lock out other clients with the same address.
//
// The zero value is ready. It may be used by several goroutines.
type Backoff struct {
	mu    sync.Mutex
	fails map[netip.Addr]failures
}

type failures struct {
	count int
	last  time.Time
}

const (
	freeFailures  = 10
	firstDelay    = 250 * time.Millisecond
	longestDelay  = 5 * time.Second
	forgetAfter   = 10 * time.Minute
	mostAddresses = 1024
)

// Failed records a failed login at now. It returns how long the answer is to be
// delayed.
func (b *Backoff) Failed(addr netip.Addr, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails == nil {
		b.fails = map[netip.Addr]failures{}
	}
	f := b.fails[addr]
	if now.Sub(f.last) > forgetAfter {
		f.count = 0
	}
	f.count++
	f.last = now
	if _, known := b.fails[addr]; !known && len(b.fails) >= mostAddresses {
		b.forget(now)
	}
	b.fails[addr] = f
	if f.count <= freeFailures {
		return 0
	}
	return min(firstDelay<<min(f.count-freeFailures-1, 10), longestDelay)
}

// forget makes room: it removes old entries, or the oldest one if none is old.
func (b *Backoff) forget(now time.Time) {
	var oldest netip.Addr
	oldestAt := now
	for addr, f := range b.fails {
		if now.Sub(f.last) > forgetAfter {
			delete(b.fails, addr)
		} else if !f.last.After(oldestAt) {
			oldest, oldestAt = addr, f.last
		}
	}
	if len(b.fails) >= mostAddresses {
		delete(b.fails, oldest)
	}
}
