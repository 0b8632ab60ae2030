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
	rowTime = 4 * time.Millisecond // with a PINGREQ or SUBSCRIBE each, 32 in 1 ms took 1.6 processors (amd64)
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
	free    int // what may divide those that were waited for, in packets
	began   time.Time
	slowed  time.Duration // less what rows have taken longer than they need
}

// Packet takes notice of a client's packet of so many bytes, which counts as so many packets, and waits where the
// client hurries. It reports false if that one has been slowed down for too long, or closed was closed meanwhile. A
// packet that counts as none was waited for.
func (h *Hurry) Packet(application string, packets, bytes int, r *Row, closed <-chan struct{}) bool {
	if packets == 0 {
		r.free = min(r.free+bytes, mostFree)
	}
	return h.take(application, packets, r, closed)
}

// mostFree bounds what packets that were waited for give: as much as a read can bring.
const mostFree = 1 << 10

// Divided does the same for what divides packets, as frames of WebSocket do: it counts as so many of these. What
// divides a packet that was waited for is free: some clients send each field by itself, of a byte or two.
func (h *Hurry) Divided(application string, packets int, r *Row, closed <-chan struct{}) bool {
	free := min(packets, r.free)
	r.free -= free
	return h.take(application, packets-free, r, closed)
}

func (h *Hurry) take(application string, packets int, r *Row, closed <-chan struct{}) bool {
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
