package broker

import (
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/sessions"
)

// Client is what is known of a client.
type Client = sessions.Client

// Clients returns the clients of an application, or all if that is "", sorted by application and id.
func (b *Broker) Clients(application string) []Client {
	out := []Client{}
	for _, s := range b.sessionsOf(nil, application) {
		out = append(out, s.tell(time.Now()))
	}
	return sessions.Sorted(out)
}

// tell returns what is known of the session's client.
func (s *session) tell(now time.Time) Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Client{
		ID: strings.TrimPrefix(s.id, s.application+"/"), Login: s.login, Connected: s.owner != nil,
		Since: now.Sub(s.away), Queue: s.queue.Len() + len(s.inflight), Dropped: s.drops,
	}
	if s.owner != nil {
		o := connOf(s.owner)
		c.Address, c.Over, c.Version, c.Since = o.addr.String(), o.door.String(), o.version, now.Sub(o.since)
	}
	return c
}

// use notes that a key is in use.
func (b *Broker) use(keyID string) {
	if day, news := b.opts.Keys.Use(keyID, b.opts.Calendar()); news && b.opts.Used != nil {
		b.opts.Used(keyID, day)
	}
}

// useKeys notes that the keys of those who are connected are in use.
func (b *Broker) useKeys() {
	for _, c := range b.gate.matching(func(access.Login) bool { return true }) {
		b.use(c.login.KeyID)
	}
}
