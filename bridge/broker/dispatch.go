package broker

import (
	"cmp"
	"slices"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// dispatch puts a message into the queues of its subscribers.
func (b *Broker) dispatch(m *v3.Message) {
	topic := m.Topic(m.Application)
	b.mu.RLock()
	defer b.mu.RUnlock()
	var groups map[string][]share
	for s := range b.sessionsOf(m.Application) {
		own, matches, shared := s.match(topic)
		if matches {
			own.msg = *m
			s.enqueue(own)
		}
		for _, sh := range shared {
			if groups == nil {
				groups = map[string][]share{}
			}
			groups[sh.filter] = append(groups[sh.filter], sh)
		}
	}
	for filter, members := range groups {
		b.pick(filter, members).deliver(m)
	}
}

// sessionsOf returns the sessions of an application. mu is held.
func (b *Broker) sessionsOf(application string) map[*session]struct{} {
	if a := b.byApp[application]; a != nil {
		return a.all
	}
	return nil
}

// share is a shared subscription that matches.
type share struct {
	s         *session
	filter    string // $share/{group}/{filter}
	connected bool
	item      item
}

func (sh share) deliver(m *v3.Message) {
	sh.item.msg = *m
	sh.s.enqueue(sh.item)
}

// pick chooses whose turn it is among the members of a group; those that are
// connected come first.
func (b *Broker) pick(filter string, members []share) share {
	slices.SortFunc(members, func(x, y share) int {
		if x.connected != y.connected {
			if x.connected {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.s.id, y.s.id)
	})
	n := len(members)
	for i, m := range members {
		if !m.connected && i > 0 {
			n = i
			break
		}
	}
	if len(b.shares) > 1024 { // of clients long gone
		clear(b.shares)
	}
	b.shares[filter]++
	return members[b.shares[filter]%n]
}

// match returns what a session is to get of a topic: one copy, whatever number
// of its subscriptions match, and what its shared subscriptions compete for.
// matches says that there is one that is not shared.
func (s *session) match(topic string) (own item, matches bool, shared []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.login.Rights.Has(access.TrafficRead) {
		return item{}, false, nil
	}
	for i := range s.subs {
		sub := &s.subs[i]
		_, filter, isShared := v3.Shared(sub.Filter)
		if !v3.Matches(filter, topic) {
			continue
		}
		var ids []int
		if sub.Identifier > 0 {
			ids = []int{sub.Identifier}
		}
		if isShared {
			shared = append(shared, share{s, sub.Filter, s.client != nil, item{qos: sub.Qos, ids: ids}})
			continue
		}
		matches = true
		own.qos = max(own.qos, sub.Qos)
		own.ids = append(own.ids, ids...)
	}
	return own, matches, shared
}

// enqueue puts a message into the queue of a session. The Broker's mu is held for
// reading.
func (s *session) enqueue(i item) {
	size := i.size()
	if s.put(i, size) {
		s.b.trim(0)
	}
}

// put appends a message to the queue. It reports whether the client is away.
func (s *session) put(i item, size int) (away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if away = s.client == nil; away {
		if i.qos == 0 && s.owner == nil {
			return false
		}
		if !s.shrink(size) {
			s.dropped()
			return false
		}
		s.keeps(size)
	} else if len(s.queue) >= s.b.limits.WritesPending {
		s.dropOldest()
	}
	s.queue = append(s.queue, i)
	s.queued += size
	s.ring()
	return away
}
