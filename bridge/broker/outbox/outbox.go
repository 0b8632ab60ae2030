// Package outbox has the queue between the core and the broker.
package outbox

import (
	"sync"

	"lorawand/bridge/v3"
)

// Outbox is a bounded queue. Nobody waits for it: when it is full the oldest message in
// it goes.
type Outbox struct {
	Wake chan struct{} // has one element when something is new

	mu                 sync.Mutex
	ring               []v3.Message
	first, n           int
	published, dropped uint64
}

// New returns an Outbox for so many messages.
func New(size int) *Outbox {
	return &Outbox{ring: make([]v3.Message, size), Wake: make(chan struct{}, 1)}
}

// Put adds a message.
func (o *Outbox) Put(m v3.Message) {
	o.mu.Lock()
	o.published++
	if o.n == len(o.ring) {
		o.first = (o.first + 1) % len(o.ring)
		o.n--
		o.dropped++
	}
	o.ring[(o.first+o.n)%len(o.ring)] = m
	o.n++
	o.mu.Unlock()
	select {
	case o.Wake <- struct{}{}:
	default:
	}
}

// Take takes the oldest message out, if there is one.
func (o *Outbox) Take() (m v3.Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.n == 0 {
		return m, false
	}
	m, o.ring[o.first] = o.ring[o.first], v3.Message{}
	o.first = (o.first + 1) % len(o.ring)
	o.n--
	return m, true
}

// Counts returns how many messages were put in, and how many of them have gone.
func (o *Outbox) Counts() (published, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.published, o.dropped
}
