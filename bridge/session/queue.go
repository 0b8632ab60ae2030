package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Limits of queues. Bytes are those of Item.Size: a thousand items with short
// payloads fit, and all queues together into the memory of a small gateway.
//
// Where several applications have devices, one may have no more than what then stays free of
// MaxQueuesBytes: a half while no other has any. So another one finds half of what is free, however
// many have all that they may, and all together stay below the limit. With a fixed half for each, two
// applications could take all of it.
const (
	MaxQueue       = 1000      // downlinks that wait for one device
	MaxQueueBytes  = 256 << 10 // of them
	MaxQueuesBytes = 4 << 20   // of all devices together
)

// ErrQueueFull is the reason for a downlink beyond the limits.
var ErrQueueFull = errors.New("the downlink queue of the device is full")

// itemOverhead is about what an item takes without what an application can make
// longer, in memory and as a record, in bytes.
const itemOverhead = 200

// Size is about how much room an item takes, in bytes.
func (it *Item) Size() int {
	n := itemOverhead + len(it.FRMPayload) + len(it.Decoded) + len(it.SessionKeyID)
	for _, id := range it.CorrelationIDs {
		n += len(id)
	}
	if it.ClassBC != nil {
		for i := range it.ClassBC.Gateways {
			n += gatewayOverhead + len(it.ClassBC.Gateways[i].GatewayID)
		}
	}
	return n
}

// gatewayOverhead is what a GatewayAntenna takes without its id, in bytes.
const gatewayOverhead = 64

// Queue is what applications have asked to send to a device: first in, first out. An item is in one
// of three places: it waits, or it was handed to a gateway whose answer is not known (then whoever
// has taken it holds it), or it is confirmed, was sent, and waits for its acknowledgement.
//
// The zero value is an empty queue.
type Queue struct {
	items    []*Item
	awaiting *Item
	last     uint64 // the highest Seq so far
	bytes    int    // Item.Size of all of them
	total    *int   // the same of all queues of its application in a Registry; nil: it is in none
}

// Bytes returns Item.Size of all that waits, to be sent or acknowledged.
func (q *Queue) Bytes() int { return q.bytes }

// grow notes that the queue has become longer, or shorter.
func (q *Queue) grow(bytes int) {
	q.bytes += bytes
	if q.total != nil {
		*q.total += bytes
	}
}

// countIn has a Registry count the queue, or not any more.
func (q *Queue) countIn(total *int) {
	if q.total != nil {
		*q.total -= q.bytes
	}
	if q.total = total; total != nil {
		*total += q.bytes
	}
}

// Len returns how many items wait to be sent.
func (q *Queue) Len() int { return len(q.items) }

// Items returns the items that wait, first the next. The caller must not change the slice.
func (q *Queue) Items() []*Item { return q.items }

// Head returns the item that is next, or nil.
func (q *Queue) Head() *Item {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// Awaiting returns the item that was sent and waits for its acknowledgement, or nil.
func (q *Queue) Awaiting() *Item { return q.awaiting }

// NextSeq returns a number for a new item, above all before it.
func (q *Queue) NextSeq() uint64 {
	q.last++
	return q.last
}

// Add appends an item that has its number.
func (q *Queue) Add(it *Item) {
	q.items = append(q.items, it)
	q.last = max(q.last, it.Seq)
	q.grow(it.Size())
}

// Take takes the head out.
func (q *Queue) Take() *Item {
	it := q.items[0]
	q.items[0] = nil
	q.items = q.items[1:]
	q.grow(-it.Size())
	return it
}

// PutBack returns an item that was taken to the head.
func (q *Queue) PutBack(it *Item) {
	q.items = slices.Insert(q.items, 0, it)
	q.grow(it.Size())
}

// Await notes that a confirmed item was sent with a frame counter. The next new uplink decides.
func (q *Queue) Await(it *Item, fCnt uint32) {
	if q.awaiting != nil {
		q.grow(-q.awaiting.Size())
	}
	it.Sent, it.SentFCnt = true, fCnt
	q.awaiting = it
	q.grow(it.Size())
}

// Decided takes out the item that waited for its acknowledgement.
func (q *Queue) Decided() *Item {
	it := q.awaiting
	if it != nil {
		q.grow(-it.Size())
	}
	q.awaiting = nil
	return it
}

// Clear takes out everything, and returns it.
func (q *Queue) Clear() []*Item {
	out := q.items
	if q.awaiting != nil {
		out = append(out, q.awaiting)
	}
	q.items, q.awaiting = nil, nil
	q.grow(-q.bytes)
	return out
}

// Load puts back what the store had: items in the order of their numbers.
func (q *Queue) Load(items []*Item) {
	for _, it := range items {
		q.last = max(q.last, it.Seq)
		q.grow(it.Size())
		if it.Sent || it.SentFCnt != 0 {
			q.awaiting = it
		} else {
			q.items = append(q.items, it)
		}
	}
}

// defaultAttempts is how often a confirmed item is sent if the application has
// not said: the limit of The Things Stack's application server.
const defaultAttempts = 8

// Nacked notes that the device has not acknowledged the item. again is false
// when it was sent often enough.
func (it *Item) Nacked() (again bool) {
	limit := it.MaxAttempts
	if limit == 0 {
		limit = defaultAttempts
	}
	it.Attempt++
	it.Sent, it.SentFCnt = false, 0
	return it.Attempt <= limit
}

// MarshalItem returns the bytes that a store keeps of an item.
func MarshalItem(it *Item) ([]byte, error) { return json.Marshal(it) }

// UnmarshalItem reads what MarshalItem wrote.
func UnmarshalItem(b []byte) (*Item, error) {
	it := new(Item)
	if err := json.Unmarshal(b, it); err != nil {
		return nil, fmt.Errorf("session: downlink in the store: %w", err)
	}
	return it, nil
}
