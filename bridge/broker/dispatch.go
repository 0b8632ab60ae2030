package broker

import (
	"cmp"
	"slices"
	"strings"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// dispatch puts a message into the queues of its subscribers.
func (b *Broker) dispatch(m *message) {
	if m.IsStatus() {
		b.dispatchStatus(&m.Message)
		return
	}
	topic := m.Topic(m.Application)
	b.mu.RLock()
	defer b.mu.RUnlock()
	var groups map[string][]share
	for s := range b.sessionsOf(m.Application) {
		own, shared := s.match(m, topic)
		for i := range own {
			if own[i].via != nil {
				s.enqueue(own[i])
			}
		}
		for _, sh := range shared {
			if groups == nil {
				groups = map[string][]share{}
			}
			groups[sh.item.share] = append(groups[sh.item.share], sh)
		}
	}
	for filter, members := range groups {
		sh := b.pick(filter, members)
		sh.s.enqueue(sh.item)
	}
}

// reassign gives a message that a session which has ended leaves undone of its shared
// subscriptions to another member of the group (MQTT 5.0, 4.8.2).
func (b *Broker) reassign(application string, left *item) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	m := left.msg
	topic := m.Topic(application)
	var members []share
	for s := range b.sessionsOf(application) {
		_, shared := s.match(m, topic)
		for _, sh := range shared {
			if sh.item.share == left.share {
				members = append(members, sh)
			}
		}
	}
	if len(members) > 0 {
		sh := b.pick(left.share, members)
		sh.s.enqueue(sh.item)
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
	connected bool
	item      item
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
	b.turns.Lock()
	defer b.turns.Unlock()
	if len(b.shares) > 1024 { // of clients long gone
		clear(b.shares)
	}
	b.shares[filter]++
	return members[b.shares[filter]%n]
}

// match returns what a session is to get of a message: one copy for each name that
// it calls its application by, whatever number of its subscriptions match, and
// what its shared subscriptions compete for. topic is the message's without the
// tenant. An item without a via is none.
func (s *session) match(m *message, topic string) (own [2]item, shared []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.login.Rights.Has(access.TrafficRead) {
		return own, nil
	}
	withTenant := ""
	var vias [2]via
	for i := range s.subs {
		sub := &s.subs[i]
		group, filter, isShared := v3.Shared(sub.Filter)
		if v3.IsStatusFilter(filter) {
			continue
		}
		form, uid := 0, v3.FilterUID(filter)
		if uid != m.Application {
			if form = 1; withTenant == "" {
				withTenant = m.Topic(uid)
			}
		}
		if !v3.Matches(filter, [...]string{topic, withTenant}[form]) {
			continue
		}
		if isShared {
			v := via{uid: uid, share: group + "/" + strings.Replace(filter, uid, m.Application, 1)}
			if sub.Identifier > 0 {
				v.ids = []int{sub.Identifier}
			}
			shared = append(shared, share{s, s.client != nil, item{msg: m, via: s.through(v), qos: sub.Qos}})
			continue
		}
		if vias[form].uid = uid; sub.Identifier > 0 {
			vias[form].ids = append(vias[form].ids, sub.Identifier)
		}
		own[form].qos = max(own[form].qos, sub.Qos)
	}
	for form, v := range vias {
		if v.uid != "" {
			own[form].msg, own[form].via = m, s.through(v)
		}
	}
	return own, shared
}

// enqueue puts a message into the queue of a session. The Broker's mu is held for
// reading.
func (s *session) enqueue(i item) {
	s.put(i)
	s.b.trim()
}

// put appends a message to the queue.
func (s *session) put(i item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := i.size()
	if s.over {
		return
	}
	if s.client == nil {
		if i.qos == 0 && s.owner == nil {
			return
		}
		if !s.shrink(size) {
			s.dropped()
			return
		}
	} else if s.queue.Len() >= s.b.limits.WritesPending {
		s.dropOldest()
	}
	i.seq = s.b.seq.Add(1)
	s.queue.Push(i)
	s.queued += size
	s.holds(&i)
	s.ring()
}
