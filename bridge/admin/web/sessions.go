package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"lorawand/bridge/access"
)

// Limits of sessions.
const (
	maxSessions = 16
	maxIdle     = 24 * time.Hour
	tokenSize   = 32 // bytes
)

// browser is one that has logged in.
type browser struct {
	id      [sha256.Size]byte // of its token
	key     access.Login      // of an API key; zero: with the password
	address string
	since   time.Time
	used    time.Time
	streams int
	ended   chan struct{} // closed when it ends
}

// byPassword reports whether the browser has shown the password, and not a key.
func (s *browser) byPassword() bool { return s.key.KeyID == "" }

// sessions are those that have not ended. The one that was used least lately goes when
// there are too many.
type sessions struct {
	mu  sync.Mutex
	all []*browser
}

// begin makes a session and returns its token.
func (s *sessions) begin(key access.Login, address string, now time.Time) (token string) {
	b := make([]byte, tokenSize)
	_, _ = rand.Read(b) // never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if len(s.all) >= maxSessions {
		oldest := slices.MinFunc(s.all, func(a, b *browser) int { return a.used.Compare(b.used) })
		s.drop(func(o *browser) bool { return o == oldest })
	}
	s.all = append(s.all, &browser{
		id: sha256.Sum256([]byte(token)), key: key, address: address, since: now, used: now, ended: make(chan struct{}),
	})
	return token
}

// find returns the session of a token and notes that it is used; nil: there is none.
func (s *sessions) find(token string, now time.Time) *browser {
	if len(token) > 2*tokenSize {
		return nil
	}
	id := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	for _, o := range s.all {
		if o.id == id {
			o.used = now
			return o
		}
	}
	return nil
}

// end ends the sessions that match.
func (s *sessions) end(match func(*browser) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(match)
}

// expire ends those that were not used for long. The lock is held.
func (s *sessions) expire(now time.Time) {
	s.drop(func(o *browser) bool { return o.streams == 0 && now.Sub(o.used) > maxIdle })
}

func (s *sessions) drop(match func(*browser) bool) {
	s.all = slices.DeleteFunc(s.all, func(o *browser) bool {
		if !match(o) {
			return false
		}
		close(o.ended)
		return true
	})
}

// len returns how many there are.
func (s *sessions) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// openStream counts one more stream of a session, unless it has most already.
func (s *sessions) openStream(o *browser, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.streams >= most {
		return false
	}
	o.streams++
	return true
}

func (s *sessions) closeStream(o *browser, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.streams--
	o.used = now
}
