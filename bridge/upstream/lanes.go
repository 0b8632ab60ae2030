package upstream

import (
	"context"
	"sync"
	"time"

	"lorawand/bridge/upstream/client"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// message returns what is published there.
func (u *Upstream) message(m *v3.Message, lane record.Lane, done func(error)) *client.Message {
	ids, frame := record.IDs(m, lane)
	user := []client.Property{{Key: record.LaneProperty, Val: string(lane)}}
	if frame != "" {
		user = append(user, client.Property{Key: record.FrameProperty, Val: frame})
	}
	return &client.Message{
		Topic: u.o.Prefix + m.Topic(m.Application), Payload: record.Marked(m.Payload, ids), User: user, Done: done,
	}
}

// sendLive sends what is in the queue, until the connection ends.
func (u *Upstream) sendLive(ctx context.Context, c *client.Conn) error {
	for {
		u.mu.Lock()
		it := u.queue.next()
		u.mu.Unlock()
		if it == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-u.live:
			}
			continue
		}
		if err := c.Publish(ctx, u.message(&it.m, record.Live, func(err error) { u.delivered(it, err) })); err != nil {
			return err
		}
	}
}

// delivered takes a message that is acknowledged out of the queue.
func (u *Upstream) delivered(it *item, err error) {
	u.mu.Lock()
	u.queue.remove(it)
	u.count(&u.status.Live, err)
	u.mu.Unlock()
	ring(u.backfill)
}

// count counts a message that the other broker has taken, or refused for good. mu is
// held.
func (u *Upstream) count(taken *uint64, err error) {
	if err == nil {
		*taken++
		return
	}
	if u.status.Refused++; u.status.Refused&(u.status.Refused-1) == 0 { // 1, 2, 4, 8 …
		u.log.Warn("the other broker refuses a message, which is lost", "error", err, "refused", u.status.Refused)
	}
}

// readAgain is when a journal that could not be read is tried again.
const readAgain = 15 * time.Second

// sendBackfill sends what is in the journal, at the rate of the options, while nothing
// is to be sent live, until the connection ends.
func (u *Upstream) sendBackfill(ctx context.Context, c *client.Conn) error {
	u.acks.begin()
	u.journal.Rewind()
	p := pace{each: time.Second / time.Duration(max(u.o.Rate, 1))}
	for {
		u.moveCursor()
		wait := time.Duration(-1) // until the bell rings
		switch {
		case !u.mayBackfill():
		case !p.allows(time.Now()):
			wait = time.Until(p.next)
		default:
			more, err := u.backfillOne(ctx, c)
			if err != nil {
				return err
			}
			if more {
				p.used(time.Now())
				continue
			}
		}
		if !u.await(ctx, wait) {
			return nil
		}
	}
}

// await waits until the bell of the journal rings, or for so long; negative: for the
// bell only. It returns false when ctx ends.
func (u *Upstream) await(ctx context.Context, wait time.Duration) bool {
	var timer <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-u.backfill:
	case <-timer:
	}
	return true
}

// mayBackfill reports whether nothing waits to be sent live, and there is room in the
// window.
func (u *Upstream) mayBackfill() bool {
	u.mu.Lock()
	may := !u.queue.waits() && u.acks.flying() < window/2
	u.mu.Unlock()
	return may
}

// backfillOne sends the next message of the journal.
func (u *Upstream) backfillOne(ctx context.Context, c *client.Conn) (more bool, err error) {
	e, ok, err := u.journal.Next()
	if err != nil {
		u.log.Error("the journal cannot be read", "error", err)
		u.await(ctx, readAgain)
		return false, nil
	}
	if !ok {
		return false, nil
	}
	u.acks.sent(e.Number)
	m, err := record.Parse(e.Message)
	if err != nil { // of another version
		u.acks.done(e.Number)
		return true, nil
	}
	return true, c.Publish(ctx, u.message(&m, record.Backfill, func(err error) {
		u.acks.done(e.Number)
		u.mu.Lock()
		u.count(&u.status.Backfilled, err)
		u.mu.Unlock()
		ring(u.backfill)
	}))
}

// moveCursor moves the journal's cursor to behind all messages that are acknowledged.
func (u *Upstream) moveCursor() {
	number, moved := u.acks.take()
	if !moved {
		return
	}
	u.journal.Ack(number)
	stats := u.journal.Stats()
	u.mu.Lock()
	u.status.Journal.Messages, u.status.Journal.Bytes = stats.Messages, stats.Bytes
	u.status.Journal.Oldest = stats.Oldest
	u.mu.Unlock()
}

// pace spaces events evenly.
type pace struct {
	each time.Duration
	next time.Time
}

func (p *pace) allows(now time.Time) bool { return !now.Before(p.next) }

func (p *pace) used(now time.Time) {
	if p.next = p.next.Add(p.each); p.next.Before(now) {
		p.next = now.Add(p.each)
	}
}

// acks are the messages of the journal that were sent. PUBACKs may come in another
// order.
type acks struct {
	mu    sync.Mutex
	list  []ack // in order
	moved bool
	last  uint64 // all up to this one are acknowledged
}

type ack struct {
	number uint64
	done   bool
}

// begin forgets what was sent over an earlier connection.
func (a *acks) begin() {
	a.mu.Lock()
	a.list = nil
	a.mu.Unlock()
}

func (a *acks) sent(number uint64) {
	a.mu.Lock()
	a.list = append(a.list, ack{number: number})
	a.mu.Unlock()
}

func (a *acks) flying() int {
	a.mu.Lock()
	n := len(a.list)
	a.mu.Unlock()
	return n
}

// done says that a message is acknowledged.
func (a *acks) done(number uint64) {
	a.mu.Lock()
	for i := range a.list {
		if a.list[i].number == number {
			a.list[i].done = true
		}
	}
	for len(a.list) > 0 && a.list[0].done {
		a.last, a.moved, a.list = a.list[0].number, true, a.list[1:]
	}
	a.mu.Unlock()
}

// take returns the number of the last message up to which all are acknowledged, if that
// is another one than before.
func (a *acks) take() (number uint64, moved bool) {
	a.mu.Lock()
	number, moved, a.moved = a.last, a.moved, false
	a.mu.Unlock()
	return number, moved
}
