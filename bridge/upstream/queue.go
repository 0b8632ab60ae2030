package upstream

import (
	"time"

	"lorawand/bridge/v3"
)

// Bounds of what waits in memory, besides what is being written to the journal. From half
// of either on it is written to the journal.
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

	storingItems, storingBytes int // of them
}

func (it *item) size() int { return len(it.m.Payload) + 128 }

// add adds a message. full says that it is time to write to the journal.
func (q *queue) add(m v3.Message, now time.Time) (full bool) {
	it := &item{m: m, since: now}
	q.items = append(q.items, it)
	q.bytes += it.size()
	return q.full()
}

func (q *queue) full() bool {
	return len(q.items)-q.storingItems > maxItems/2 || q.bytes-q.storingBytes > maxBytes/2
}

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
			q.storingItems++
			q.storingBytes += it.size()
		}
	}
	return out
}

// stored says that the first n of these are in the journal, and the others are not.
func (q *queue) stored(items []*item, n int) {
	q.storingItems, q.storingBytes = 0, 0
	for i, it := range items {
		if i < n {
			q.remove(it)
		} else {
			it.state = queued
		}
	}
}

// shorten removes messages that wait, each time the oldest of the application that has the
// most, until the others are within the bounds, and returns how many that were.
func (q *queue) shorten() (lost int) {
	for len(q.items)-q.storingItems > maxItems || q.bytes-q.storingBytes > maxBytes {
		it := q.replaceable()
		if it == nil {
			break
		}
		q.remove(it)
		lost++
	}
	return lost
}

// replaceable returns the oldest message that waits of the application that has the most;
// nil: none waits. A message counts for its part of either bound.
func (q *queue) replaceable() (oldest *item) {
	costs, most := map[string]int{}, 0
	for _, it := range q.items {
		if it.state == queued {
			costs[it.m.Application] += it.size() + maxBytes/maxItems
			most = max(most, costs[it.m.Application])
		}
	}
	for _, it := range q.items {
		if it.state == queued && costs[it.m.Application] == most {
			return it
		}
	}
	return nil
}
