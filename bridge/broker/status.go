package broker

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/broker/subscription"
	"lorawand/bridge/v3"
)

// Discovery has what Home Assistant is told.
type Discovery = status.Discovery

// dispatchStatus puts a message that is retained into the queues of its subscribers, which are among some sessions.
func (b *Broker) dispatchStatus(m *v3.Message, among []*session) {
	if m.Application == "" {
		b.statuses.Put(*m)
	}
	for _, s := range among {
		s.enqueueStatus(m)
	}
}

// announced reports whether a filter is one that Home Assistant was told to subscribe to.
// Such ones do not count: there is one for each device.
func (b *Broker) announced(l access.Login, filter string) bool {
	return b.opts.Discovery != nil && b.opts.Discovery.Announces(l.Application, filter)
}

// counted returns how many of a client's subscriptions count.
func (b *Broker) counted(l access.Login, have map[string]bool) (n int) {
	for f := range have {
		if !b.announced(l, f) {
			n++
		}
	}
	return n
}

// isBirth takes the message by which Home Assistant says that it has come up.
func (b *Broker) isBirth(c *conn, pk *packets.Packet) bool {
	if pk.TopicName != v3.HomeAssistantStatus || !c.login.Rights.Has(access.TrafficRead) {
		return false
	}
	if b.opts.Discovery != nil && string(pk.Payload) == "online" {
		b.opts.Discovery.Online(c.login.Application)
	}
	return true
}

// sendRetained gives a client what is retained of what it has just subscribed to: each
// message once, however many filters name it.
func (b *Broker) sendRetained(s *session, asked map[string]bool) {
	if len(asked) == 0 {
		return
	}
	subs := s.statusSubs(asked)
	for _, m := range b.statuses.All(s.application, slices.Collect(maps.Keys(asked))) {
		i, ok := s.statusItem(&m, subs)
		if !ok {
			continue
		}
		i.retained = true
		s.enqueue(i)
	}
}

// statusSubs returns the subscriptions of a session to what is retained: those among some filters, or all for nil.
func (s *session) statusSubs(asked map[string]bool) (out []subscription.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if sub.Status && (asked == nil || asked[sub.Filter]) {
			out = append(out, sub)
		}
	}
	return out
}

// enqueueStatus puts a message that is retained into the queue of a session that has a subscription for it. One that is
// sent again is not for clients that are away: they have it, or wait for it already.
func (s *session) enqueueStatus(m *v3.Message) {
	s.mu.Lock()
	away := s.client == nil
	s.mu.Unlock()
	if away && m.Again {
		return
	}
	if i, ok := s.statusItem(m, s.statusSubs(nil)); ok {
		s.enqueue(i)
	}
}

// statusItem returns what a session is to get of a message that is retained for some of
// its subscriptions; ok is false if it is nothing.
func (s *session) statusItem(m *v3.Message, subs []subscription.Subscription) (i item, ok bool) {
	var v via
	for _, sub := range subs {
		if !v3.Matches(sub.Filter, m.Suffix) {
			continue
		}
		ok, i.qos = true, max(i.qos, sub.QoS)
		if sub.Identifier > 0 {
			v.ids = append(v.ids, sub.Identifier)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || !status.Allowed(m.Suffix, s.login) {
		return i, false
	}
	i.msg, i.via = s.b.sharing.of(m, s.application), s.through(v)
	return i, true
}

// sharing has the messages that are retained as the clients of an application share them:
// what waits for several of these counts once.
type sharing struct {
	mu     sync.Mutex
	shared map[[2]string]*message // by application and topic
	sweep  int                    // with that many, those go that nobody waits for
}

func (r *sharing) of(m *v3.Message, application string) *message {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := [2]string{application, m.Suffix}
	if old := r.shared[name]; old != nil && bytes.Equal(old.Payload, m.Payload) {
		return old
	}
	if r.shared == nil {
		r.shared = map[[2]string]*message{}
	}
	if len(r.shared) >= r.sweep {
		maps.DeleteFunc(r.shared, func(_ [2]string, m *message) bool { return m.holders.Load() == 0 })
		r.sweep = 2*len(r.shared) + 64
	}
	r.shared[name] = &message{Message: *m}
	return r.shared[name]
}
