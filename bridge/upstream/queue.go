package upstream

import (
	"time"

	"lorawand/bridge/v3"
)

// Bounds of what waits in memory. From half of either on it is written to the journal.
const (
	maxItems = 512
	maxBytes = 512 << 10
)

// itemState is where a message of the queue is:
//
//	queued ──► sent ──► acknowledged, and out of the queue
//	  │  ▲       │
//	  │  └───────┘ the connection has ended
//	  ▼  ▲
//	storing ──► in the journal, and out of the queue
//	     └ the journal could not be written
type itemState uint8

const (
	queued itemState = iota
	sent
	storing
)

// item is a message that is not acknowledged.
type item struct {
	m     v3.Message
	since time.Time
	state itemState
}

// queue has them, the oldest first. It has no lock of its own.
type queue struct {
	items []*item
	bytes int
}

func (it *item) size() int { return len(it.m.Payload) + 128 }

// add adds a message. full says that it is time to write to the journal.
func (q *queue) add(m v3.Message, now time.Time) (full bool) {
	it := &item{m: m, since: now}
	q.items = append(q.items, it)
	q.bytes += it.size()
	return q.full()
}

func (q *queue) full() bool { return len(q.items) > maxItems/2 || q.bytes > maxBytes/2 }

// next returns the oldest message that waits, which counts as sent from now on; nil:
// there is none.
func (q *queue) next() *item {
	for _, it := range q.items {
		if it.state == queued {
			it.state = sent
			return it
		}
	}
	return nil
}

// waits reports whether a message waits to be sent.
func (q *queue) waits() bool {
	for _, it := range q.items {
		if it.state == queued {
			return true
		}
	}
	return false
}

// remove takes a message out.
func (q *queue) remove(gone *item) {
	for i, it := range q.items {
		if it == gone {
			copy(q.items[i:], q.items[i+1:])
			q.items[len(q.items)-1] = nil
			q.items = q.items[:len(q.items)-1]
			q.bytes -= it.size()
			return
		}
	}
}

// requeue says that what was sent is not acknowledged and never will be.
func (q *queue) requeue() {
	for _, it := range q.items {
		if it.state == sent {
			it.state = queued
		}
	}
}

// storing returns the messages that are to be written to the journal.
func (q *queue) storing(all, down bool, before time.Time) (out []*item) {
	urgent := all || down || q.full()
	for _, it := range q.items {
		if all || it.state == queued && (urgent || it.since.Before(before)) {
			it.state = storing
			out = append(out, it)
		}
	}
	return out
}

// stored says that the first n of these are in the journal, and the others are not.
func (q *queue) stored(items []*item, n int) {
	for i, it := range items {
		if i < n {
			q.remove(it)
		} else {
			it.state = queued
		}
	}
}

// shorten removes the oldest messages that wait until the others are within the bounds,
// and returns how many that were.
func (q *queue) shorten() (lost int) {
	for i := 0; i < len(q.items) && (len(q.items) > maxItems || q.bytes > maxBytes); {
		if it := q.items[i]; it.state == queued {
			q.remove(it)
			lost++
		} else {
			i++
		}
	}
	return lost
}
