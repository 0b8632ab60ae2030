package bridge

import (
	"fmt"
	"sync"
	"time"

	"lorawand/bridge/core"
	"lorawand/radio"
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
	pushes  []core.Input // which take turns with frames, as applications can push without end
	pushed  bool         // a push was the last of these
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

// push adds a push, or what withdraws one: these stay in order.
func (b *inbox) push(in core.Input) {
	b.mu.Lock()
	b.pushes = append(b.pushes, in)
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
	switch {
	case len(b.inputs) > 0:
		return next(&b.inputs), h, true
	case len(b.pushes) > 0 && (b.n == 0 || !b.pushed):
		b.pushed = true
		return next(&b.pushes), h, true
	case b.n == 0:
		return nil, h, false
	}
	b.pushed = false
	h, b.ring[b.first] = b.ring[b.first], core.Heard{}
	b.first = (b.first + 1) % len(b.ring)
	b.n--
	return nil, h, true
}

// next takes the first of a queue.
func next(queue *[]core.Input) core.Input {
	in := (*queue)[0]
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	return in
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
	return b.n + len(b.pushes) + len(b.inputs)
}

// inboxDrops is what people were told of frames that found the inbox full.
type inboxDrops struct {
	told uint64
	at   radio.HostTime
}

// dropsToldAgain is the shortest time between two events about them.
const dropsToldAgain = 10 * time.Minute

// tellDrops makes an event of frames that have found the inbox full.
func (b *Bridge) tellDrops() {
	n, now := b.inbox.drops(), b.clock.Host()
	if n == b.drops.told || b.drops.told > 0 && now.Sub(b.drops.at) < dropsToldAgain {
		return
	}
	b.GatewayEvent(radio.GatewayEvent{
		Kind: radio.GatewayDropped, At: now, Cause: "inbox_full",
		Fault: fmt.Sprintf("the queue before the core was full: %d frames were dropped, the oldest in it", n-b.drops.told),
	})
	b.drops = inboxDrops{n, now}
}
