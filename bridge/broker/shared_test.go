package broker

import (
	"fmt"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"
)

func TestSharedSubscriptions(t *testing.T) {
	s := start(t, Limits{})
	var group []*raw
	for i := range 3 {
		group = append(group, s.login(fmt.Sprint("g", i)).subscribe(1, "$share/g/#"))
	}
	alone := s.login("alone").subscribe(0, "$share/h/v3/+/devices/+/up")
	for i := range 9 {
		s.up(fmt.Sprint(i))
		alone.gets(upTopic, fmt.Sprint(i), 0)
	}
	for i, r := range group {
		for range 3 {
			pk := r.want(packets.Publish)
			r.send(ackFor(pk))
		}
		r.silent(fmt.Sprint("member ", i))
	}
}

// Clients that log in with the tenant and without it can share a subscription. When the
// session of a member ends, the messages that it has not acknowledged go to another one.
func TestSharedSubscriptionEnds(t *testing.T) {
	s := start(t, Limits{})
	first := s.loginAs(4, "first", "app1@ttn", s.key1).subscribe(1, "$share/g/#")
	for i := range 10 {
		s.up(fmt.Sprint(i))
	}
	acked := first.want(packets.Publish)
	first.send(ackFor(acked))
	for range 9 {
		first.want(packets.Publish)
	}
	second := s.loginAs(4, "second", "app1", s.key1).subscribe(1, "$share/g/#")
	s.eventually("one is acknowledged", func() bool { _, n := s.waiting("app1/first"); return n == 9 })
	first.Close()
	got := map[string]bool{}
	for range 9 {
		pk := second.want(packets.Publish)
		second.send(ackFor(pk))
		got[string(pk.Payload)] = true
		if pk.TopicName != upTopic {
			t.Errorf("topic %s", pk.TopicName)
		}
	}
	if len(got) != 9 || got[string(acked.Payload)] {
		t.Errorf("the other member gets %v", got)
	}
	second.silent("more than was left")
}

// Of a QoS 2 message that one member of a shared subscription was sent no other may get a
// copy, whatever becomes of that member (MQTT 5.0, 4.8.2); what still waits for it may.
func TestSharedSubscriptionExactlyOnce(t *testing.T) {
	s := start(t, Limits{Inflight: 2})
	first := s.login("first").subscribe(2, "$share/g/#")
	for i := range 3 {
		s.up(fmt.Sprint(i))
	}
	taken := first.gets(upTopic, "0", 2)
	first.gets(upTopic, "1", 2)
	first.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: taken.PacketID})
	first.want(packets.Pubrel)
	second := s.login("second").subscribe(2, "$share/g/#")
	first.Close()
	second.gets(upTopic, "2", 2)
	second.silent("what the first member was sent")
}
