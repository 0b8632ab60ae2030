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
// open, one of the application that has most makes room for one of an application that will
// not have more than it, and likewise among the sessions of an application; it is the oldest
// of the session that has most.
func (s *Sessions) OpenStream(o *Browser) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.streams >= PerSession {
		return nil
	}
	if len(s.streams) >= MaxStreams {
		gone := s.replaceableStream(o)
		if gone == nil {
			return nil
		}
		s.remove(gone)
		close(gone.Gone)
	}
	out := &Stream{of: o, Gone: make(chan struct{})}
	s.streams = append(s.streams, out)
	o.streams++
	return out
}

// replaceableStream returns the stream that makes room for one of a session; nil: none does.
func (s *Sessions) replaceableStream(o *Browser) (gone *Stream) {
	counts := map[string]int{}
	for _, t := range s.streams {
		counts[t.of.Key.Application]++
	}
	own := counts[o.Key.Application]
	most := func(t *Stream) int { return counts[t.of.Key.Application]*(PerSession+1) + t.of.streams }
	for _, t := range s.streams {
		more := counts[t.of.Key.Application] >= own+2
		if t.of.Key.Application == o.Key.Application {
			more = t.of.streams >= o.streams+2
		}
		if more && (gone == nil || most(t) > most(gone)) {
			gone = t
		}
	}
	return gone
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
