package broker

import (
	"cmp"
	"math"
	"slices"

	"lorawand/bridge/access"
	"lorawand/bridge/order"
)

// manySessions is for how many sessions of an application there is room on the stack.
const manySessions = 128

// dispatch puts a message into the queues of its subscribers. It holds no lock that others
// need for longer than it takes to list them.
func (b *Broker) dispatch(m *message) {
	var room [manySessions]*session
	if m.IsStatus() {
		b.dispatchStatus(&m.Message, b.sessionsOf(room[:0], m.Application))
		return
	}
	below := topicBelow(m)
	var groups map[string][]share
	for _, s := range b.sessionsOf(room[:0], m.Application) {
		own, shared := s.match(m, below)
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
		if !sh.s.enqueue(sh.item) { // its session has just ended
			b.reassign(m.Application, &sh.item)
		}
	}
}

// Told implements state.Clients.
func (b *Broker) Told() (next, first uint64) {
	next, first = b.outbox.Next(&b.seq), math.MaxUint64
	for _, s := range b.sessionsOf(nil, "") {
		s.mu.Lock()
		if s.client != nil && len(s.inflight) > 0 {
			first = min(first, s.inflight[0].seq) // they are in order, and the queue is behind them
		} else if s.client != nil && s.queue.Len() > 0 {
			first = min(first, s.queue.First().seq)
		}
		s.mu.Unlock()
	}
	return next, first
}

// topicBelow returns what stands in the topic of a message below v3/{uid}/.
func topicBelow(m *message) string { return "devices/" + m.Device + "/" + m.Suffix }

// reassign gives a message that a session which has ended leaves undone of its shared subscriptions to another member
// of the group (MQTT 5.0, 4.8.2). It counts as dropped if there is none.
func (b *Broker) reassign(application string, left *item) {
	below := topicBelow(left.msg)
	var members []share
	for _, s := range b.sessionsOf(nil, application) {
		_, shared := s.match(left.msg, below)
		for _, sh := range shared {
			if sh.item.share == left.share {
				members = append(members, sh)
			}
		}
	}
	for len(members) > 0 {
		sh := b.pick(left.share, members)
		if sh.s.enqueue(sh.item) {
			return
		}
		members = slices.DeleteFunc(members, func(m share) bool { return m.s == sh.s })
	}
	b.clientDropped.Add(1)
}

// sessionsOf appends the sessions of an application, or all of them if that is "".
func (b *Broker) sessionsOf(dst []*session, application string) []*session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if application == "" {
		for _, s := range b.sessions {
			dst = append(dst, s)
		}
	} else if a := b.byApp[application]; a != nil {
		for s := range a.all {
			dst = append(dst, s)
		}
	}
	return dst
}

// share is a shared subscription that matches.
type share struct {
	s         *session
	connected bool
	item      item
}

// pick chooses whose turn it is among the members of a group; those that are connected come first.
func (b *Broker) pick(filter string, members []share) share {
	connected := slices.DeleteFunc(slices.Clone(members), func(m share) bool { return !m.connected })
	if len(connected) > 0 {
		members = connected
	}
	order.By(members, func(x, y share) int { return cmp.Compare(x.s.id, y.s.id) })
	return members[b.turns.Next(filter, len(members))]
}

// match returns what a session is to get of a message: one copy for each name that it calls its application by,
// whatever number of its subscriptions match, and what its shared subscriptions compete for. below is what topicBelow
// returns. An item without a via is none.
func (s *session) match(m *message, below string) (own [2]item, shared []share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.login.Rights.Has(access.TrafficRead) {
		return own, nil
	}
	var vias [2]via
	for i := range s.subs {
		sub := &s.subs[i]
		if !sub.Matches(below) {
			continue
		}
		if sub.Share != "" {
			v := via{uid: sub.UID, share: sub.Share}
			if sub.Identifier > 0 {
				v.ids = []int{sub.Identifier}
			}
			shared = append(shared, share{s, s.client != nil, item{msg: m, via: s.through(v), qos: sub.QoS}})
			continue
		}
		form := 0
		if sub.UID != m.Application {
			form = 1
		}
		if vias[form].uid = sub.UID; sub.Identifier > 0 {
			vias[form].ids = append(vias[form].ids, sub.Identifier)
		}
		own[form].qos = max(own[form].qos, sub.QoS)
	}
	for form, v := range vias {
		if v.uid != "" {
			own[form].msg, own[form].via = m, s.through(v)
		}
	}
	return own, shared
}

// enqueue puts a message into the queue of a session. It reports false if the session has ended.
func (s *session) enqueue(i item) bool {
	ok := s.put(i)
	s.b.trim()
	return ok
}

// put appends a message to the queue, unless the session has ended.
func (s *session) put(i item) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := i.size()
	if s.over {
		return false
	}
	if s.client == nil {
		if i.qos == 0 && s.owner == nil {
			return true
		}
		if !s.shrink(size) {
			s.dropped()
			return true
		}
	} else if s.queue.Len() >= s.b.limits.WritesPending {
		s.dropOldest()
	}
	i.seq = s.b.seq.Add(1)
	s.queue.Push(i)
	s.queued += size
	s.holds(&i)
	s.ring()
	return true
}
