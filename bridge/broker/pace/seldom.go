package pace

import (
	"sync"
	"time"
)

const (
	seldom   = time.Minute
	maxNames = 256 // that are remembered
)

// Seldom lets a thing of one name happen once a minute. It forgets names when there are
// too many. The zero value is ready.
type Seldom struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// Take reports whether it is time for the thing of a name.
func (s *Seldom) Take(name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[name]; ok && now.Sub(last) < seldom {
		return false
	}
	for old, at := range s.last {
		if now.Sub(at) >= seldom {
			delete(s.last, old)
		}
	}
	if len(s.last) >= maxNames {
		return false
	}
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	s.last[name] = now
	return true
}
