package pace

import (
	"sync"
	"time"
)

// A client whose packets come without a pause may send row of them in rowTime, and the clients of one application
// that do so share that: else a few connections take all processors, and a datagram waits until the runtime
// looks at the network by itself, which it does each 10 ms.
const (
	row     = 32
	rowTime = 4 * time.Millisecond
	// mostHurry is for how much longer a client may be slowed down than it has paused: what it has sent waits in the
	// kernel meanwhile, also when it has left.
	mostHurry = 5 * time.Second
)

// Hurry slows such clients down. The zero value is ready.
type Hurry struct {
	mu      sync.Mutex
	waiting map[string]int // clients that wait, by application
}

// Row is what a client has sent of late. The zero value is ready; it belongs to the goroutine that reads.
type Row struct {
	packets int
	began   time.Time
	slowed  time.Duration // less what rows have taken longer than they need
}

// Take takes notice of so many packets of a client, and waits where the client hurries. It reports false if that one
// has been slowed down for too long, or closed was closed meanwhile.
func (h *Hurry) Take(application string, packets int, r *Row, closed <-chan struct{}) bool {
	for r.packets += packets; r.packets >= row; r.packets -= row {
		if !h.wait(application, r, closed) {
			return false
		}
	}
	return true
}

// wait waits until the time of a row is over.
func (h *Hurry) wait(application string, r *Row, closed <-chan struct{}) bool {
	n := h.add(application, 1)
	defer h.add(application, -1)
	now := time.Now()
	rest := time.Duration(n)*rowTime - now.Sub(r.began)
	r.began, r.slowed = now, max(0, r.slowed+rest)
	if rest <= 0 {
		return true
	}
	select {
	case <-time.After(rest):
	case <-closed:
		return false
	}
	r.began = r.began.Add(rest)
	return r.slowed < mostHurry
}

// add counts the clients of an application that wait.
func (h *Hurry) add(application string, n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = map[string]int{}
	}
	h.waiting[application] += n
	n = h.waiting[application]
	if n == 0 {
		delete(h.waiting, application)
	}
	return n
}

// IsClosed reports whether a channel that nobody sends on is closed.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
