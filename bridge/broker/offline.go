package broker

import (
	"slices"
	"sync/atomic"
	"time"
)

// What waits for clients that are away is bounded for each, and for all of them.
// Within the bound of all, the application for which most is kept pays.

// keeps counts bytes that are kept for the client while it is away, or no longer.
func (s *session) keeps(n int) {
	s.b.offlineBytes.Add(int64(n))
	s.offline.Add(int64(n))
}

// shrink makes room for more bytes within the limits of one client that is away,
// oldest first. It reports whether there is room. The lock is held.
func (s *session) shrink(more int) bool {
	l := &s.b.limits
	if more > l.OfflineBytes {
		return false // whatever goes, there will be no room
	}
	for len(s.queue) > 0 && (more > 0 && len(s.queue) >= l.OfflineMessages || s.queued+more > l.OfflineBytes) {
		s.keeps(-s.queue[0].size())
		s.dropOldest()
	}
	return true
}

// trim makes room for more bytes within the limit of all clients that are away:
// of the application for which most is kept, the client for which most is kept
// loses its oldest message. mu is held for reading.
func (b *Broker) trim(more int) {
	for b.offlineBytes.Load()+int64(more) > int64(b.limits.OfflineTotal) {
		var largest *applicationSessions
		for _, a := range b.byApp {
			if largest == nil || a.offline.Load() > largest.offline.Load() {
				largest = a
			}
		}
		if largest == nil || !largest.dropOldest() {
			return
		}
	}
}

// applicationSessions are the sessions of an application.
type applicationSessions struct {
	all     map[*session]struct{}
	offline atomic.Int64 // bytes that are kept for those whose clients are away
}

// dropOldest drops the oldest message for the client that is away for which most
// is kept. It reports whether there was one.
func (a *applicationSessions) dropOldest() bool {
	var largest *session
	most := 0
	for s := range a.all {
		s.mu.Lock()
		if s.client == nil && s.queued > most {
			largest, most = s, s.queued
		}
		s.mu.Unlock()
	}
	if largest == nil {
		return false
	}
	largest.mu.Lock()
	defer largest.mu.Unlock()
	if largest.client == nil && len(largest.queue) > 0 {
		largest.keeps(-largest.queue[0].size())
		largest.dropOldest()
	}
	return true
}

func (s *session) dropOldest() {
	s.queued -= s.queue[0].size()
	s.queue = slices.Delete(s.queue, 0, 1)
	s.dropped()
}

func (s *session) dropped() {
	s.b.clientDropped.Add(1)
	s.drops++
	if now := time.Now(); now.Sub(s.warned) > time.Minute {
		s.warned = now
		s.b.log.Warn("an MQTT client is too slow or was away for too long: its oldest messages are dropped", "client", s.id, "dropped_total", s.b.clientDropped.Load())
	}
}
