package pace

import (
	"maps"
	"sync"
	"time"
)

// The clients of one application share a packet each packetTime. They may have sent row of them before they wait for
// it: else a few connections take all processors, and a datagram waits until the runtime looks at the network by
// itself, which it does each 10 ms.
const (
	row        = 32
	packetTime = 125 * time.Microsecond // with a PINGREQ or SUBSCRIBE each, 32 in 1 ms took 1.6 processors (amd64)
	// few packets of a client are counted together, since a client that waits costs about as much as a packet.
	few = 4
	// crowd bounds how long a client waits for others of its application: as if so many, which may be connected at
	// a time, sent as much as itself. One that seldom sends does not wait behind all the long ones of the others.
	crowd = 100
	// mostHurry is for how much longer a client may be slowed down than it has paused: what it has sent waits in the
	// kernel meanwhile, also when it has left.
	mostHurry = 5 * time.Second
)

// Hurry slows down the clients of an application that send more. The zero value is ready.
type Hurry struct {
	mu    sync.Mutex
	until map[string]time.Time // for how long an application's packets take, if they do still
}

// Row is what a client has sent of late. The zero value is ready; it belongs to the goroutine that reads.
type Row struct {
	packets int           // that are not counted yet
	free    int           // what may divide those that were waited for, in packets
	counted time.Time     // when they were last, or after the wait for it
	slowed  time.Duration // how long it has waited, less its pauses
}

// Packet takes notice of a client's packet of so many bytes, which counts as so many packets, and waits where the
// application hurries. It reports false if the client has been slowed down for too long, or closed was closed
// meanwhile. A packet that counts as none was waited for.
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
	if r.packets += packets; r.packets < few {
		return true
	}
	now := time.Now()
	wait := h.count(application, r.packets, now)
	r.slowed = max(0, r.slowed+wait-now.Sub(r.counted))
	r.packets, r.counted = 0, now.Add(wait)
	if wait == 0 {
		return true
	}
	select {
	case <-time.After(wait):
	case <-closed:
		return false
	}
	return r.slowed < mostHurry
}

// count counts packets of an application, and returns how long their sender waits.
func (h *Hurry) count(application string, packets int, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, known := h.until[application]
	if !known {
		maps.DeleteFunc(h.until, func(_ string, until time.Time) bool { return until.Before(now) })
	}
	if until.Before(now) {
		until = now
	}
	if h.until == nil {
		h.until = map[string]time.Time{}
	}
	own := time.Duration(packets) * packetTime
	wait := min(until.Add(own).Sub(now), mostHurry) // clients that have left owe no more
	h.until[application] = now.Add(wait)
	if wait < row*packetTime {
		return 0
	}
	return min(wait, crowd*own)
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
