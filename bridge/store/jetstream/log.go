package jetstream

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"lorawand/bridge/store"
)

// log appends messages to the stream, one after the other.
//
// Each message is published behind the last one that this process knows of; the servers refuse it
// if there is another one. So nothing is stored once another process has claimed the lead. An
// answer that is lost leaves open whether a message is stored. Then nothing else is published
// before a beat has either been stored in the place that the message would have, or been refused.
type log struct {
	link  *link
	id    writer
	last  uint64        // sequence of the last message
	seen  atomic.Uint64 // the same, for others
	count uint64        // number of the last message of this process
	renew func(sent int64)

	unsure *sent                  // may be stored behind last; nil: the last message is known
	debt   map[[2]string]struct{} // kind and key of records that are stored though it was told that they are not
}

// sent is a message that is to be stored.
type sent struct {
	kind    kind
	body    []byte
	records []store.Record // of a group
	count   uint64         // of its last attempt

	replaces bool // it ends a snapshot that is another state
}

// publish publishes a message behind the last one, once.
func (w *log) publish(ctx context.Context, m *sent) error {
	w.count++
	at := monotonic()
	out := message{kind: m.kind, writer: w.id, count: w.count, body: m.body}
	seq, err := w.link.publish(ctx, &out, w.last)
	if err != nil {
		if w.unsure == nil { // else it is the beat of settle: it does not matter whether that is stored
			w.unsure, m.count = m, w.count
		}
		return err
	}
	w.last, w.unsure = seq, nil
	w.seen.Store(seq)
	w.renew(at)
	return nil
}

// settle finds out whether the message that is unsure is stored, and returns it if it is. over says
// that the lease is. It returns ErrLost if another process leads.
func (w *log) settle(ctx context.Context, over bool) (*sent, error) {
	if w.unsure == nil {
		return nil, nil
	}
	err := w.publish(ctx, &sent{kind: isBeat})
	last, wrong := wrongLast(err)
	if !wrong {
		return nil, err
	}
	m, err := w.link.after(ctx, w.last)
	switch {
	case err != nil:
		return nil, err
	case m == nil && last < w.last && over:
		return nil, fmt.Errorf("%w: the servers have lost messages: the last one is %d, it was %d", ErrLost, last, w.last)
	case m == nil:
		return nil, errInFlight
	case m.kind == 0: // somebody else's, which counts for nothing: nothing of ours is in its place
		w.last, w.unsure = m.seq, nil
		return nil, nil
	case m.writer != w.id || m.seq != w.last+1:
		return nil, fmt.Errorf("%w: message %d is not of this process", ErrLost, m.seq)
	}
	stored := w.unsure
	if stored.count != m.count {
		stored = nil // a beat is
	}
	w.last, w.unsure = m.seq, nil
	w.seen.Store(m.seq)
	return stored, nil
}

// errInFlight says that a message is under way to the servers that is not stored yet.
var errInFlight = fmt.Errorf("%w: what was sent before is neither stored nor refused", ErrUncertain)

// owe notes that the records of a message are stored, of which it was told that they are not.
func (w *log) owe(m *sent) {
	for i := range m.records {
		w.debt[[2]string{m.records[i].Kind, m.records[i].Key}] = struct{}{}
	}
}

// messages returns the parts and the group of a commit.
func messages(number uint64, bytes []byte, records []store.Record) (out []*sent) {
	pieces := slices.Collect(slices.Chunk(bytes, partSize))
	for i, p := range pieces[:len(pieces)-1] {
		out = append(out, &sent{kind: isPart, body: partBody(i, p)})
	}
	group := groupBody(number, len(pieces)-1, pieces[len(pieces)-1])
	return append(out, &sent{kind: isGroup, body: group, records: records})
}
