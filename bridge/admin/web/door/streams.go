package door

import (
	"slices"
	"time"
)

// Limits of streams. Each holds one of the connections that an address may have.
const (
	PerSession = 4
	MaxStreams = 8 // of all sessions
)

// Stream is a browser's, on which it is told what happens.
type Stream struct {
	of   *Browser
	Gone chan struct{} // closed when it has to make room
}

// OpenStream counts one more stream of a session; nil: there is none for it. When all are
// open, the oldest of the session that has most makes room for one of a session that will
// not have more than it.
func (s *Sessions) OpenStream(o *Browser) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.streams >= PerSession {
		return nil
	}
	if len(s.streams) >= MaxStreams {
		most := slices.MaxFunc(s.streams, func(a, b *Stream) int { return a.of.streams - b.of.streams })
		if most.of.streams < o.streams+2 {
			return nil
		}
		s.remove(most)
		close(most.Gone)
	}
	out := &Stream{of: o, Gone: make(chan struct{})}
	s.streams = append(s.streams, out)
	o.streams++
	return out
}

// CloseStream counts one less.
func (s *Sessions) CloseStream(t *Stream, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.of.used = now
	s.remove(t)
}

func (s *Sessions) remove(t *Stream) {
	if i := slices.Index(s.streams, t); i >= 0 {
		s.streams = slices.Delete(s.streams, i, i+1)
		t.of.streams--
	}
}
