package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/v3"
)

// Discovery has what Home Assistant is told.
type Discovery = status.Discovery

// dispatchStatus puts a message that is retained into the queues of its subscribers.
func (b *Broker) dispatchStatus(m *message) {
	if m.Application == "" {
		b.statuses.Put(m.Message)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		if m.Application == "" || m.Application == s.application {
			s.enqueueStatus(m, "", false)
		}
	}
}

// announced reports whether a filter is one that Home Assistant was told to subscribe to.
// Such ones do not count: there is one for each device.
func (b *Broker) announced(l access.Login, filter string) bool {
	return b.opts.Discovery != nil && b.opts.Discovery.Announces(l.Application, filter)
}

// counted returns how many of a client's subscriptions count.
func (b *Broker) counted(l access.Login, have map[string]packets.Subscription) (n int) {
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

// sendRetained gives a client what is retained of what it has just subscribed to.
func (b *Broker) sendRetained(cl *mqtt.Client, pk packets.Packet) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, renewed := b.sessions[cl.ID], connOf(cl).renewed
	for k, sub := range pk.Filters {
		// MQTT 5.0, 3.8.3.1: 1 is only for a new subscription, 2 never.
		if s == nil || sub.RetainHandling == 2 || sub.RetainHandling == 1 && renewed[k] {
			continue
		}
		for _, m := range b.statuses.Matching(sub.Filter, s.application) {
			s.enqueueStatus(&message{Message: m}, sub.Filter, true)
		}
	}
}

// enqueueStatus puts a message that is retained into the queue of a session that has a subscription for
// it; with only, if that is the one. The Broker's mu is held for reading.
func (s *session) enqueueStatus(m *message, only string, retained bool) {
	i, v, ok := item{msg: m, retained: retained}, via{}, false
	s.mu.Lock()
	for _, sub := range s.subs {
		if only != "" && sub.Filter != only || !v3.IsStatusFilter(sub.Filter) || !v3.Matches(sub.Filter, m.Suffix) {
			continue
		}
		if i.qos, ok = max(i.qos, sub.Qos), status.Allowed(m.Suffix, s.login); sub.Identifier > 0 {
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
