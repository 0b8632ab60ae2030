package broker

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/broker/subscription"
	"lorawand/bridge/v3"
)

// The library sees no SUBSCRIBE and no UNSUBSCRIBE. Nobody asks it who has subscribed to
// what, and in its index the filters that one client may have can take half a megabyte.

// subscribe takes a SUBSCRIBE: filters are rewritten to the client's own application, and what cannot be is refused.
func (h *hook) subscribe(c *conn, cl *mqtt.Client, pk packets.Packet) error {
	s := h.b.session(cl.ID)
	have := s.filters()
	n := h.b.counted(c.login, have)
	if !c.login.Rights.Has(access.TrafficRead) && !c.login.Rights.Has(access.GatewaysRead) { // nothing will come
		h.b.refuses(c, SubscribeRefused, noRight, pk.Filters[0].Filter)
	}
	codes := make([]byte, len(pk.Filters))
	asked := map[string]bool{} // what is retained for these is sent
	for i, sub := range pk.Filters {
		f, ok := status.Filter(sub.Filter, c.login)
		renewed := have[f]
		codes[i] = sub.Qos
		switch {
		case v3.IsLong(sub.Filter):
			codes[i] = packets.ErrTopicFilterInvalid.Code
			h.b.refuses(c, SubscribeRefused, tooLong, sub.Filter)
		case !ok || !h.OnACLCheck(cl, f, false):
			codes[i] = packets.ErrNotAuthorized.Code
			h.b.refuses(c, SubscribeRefused, notOwn, sub.Filter)
		case renewed || h.b.announced(c.login, f):
		case n >= h.b.limits.Subscriptions:
			codes[i] = packets.ErrQuotaExceeded.Code
			h.b.refuses(c, SubscribeRefused, tooMany, sub.Filter)
			h.b.lines.Say(h.b.log, slog.LevelWarn, "an MQTT client has too many subscriptions: a further one is refused",
				slog.String("client", cl.ID), slog.String("filter", clip(sub.Filter)), slog.Int("limit", h.b.limits.Subscriptions))
		default:
			n++
		}
		if codes[i] > 2 {
			if c.version < 5 {
				codes[i] = packets.ErrUnspecifiedError.Code // MQTT 3.1.1, 3.9.3
			}
			continue
		}
		have[f] = true
		s.subscribe(subscription.New(f, sub.Qos, sub.Identifier, s.application))
		// MQTT 5.0, 3.8.3.1: 1 is only for a new subscription, 2 never.
		if v3.IsStatusFilter(f) && (sub.RetainHandling == 0 || sub.RetainHandling == 1 && !renewed) {
			asked[f] = true
		}
	}
	h.b.sendRetained(s, asked)
	return answer(cl, packets.Suback, pk.PacketID, codes)
}

// unsubscribe takes an UNSUBSCRIBE.
func (h *hook) unsubscribe(c *conn, cl *mqtt.Client, pk packets.Packet) error {
	s := h.b.session(cl.ID)
	codes := make([]byte, len(pk.Filters))
	for i, sub := range pk.Filters {
		if f, ok := status.Filter(sub.Filter, c.login); !ok || !s.unsubscribe(f) {
			codes[i] = packets.CodeNoSubscriptionExisted.Code
		}
	}
	return answer(cl, packets.Unsuback, pk.PacketID, codes)
}

// answer sends a SUBACK or UNSUBACK. One that is larger than the client takes counts as sent (MQTT
// 5.0, 3.1.2.11.4).
func answer(cl *mqtt.Client, kind byte, id uint16, codes []byte) error {
	err := cl.WritePacket(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id, ReasonCodes: codes,
	})
	if errors.Is(err, packets.ErrPacketTooLarge) {
		return nil
	}
	return err
}

// filters returns the filters that a session has subscribed to.
func (s *session) filters() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	have := make(map[string]bool, len(s.subs))
	for i := range s.subs {
		have[s.subs[i].Filter] = true
	}
	return have
}

// find returns where a subscription stands, or would stand. The lock is held.
func (s *session) find(filter string) (at int, found bool) {
	return slices.BinarySearchFunc(s.subs, filter, func(x subscription.Subscription, filter string) int {
		return cmp.Compare(x.Filter, filter)
	})
}

// subscribe adds a subscription, in the place of an earlier one with the same filter.
func (s *session) subscribe(sub subscription.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.find(sub.Filter)
	if !found {
		s.subs = slices.Insert(s.subs, at, sub)
	}
	s.subs[at] = sub
}

// unsubscribe takes a subscription away. It reports false if there is none.
func (s *session) unsubscribe(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.find(filter)
	if found {
		s.subs = slices.Delete(s.subs, at, at+1)
	}
	return found
}
