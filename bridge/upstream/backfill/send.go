package backfill

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// Times of sending.
const (
	firstPause   = time.Second // before the second try
	longestPause = 5 * time.Minute
	idle         = 5 * time.Second  // a connection without work ends
	tellAgain    = 10 * time.Minute // of another reason why nothing can be posted, or of more losses
)

// sender posts what the journal has, one message after the other: so they come in their
// order. Its goroutine waits for messages, connects, and posts until there are no more:
//
//	waiting ──(the journal has something)──► posting ──(nothing more for a while)──► waiting
//	                                            │ ▲
//	                          (a try has failed)▼ │(a pause, or the server answers again)
//	                                           pausing
type sender struct {
	*Backfill
	devices devices
	next    time.Time // when the next request may be made
	tries   tries
	told    time.Time // when it was told why nothing can be posted
}

// sendAll posts until ctx ends.
func (b *Backfill) sendAll(ctx context.Context) {
	s := sender{Backfill: b, devices: devices{of: map[device]known{}}}
	pause := firstPause
	for s.wait(ctx) {
		n, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if s.tell(err); err == nil || n > 0 {
			pause = firstPause
		}
		if err == nil {
			continue
		}
		// Many gateways lose the same server at the same time.
		wait, again := pause*3/4+rand.N(pause/2), s.again
		if p := (pauseError{}); errors.As(err, &p) {
			wait, again = max(wait, p.pause), nil
		}
		pauseFor(ctx, wait, again)
		pause = min(2*pause, longestPause)
	}
}

// wait waits until the journal has something.
func (s *sender) wait(ctx context.Context) bool {
	for ctx.Err() == nil && s.journal.Stats().Messages == 0 {
		select {
		case <-ctx.Done():
		case <-s.send:
		}
	}
	return ctx.Err() == nil
}

// pauseFor waits for so long, or until the server answers again; nil: it has asked for the pause.
func pauseFor(ctx context.Context, wait time.Duration, again <-chan struct{}) {
	t := time.NewTimer(wait)
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-again:
	}
	t.Stop()
}

// session connects, and posts until there is no more, or a try fails. It returns how many
// messages are done.
func (s *sender) session(ctx context.Context) (n int, err error) {
	a, err := connect(ctx, &s.o, s.pace)
	if err != nil {
		return 0, err
	}
	defer a.close()
	s.journal.Rewind()
	for !a.conn.Ended() && ctx.Err() == nil {
		e, ok, err := s.journal.Next()
		if err != nil {
			return n, err
		}
		if !ok {
			if !s.more(ctx) {
				return n, nil
			}
			continue
		}
		if done, err := s.one(ctx, a, &e); err != nil || !done {
			return n, err
		}
		if n++; n == 1 {
			s.tell(nil)
		}
	}
	return n, nil
}

// more waits a while for more messages.
func (s *sender) more(ctx context.Context) bool {
	t := time.NewTimer(idle)
	defer t.Stop()
	select {
	case <-s.send:
		return true
	case <-ctx.Done():
	case <-t.C:
	}
	return false
}

// one posts a message of the journal. If it is not done it stays there.
func (s *sender) one(ctx context.Context, a *api, e *journal.Entry) (done bool, err error) {
	m, err := record.Parse(e.Message)
	if err != nil { // of another version
		s.done(e, &s.status.Refused)
		return true, nil
	}
	is := s.wanted[m.Application] // else of an older configuration
	if is {
		if is, err = s.devices.has(ctx, a, &m); err != nil {
			return false, err
		}
	}
	switch {
	case !is:
		s.done(e, &s.status.Elsewhere)
		return true, nil
	case a.conn.Ended(): // the server wants no more on this connection
		return false, nil
	}
	return s.post(ctx, a, e, &m)
}

// post posts a message to a server that has its device.
func (s *sender) post(ctx context.Context, a *api, e *journal.Entry, m *v3.Message) (done bool, err error) {
	switch err := a.simulate(ctx, m); {
	case err == nil:
		s.done(e, &s.status.Posted)
	case errors.Is(err, errElsewhere):
		s.devices.forget(m)
		s.done(e, &s.status.Elsewhere)
	case errors.Is(err, errRefused):
		s.refused(m, err)
		s.done(e, &s.status.Refused)
	case errors.Is(err, errServer) && s.tried(e.Number):
		s.refused(m, err)
		s.done(e, &s.status.Refused)
	default:
		if errors.Is(err, errUnanswered) {
			s.count(&s.status.Unanswered)
		}
		return false, err
	}
	return true, nil
}

// A message to which the server answers 5xx for so long and so often, while it answers questions for devices, blocks
// those behind it no more.
const (
	mostTries = 20
	longTry   = time.Hour
)

// tries counts the answers 5xx to the post of one message.
type tries struct {
	number uint64
	n      int
	since  time.Time
}

// tried reports whether a message was tried for long enough.
func (s *sender) tried(number uint64) bool {
	if t := &s.tries; t.number != number || t.n == 0 {
		*t = tries{number: number, since: time.Now()}
	}
	s.tries.n++
	return s.tries.n >= mostTries && time.Since(s.tries.since) >= longTry
}

// pace waits until the next request may be made.
func (s *sender) pace(ctx context.Context) error {
	if wait := time.Until(s.next); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.next = time.Now().Add(time.Second / time.Duration(max(s.o.Rate, 1)))
	return nil
}

func (s *sender) count(n *uint64) {
	s.mu.Lock()
	*n++
	s.mu.Unlock()
}

// done moves the cursor behind a message, and counts it.
func (s *sender) done(e *journal.Entry, n *uint64) {
	s.journal.Ack(e.Number)
	stats := s.journal.Stats()
	s.mu.Lock()
	*n++
	s.status.Journal.Messages, s.status.Journal.Bytes, s.status.Journal.Oldest = stats.Messages, stats.Bytes, stats.Oldest
	s.mu.Unlock()
}

// refused tells of a message that is lost.
func (s *sender) refused(m *v3.Message, err error) {
	s.mu.Lock()
	n := s.status.Refused + 1
	s.mu.Unlock()
	if n&(n-1) == 0 { // 1, 2, 4, 8 …
		s.log.Warn("the server refuses a message, which is lost", "application_id", m.Application, "device_id", m.Device,
			"error", err, "refused", n)
	}
}

// tell notes why nothing can be posted, or that it can. Another reason is told seldom: each
// try of a long outage may have one.
func (s *sender) tell(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	s.mu.Lock()
	before := s.status.Error
	s.status.Error = why
	if (before == "") != (why == "") {
		s.status.Since = time.Now()
	}
	s.mu.Unlock()
	now := time.Now()
	switch {
	case why == "" && before != "":
		s.log.Info("messages of the outage are posted")
	case why != "" && (before == "" || before != why && now.Sub(s.told) >= tellAgain):
		s.told = now
		s.log.Warn("messages of an outage cannot be posted; it is tried again", "error", why)
	}
}
