package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// maxStatuses bounds the statuses that are retained: any packet forwarder may be a
// gateway where unknown ones are taken.
const maxStatuses = 1024

// filter rewrites the filter of a client, as v3.Filter does. Statuses are for keys
// that may read gateways, whatever their application; they are asked for by name.
func (c *conn) filter(asked string) (rewritten string, ok bool) {
	if v3.IsStatusFilter(asked) && !v3.IsLong(asked) {
		return asked, c.login.Rights.Has(access.GatewaysRead)
	}
	return v3.Filter(asked, c.login.Application, c.login.Tenant)
}

// dispatchStatus retains a status and puts it into the queues of its subscribers.
func (b *Broker) dispatchStatus(m *v3.Message) {
	b.mu.Lock()
	if _, known := b.statuses[m.Suffix]; known || len(b.statuses) < maxStatuses {
		b.statuses[m.Suffix] = *m
	}
	b.mu.Unlock()
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		if i, ok := s.matchStatus(m, ""); ok {
			s.enqueue(i)
		}
	}
}

// matchStatus returns what a session is to get of a status: of one of its
// subscriptions, or of all where filter is "".
func (s *session) matchStatus(m *v3.Message, filter string) (i item, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.login.Rights.Has(access.GatewaysRead) {
		return i, false
	}
	for _, sub := range s.subs {
		if filter != "" && sub.Filter != filter || !v3.IsStatusFilter(sub.Filter) || !v3.Matches(sub.Filter, m.Suffix) {
			continue
		}
		i.msg, i.qos, ok = *m, max(i.qos, sub.Qos), true
		if sub.Identifier > 0 {
			i.ids = append(i.ids, sub.Identifier)
		}
	}
	return i, ok
}

// sendRetained gives a client the statuses of what it has just subscribed to.
func (b *Broker) sendRetained(cl *mqtt.Client, pk packets.Packet) {
	s := b.session(cl.ID)
	if s == nil {
		return
	}
	renewed := connOf(cl).renewed
	b.mu.RLock()
	defer b.mu.RUnlock()
	for k, sub := range pk.Filters {
		// MQTT 5.0, 3.8.3.1: 1 is only for a new subscription, 2 never.
		if !v3.IsStatusFilter(sub.Filter) || sub.RetainHandling == 2 || sub.RetainHandling == 1 && renewed[k] {
			continue
		}
		for _, m := range b.statuses {
			if i, ok := s.matchStatus(&m, sub.Filter); ok {
				i.retained = true
				s.enqueue(i)
			}
		}
	}
}
