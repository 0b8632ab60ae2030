package broker

import (
	"cmp"
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/order"
)

// Client is what is known of a client that is connected, or whose session is kept.
type Client struct {
	ID        string // as the client calls itself
	Login     access.Login
	Connected bool
	Address   string        // while it is connected
	Over      string        // the same: "tcp", "tls" or "websocket"
	Version   byte          // the same: the level of its protocol; 4 is MQTT 3.1.1
	Since     time.Duration // it has been connected, or away, for so long
	Queue     int           // messages that wait for it or are on their way to it
	Dropped   uint64        // messages that its session has lost
}

// Clients returns the clients of an application, or all if that is "", sorted by application and id.
func (b *Broker) Clients(application string) []Client {
	now := time.Now()
	all := b.sessionsOf(nil, application)
	out := make([]Client, 0, len(all))
	for _, s := range all {
		out = append(out, s.tell(now))
	}
	order.By(out, func(x, y Client) int {
		return cmp.Or(cmp.Compare(x.Login.Application, y.Login.Application), cmp.Compare(x.ID, y.ID))
	})
	return out
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
