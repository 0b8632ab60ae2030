// Package outbox has the queue between the core and the broker.
package outbox

import (
	"maps"
	"sync"
	"sync/atomic"

	"lorawand/bridge/broker/fifo"
	"lorawand/bridge/v3"
)

// Outbox is a bounded queue. Nobody waits for it: when it has too many messages, or too many bytes,
// the application that has the most of them in it loses its oldest. Applications take turns; the
// messages of one stay in order. What is of no application has a turn of its own.
type Outbox struct {
	Wake chan struct{} // has one element when something is new

	most size

	mu                 sync.Mutex
	lanes              map[string]*lane // by application
	sweep              int              // with so many lanes, those go that have no message
	turns              fifo.Queue[*lane]
	has                size
	published, dropped uint64
	taken              bool // one was taken out, and the next not asked for yet
}

// size is how much waits.
type size struct{ messages, bytes int }

// lane has the messages of an application.
type lane struct {
	messages fifo.Queue[v3.Message]
	bytes    int
	inTurn   bool // it stands in Outbox.turns, perhaps without messages
}

// New returns an Outbox for so many messages, with payloads of so many bytes together.
func New(messages, bytes int) *Outbox {
	return &Outbox{most: size{messages, bytes}, lanes: map[string]*lane{}, Wake: make(chan struct{}, 1)}
}

// Put adds a message.
func (o *Outbox) Put(m v3.Message) {
	o.mu.Lock()
	o.published++
	l := o.lane(m.Application)
	l.messages.Push(m)
	l.bytes += len(m.Payload)
	o.has.bytes += len(m.Payload)
	if !l.inTurn {
		l.inTurn = true
		o.turns.Push(l)
	}
	if o.has.messages++; o.has.messages > o.most.messages {
		o.drop(func(l *lane) int { return l.messages.Len() })
	}
	for o.has.bytes > o.most.bytes && o.has.messages > 1 {
		o.drop(func(l *lane) int { return l.bytes })
	}
	o.mu.Unlock()
	select {
	case o.Wake <- struct{}{}:
	default:
	}
}

// lane returns the lane of an application. The lock is held.
func (o *Outbox) lane(application string) *lane {
	l := o.lanes[application]
	if l == nil {
		if len(o.lanes) >= o.sweep {
			maps.DeleteFunc(o.lanes, func(_ string, l *lane) bool { return !l.inTurn })
			o.sweep = 2*len(o.lanes) + 64
		}
		l = &lane{}
		o.lanes[application] = l
	}
	return l
}

// drop drops the oldest message of the lane that is the largest, of several of the one whose turn
// comes first. There must be a message. The lock is held.
func (o *Outbox) drop(size func(*lane) int) {
	var largest *lane
	for l := range o.turns.All() {
		if largest == nil || size(*l) > size(largest) {
			largest = *l
		}
	}
	o.pop(largest)
	o.dropped++
}

// pop takes the oldest message of a lane out. The lock is held.
func (o *Outbox) pop(l *lane) v3.Message {
	m := l.messages.Pop()
	l.bytes -= len(m.Payload)
	o.has.bytes -= len(m.Payload)
	o.has.messages--
	return m
}

// Take takes the oldest message of the application whose turn it is out, if there is one.
func (o *Outbox) Take() (m v3.Message, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.turns.Len() > 0 {
		l := o.turns.Pop()
		if l.inTurn = l.messages.Len() > 1; l.inTurn {
			o.turns.Push(l)
		}
		if l.messages.Len() > 0 {
			o.taken = true
			return o.pop(l), true
		}
	}
	o.taken = false
	return m, false
}

// Next returns the number behind the last one, once all messages were taken out and dealt with: who takes one out
// asks for the next behind that. Else it returns 0.
func (o *Outbox) Next(last *atomic.Uint64) uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.taken || o.has.messages > 0 {
		return 0
	}
	return last.Load() + 1
}

// Counts returns how many messages were put in, and how many of them have gone.
func (o *Outbox) Counts() (published, dropped uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.published, o.dropped
}
