package broker

import (
	"sync/atomic"
	"time"
)

// What waits for clients that are away is bounded for each, and what is kept for all clients, away or slow, until they
// have acknowledged it, is bounded too. Within the bound of all, the application for which most is kept pays.

// holds counts an item that is kept for the client. Its message counts once, whatever number of clients it is kept for.
func (s *session) holds(i *item) {
	n := i.own()
	if i.msg.holders.Add(1) == 1 {
		n += i.msg.size()
	}
	s.b.kept.Add(int64(n))
	s.kept.Add(int64(n))
}

// releases counts an item that is no longer kept.
func (s *session) releases(i *item) {
	n := i.own()
	if i.msg.holders.Add(-1) == 0 {
		n += i.msg.size()
	}
	s.b.kept.Add(int64(-n))
	s.kept.Add(int64(-n))
}

// shrink makes room for more bytes within the limits of one client that is away,
// oldest first. It reports whether there is room. The lock is held.
func (s *session) shrink(more int) bool {
	l := &s.b.limits
	if more > l.OfflineBytes {
		return false // whatever goes, there will be no room
	}
	for s.queue.Len() > 0 && (more > 0 && s.queue.Len() >= l.OfflineMessages || s.queued+more > l.OfflineBytes) {
		s.dropOldest()
	}
	return true
}

// trim goes back below the limit of all clients: of the application for which
// most is kept, the client for which most waits loses its oldest message.
func (b *Broker) trim() {
	if b.kept.Load() <= int64(b.limits.OfflineTotal) {
		return
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for b.kept.Load() > int64(b.limits.OfflineTotal) {
		var largest *applicationSessions
		for _, a := range b.byApp {
			if largest == nil || a.kept.Load() > largest.kept.Load() {
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
	all  map[*session]struct{}
	kept atomic.Int64 // bytes that are kept for their clients
}

// dropOldest drops the oldest messages for the client for which most waits: more than one of many, so that it is not
// looked for each time. It reports whether there was one.
func (a *applicationSessions) dropOldest() bool {
	var largest *session
	most := 0
	for s := range a.all {
		s.mu.Lock()
		if s.queued > most {
			largest, most = s, s.queued
		}
		s.mu.Unlock()
	}
	if largest == nil {
		return false
	}
	largest.mu.Lock()
	defer largest.mu.Unlock()
	for n := (largest.queue.Len() + 15) / 16; n > 0; n-- {
		largest.dropOldest()
	}
	return true
}

func (s *session) dropOldest() {
	i := s.queue.Pop()
	s.queued -= i.size()
	s.releases(&i)
	s.dropped()
}

func (s *session) dropped() {
	s.b.clientDropped.Add(1)
	s.drops++
	if now := time.Now(); now.Sub(s.warned) > time.Minute {
		s.warned = now
		s.b.log.Warn("an MQTT client is too slow or was away for too long: its oldest messages are dropped",
			"client", s.id, "dropped_total", s.b.clientDropped.Load())
	}
}
