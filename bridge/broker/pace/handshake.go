package pace

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A TLS handshake costs a small CPU tens of milliseconds, and strangers can ask
// for as many as they like. So in the long run one begins each handshakePause;
// as many as come at once after a restart need not wait.
const (
	handshakePause = 50 * time.Millisecond
	handshakeBurst = 32
)

// localTurn is how often a client of this host comes before all others, if one waits: at
// every such turn.
const localTurn = 4

// HandshakeTime is how long a client has for its TLS handshake, and again for
// its WebSocket handshake.
const HandshakeTime = 10 * time.Second

// Handshakes spreads handshakes over time and shares them out: of those that wait comes
// first the one whose address has had a turn longest ago. The zero value is ready.
type Handshakes struct {
	mu      sync.Mutex
	next    time.Time // when one may begin if none had been saved up
	waiting []*waiter // in order of arrival
	armed   bool      // a timer is set for the next turn
	abroad  int       // turns since the last one of a client of this host
	last    map[netip.Addr]time.Time
}

// waiter waits for a turn.
type waiter struct {
	source netip.Addr
	local  bool
	turn   chan struct{} // closed when it has come
}

// Wait waits until a handshake may begin. source is the address that it counts for, see
// SourceOf; local says that it is of this host. It reports false if one of the channels was
// closed before, or the turn has not come within HandshakeTime; then it costs others none.
func (h *Handshakes) Wait(source netip.Addr, local bool, closed, stopped <-chan struct{}) bool {
	w := &waiter{source: source, local: local, turn: make(chan struct{})}
	h.mu.Lock()
	h.waiting = append(h.waiting, w)
	h.give(time.Now())
	h.mu.Unlock()
	late := time.NewTimer(HandshakeTime)
	defer late.Stop()
	select {
	case <-w.turn:
		return true
	case <-closed:
	case <-stopped:
	case <-late.C:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = slices.DeleteFunc(h.waiting, func(o *waiter) bool { return o == w })
	return false
}

// give gives out the turns that are due, and sets a timer for the next one if somebody
// waits. The lock is held.
func (h *Handshakes) give(now time.Time) {
	if saved := now.Add(-(handshakeBurst - 1) * handshakePause); h.next.Before(saved) {
		h.next = saved
	}
	for len(h.waiting) > 0 && !h.next.After(now) {
		w := h.first()
		h.waiting = slices.DeleteFunc(h.waiting, func(o *waiter) bool { return o == w })
		h.next = h.next.Add(handshakePause)
		h.note(w, now)
		close(w.turn)
	}
	if len(h.waiting) == 0 || h.armed {
		return
	}
	h.armed = true
	time.AfterFunc(h.next.Sub(now), func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.armed = false
		h.give(time.Now())
	})
}

// first returns whose turn it is. Somebody waits, and the lock is held.
func (h *Handshakes) first() (first *waiter) {
	local := h.abroad >= localTurn-1 && slices.ContainsFunc(h.waiting, func(w *waiter) bool { return w.local })
	for _, w := range h.waiting {
		if local && !w.local {
			continue
		}
		if first == nil || h.last[w.source].Before(h.last[first.source]) {
			first = w
		}
	}
	return first
}

// note notes that somebody has had a turn, and forgets who has had none for HandshakeTime. The
// lock is held.
func (h *Handshakes) note(w *waiter, now time.Time) {
	if h.abroad++; w.local {
		h.abroad = 0
	}
	if h.last == nil {
		h.last = map[netip.Addr]time.Time{}
	}
	for source, at := range h.last {
		if now.Sub(at) > HandshakeTime {
			delete(h.last, source)
		}
	}
	h.last[w.source] = now
}
