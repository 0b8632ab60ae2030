package door

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
	maxAge      = 30 * 24 * time.Hour // however much it is used
	tokenSize   = 32                  // bytes
)

// Browser is one that has logged in.
type Browser struct {
	id      [sha256.Size]byte // of its token
	Key     access.Login      // of an API key; zero: with the password
	Address string
	Since   time.Time
	used    time.Time
	streams int
	Ended   chan struct{} // closed when it ends
}

// ByPassword reports whether the browser has shown the password, and not a key.
func (s *Browser) ByPassword() bool { return s.Key.KeyID == "" }

// MayEnd reports whether it may end the session of another browser: with an API key,
// those of that key.
func (s *Browser) MayEnd(o *Browser) bool { return s.ByPassword() || o.Key.KeyID == s.Key.KeyID }

// ofHost are operations that reach into all applications.
var ofHost = []string{"backup", "restore", "key.revoke", "page.password", "problems.list", "report"}

// May reports whether it may ask for an operation at all: with an API key, which is one
// of an application, for none that reaches into others.
func (s *Browser) May(op string) bool { return s.ByPassword() || !slices.Contains(ofHost, op) }

// Sessions are those that have not ended. When there are too many, the one that was used
// least lately goes, of the application that has the most; with the password they are as of
// one more application.
type Sessions struct {
	mu      sync.Mutex
	all     []*Browser
	streams []*Stream // that are open, the oldest first
}

// Begin makes a session and returns its token.
func (s *Sessions) Begin(key access.Login, address string, now time.Time) (token string) {
	b := make([]byte, tokenSize)
	_, _ = rand.Read(b) // never fails
	token = base64.RawURLEncoding.EncodeToString(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if len(s.all) >= maxSessions {
		gone := s.replaceable(key.Application)
		s.drop(func(o *Browser) bool { return o == gone })
	}
	s.all = append(s.all, &Browser{
		id: sha256.Sum256([]byte(token)), Key: key, Address: address, Since: now, used: now, Ended: make(chan struct{}),
	})
	return token
}

// replaceable returns the session that makes room for one more of an application.
func (s *Sessions) replaceable(application string) (gone *Browser) {
	counts := map[string]int{application: 1}
	for _, o := range s.all {
		counts[o.Key.Application]++
	}
	for _, o := range s.all {
		if gone != nil {
			n, most := counts[o.Key.Application], counts[gone.Key.Application]
			if n < most || n == most && !o.used.Before(gone.used) {
				continue
			}
		}
		gone = o
	}
	return gone
}

// Find returns the session of a token and notes that it is used; nil: there is none.
func (s *Sessions) Find(token string, now time.Time) *Browser {
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

// End ends the sessions that match.
func (s *Sessions) End(match func(*Browser) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(match)
}

// Expire ends those that were not used for long, and those that have begun long ago.
func (s *Sessions) Expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
}

// expire is Expire for who holds the lock.
func (s *Sessions) expire(now time.Time) {
	s.drop(func(o *Browser) bool {
		return o.streams == 0 && now.Sub(o.used) > maxIdle || now.Sub(o.Since) > maxAge
	})
}

func (s *Sessions) drop(match func(*Browser) bool) {
	s.all = slices.DeleteFunc(s.all, func(o *Browser) bool {
		if !match(o) {
			return false
		}
		close(o.Ended)
		return true
	})
}

// Len returns how many there are.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}
