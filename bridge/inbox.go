package bridge

import (
	"sync"

	"lorawand/bridge/core"
)

// inbox is the bounded queue before the core. Frames have a ring of their own: when it
// is full, the oldest frame is dropped and counted. Other inputs are never dropped:
// there are few, and whoever sends them waits for the answer or is a driver.
type inbox struct {
	wake chan struct{}

	mu      sync.Mutex
	ring    []core.Heard // frames
	first   int
	n       int
	inputs  []core.Input // all else, which comes first
	dropped uint64
}

func newInbox(size int) *inbox {
	return &inbox{ring: make([]core.Heard, size), wake: make(chan struct{}, 1)}
}

// frame adds a frame.
func (b *inbox) frame(h core.Heard) {
	b.mu.Lock()
	if b.n == len(b.ring) {
		b.ring[b.first] = core.Heard{}
		b.first = (b.first + 1) % len(b.ring)
		b.n--
		b.dropped++
	}
	b.ring[(b.first+b.n)%len(b.ring)] = h
	b.n++
	b.mu.Unlock()
	b.notify()
}

// add adds another input.
func (b *inbox) add(in core.Input) {
	b.mu.Lock()
	b.inputs = append(b.inputs, in)
	b.mu.Unlock()
	b.notify()
}

// notify wakes the core.
func (b *inbox) notify() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take returns the next input, if there is one. If in is nil, it is the frame h: as an
// Input that would be allocated.
func (b *inbox) take() (in core.Input, h core.Heard, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.inputs) > 0 {
		in = b.inputs[0]
		b.inputs[0] = nil
		b.inputs = b.inputs[1:]
		return in, h, true
	}
	if b.n == 0 {
		return nil, h, false
	}
	h, b.ring[b.first] = b.ring[b.first], core.Heard{}
	b.first = (b.first + 1) % len(b.ring)
	b.n--
	return nil, h, true
}

func (b *inbox) drops() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// len returns how many inputs wait.
func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n + len(b.inputs)
}
