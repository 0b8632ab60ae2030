package pace

import (
	"sync"
	"time"
)

const (
	seldom   = time.Minute
	maxNames = 256 // of an application that are remembered
)

// Seldom lets a thing of one name of an application happen once a minute. Of a name beyond
// the limit of its application nothing happens; other applications have their own limit.
// The zero value is ready.
type Seldom struct {
	mu    sync.Mutex
	last  map[string]map[string]time.Time // by application and name
	swept time.Time
}

// Take reports whether it is time for the thing of a name.
func (s *Seldom) Take(application, name string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[application][name]; ok && now.Sub(last) < seldom {
		return false
	}
	if now.Sub(s.swept) >= seldom { // applications that are gone
		s.swept = now
		for application := range s.last {
			s.forget(application, now)
		}
	}
	s.forget(application, now)
	if len(s.last[application]) >= maxNames {
		return false
	}
	if s.last == nil {
		s.last = map[string]map[string]time.Time{}
	}
	if s.last[application] == nil {
		s.last[application] = map[string]time.Time{}
	}
	s.last[application][name] = now
	return true
}

// forget forgets the names of an application that have waited long enough.
func (s *Seldom) forget(application string, now time.Time) {
	names := s.last[application]
	for name, at := range names {
		if now.Sub(at) >= seldom {
			delete(names, name)
		}
	}
	if len(names) == 0 {
		delete(s.last, application)
	}
}
