package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/status"
	"lorawand/bridge/v3"
)

// dispatchStatus retains a status and puts it into the queues of its subscribers.
func (b *Broker) dispatchStatus(m *message) {
	b.statuses.Put(m.Message)
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		s.enqueueStatus(m, "", false)
	}
}

// sendRetained gives a client the statuses of what it has just subscribed to.
func (b *Broker) sendRetained(cl *mqtt.Client, pk packets.Packet) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, renewed := b.sessions[cl.ID], connOf(cl).renewed
	for k, sub := range pk.Filters {
		// MQTT 5.0, 3.8.3.1: 1 is only for a new subscription, 2 never.
		if s == nil || sub.RetainHandling == 2 || sub.RetainHandling == 1 && renewed[k] {
			continue
		}
		for _, m := range b.statuses.Matching(sub.Filter) {
			s.enqueueStatus(&message{Message: m}, sub.Filter, true)
		}
	}
}

// enqueueStatus puts a status into the queue of a session that has a subscription for
// it; with only, if that is the one. The Broker's mu is held for reading.
func (s *session) enqueueStatus(m *message, only string, retained bool) {
	i, v, ok := item{msg: m, retained: retained}, via{}, false
	s.mu.Lock()
	for _, sub := range s.subs {
		if only != "" && sub.Filter != only || !v3.IsStatusFilter(sub.Filter) || !v3.Matches(sub.Filter, m.Suffix) {
			continue
		}
		if i.qos, ok = max(i.qos, sub.Qos), status.Allowed(s.login); sub.Identifier > 0 {
			v.ids = append(v.ids, sub.Identifier)
		}
	}
	if ok {
		i.via = s.through(v)
	}
	s.mu.Unlock()
	if ok {
		s.enqueue(i)
	}
}
