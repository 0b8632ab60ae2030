package pace

import (
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

// Handshakes spreads handshakes over time. The zero value is ready.
type Handshakes struct {
	mu   sync.Mutex
	next time.Time // when one may begin if none had been saved up
}

// Reserve returns how long to wait until a handshake may begin. ok is false if
// that is too long; then nothing is reserved.
func (h *Handshakes) Reserve(now time.Time) (wait time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if saved := now.Add(-(handshakeBurst - 1) * handshakePause); h.next.Before(saved) {
		h.next = saved
	}
	wait = max(h.next.Sub(now), 0)
	if wait > HandshakeTime {
		return 0, false
	}
	h.next = h.next.Add(handshakePause)
	return wait, true
}

// HandshakeTime is how long a client has for its TLS handshake, and again for
// its WebSocket handshake.
const HandshakeTime = 10 * time.Second
