package jetstream

import (
	"context"
	"fmt"
	"time"

	"lorawand/bridge/store"
)

// growth is what the stream has got since the newest snapshot.
type growth struct {
	bytes    int64 // of commits, and of parts of those that were given up
	messages int   // with these bytes
	snapshot int64 // bytes of the newest snapshot
	retry    int64 // when the next attempt may be made after a failure, by monotonic
	busy     bool  // one is being written
	number   uint64
}

// add counts a message that is stored. A part counts even if its commit is given up.
func (g *growth) add(m *sent) {
	if m.kind == isPart || m.kind == isGroup {
		g.bytes += int64(len(m.body))
		g.messages++
	}
}

// A snapshot is written when the commits since the last one are so many bytes, and so many times
// its bytes, or so many messages. Whoever starts asks for each message by itself, which takes as
// long as some kilobytes do.
const (
	growthFloor    = 1 << 20
	growthRatio    = 3
	growthMessage  = 4 << 10
	growthMessages = 4000
)

// due reports whether a snapshot is to be written.
func (g *growth) due() bool {
	return !g.busy && monotonic() >= g.retry &&
		(g.bytes+int64(g.messages)*growthMessage > max(growthFloor, growthRatio*g.snapshot) || g.messages > growthMessages)
}

// maySnapshot writes a snapshot in the background, if it is time.
func (s *Store) maySnapshot() {
	if !s.writing.TryLock() {
		return
	}
	defer s.writing.Unlock()
	if s.closed || s.isLost.Load() || !s.growth.due() || s.w.unsure != nil || len(s.w.debt) > 0 {
		return
	}
	s.growth.busy = true
	taken := s.take()
	s.wg.Go(func() {
		err := s.write(taken)
		s.writing.Lock()
		defer s.writing.Unlock()
		if s.growth.busy = false; err != nil {
			s.growth.retry = monotonic() + int64(time.Minute)
			s.log.Warn("a snapshot cannot be written; it is tried again", "reason", err)
		}
	})
}

// taken is the state at one instant.
type taken struct {
	end
	all []store.Record
}

// take takes the state. The caller holds writing, and nothing is unsure.
func (s *Store) take() *taken {
	s.growth.number++
	s.growth.bytes, s.growth.messages = 0, 0
	s.mu.Lock()
	defer s.mu.Unlock()
	return &taken{
		all: s.content.All(),
		end: end{Snapshot: s.growth.number, Base: s.w.last, Number: s.number, Records: s.content.Len()},
	}
}

// write writes a snapshot, between other messages, and deletes what is before it.
func (s *Store) write(t *taken) error {
	size := int64(0)
	for _, body := range t.chunks() {
		size += int64(len(body))
		if err := s.putBetween(t, &sent{kind: isChunk, body: body}); err != nil {
			return err
		}
	}
	if err := s.putBetween(t, nil); err != nil {
		return err
	}
	s.writing.Lock()
	s.growth.snapshot = size
	s.writing.Unlock()
	return s.clean(t)
}

// clean deletes what is before a complete snapshot. Whenever that happens, nothing is lost.
func (s *Store) clean(t *taken) error {
	if before := min(t.First, t.Base+1); before > 1 {
		return s.link.purge(s.ctx, before, 0)
	}
	return nil
}

// putBetween stores a chunk, or with nil the end, between other messages.
func (s *Store) putBetween(t *taken, m *sent) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed || s.isLost.Load() {
		return ErrLost
	}
	return s.putPiece(s.ctx, t, m)
}

func (s *Store) putPiece(ctx context.Context, t *taken, m *sent) error {
	if err := s.settled(ctx); err != nil {
		return err
	}
	if m == nil {
		if t.First == 0 {
			t.First = s.w.last + 1
		}
		t.Leader, t.Epoch, t.Since = claim{Name: s.o.Name, TTL: s.o.TTL.Milliseconds()}, s.epoch, s.since
		m = &sent{kind: isEnd, body: jsonBody(t.end), replaces: t.Replace}
	}
	if err := s.put(ctx, m); err != nil {
		return err
	}
	if t.First == 0 {
		t.First = s.w.last
	}
	return nil
}

// chunks returns the bodies of the chunks.
func (t *taken) chunks() (out [][]byte) {
	size, first := 0, 0
	for i := range t.all {
		r := &t.all[i]
		size += len(r.Kind) + len(r.Key) + len(r.Data) + 8
		if size < chunkSize && i < len(t.all)-1 {
			continue
		}
		records, _ := store.EncodeRecords(t.all[first : i+1]) // they were checked when they were committed
		for len(records) > 0 {
			n := min(len(records), partSize)
			out = append(out, chunkBody(t.Snapshot, len(out), n < len(records), records[:n]))
			records = records[n:]
		}
		first, size = i+1, 0
	}
	t.Chunks = uint32(len(out))
	return out
}

// Restore replaces all records by the result of merge, or none. Callers that have loaded records
// must load them again.
func (s *Store) Restore(merge store.Merge) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.restore(merge); err != nil {
		return fmt.Errorf("jetstream: restore: %w", err)
	}
	return nil
}

// restoreTime is how long a restore may take.
const restoreTime = time.Minute

func (s *Store) restore(merge store.Merge) error {
	if s.closed {
		return store.ErrClosed
	}
	if s.isLost.Load() {
		return ErrLost
	}
	ctx, cancel := context.WithTimeout(s.ctx, restoreTime)
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	all, err := s.content.Merged(merge)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	t := s.take()
	t.all, t.Records, t.Replace = all.All(), all.Len(), true
	for _, body := range t.chunks() {
		if err := s.putPiece(ctx, t, &sent{kind: isChunk, body: body}); err != nil {
			return err
		}
	}
	t.Base = s.w.last // nothing else was stored meanwhile
	if err := s.putPiece(ctx, t, nil); err != nil {
		return err
	}
	s.mu.Lock()
	s.content = all
	s.mu.Unlock()
	clear(s.w.debt)
	_ = s.clean(t) // the next snapshot does it otherwise
	return nil
}
