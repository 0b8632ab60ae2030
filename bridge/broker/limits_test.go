package broker

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
)

func TestLimitsOfConnections(t *testing.T) {
	s := start(t, Limits{Clients: 3, Unauthenticated: 6, PerAddress: 4, ConnectTimeout: 300 * time.Millisecond})
	var idle []*raw
	for range 4 {
		idle = append(idle, dialRaw(t, s.addr))
	}
	s.eventually("four wait", func() bool { s.gate.mu.Lock(); defer s.gate.mu.Unlock(); return len(s.gate.waiting) == 4 })
	idle = append(idle, dialRaw(t, s.addr))
	if err := idle[0].closed(patience); err != nil {
		t.Errorf("the oldest of five connections of one address: %v", err)
	}
	for _, r := range idle {
		if err := r.closed(patience); err != nil {
			t.Errorf("silent client: %v", err)
		}
	}
	s.eventually("places are free again", func() bool {
		s.gate.mu.Lock()
		defer s.gate.mu.Unlock()
		return len(s.gate.waiting) == 0
	})
	for i := range 3 {
		s.login(fmt.Sprint("c", i))
	}
	for version, want := range map[byte]byte{4: 3, 5: packets.ErrServerBusy.Code} {
		r := dialRaw(t, s.addr)
		r.version = version
		r.send(connectPacket("one-too-many", "app1", s.key1))
		if ack := r.want(packets.Connack); ack.ReasonCode != want {
			t.Errorf("fourth client: CONNACK 0x%x, want 0x%x", ack.ReasonCode, want)
		}
	}
	if s.Stats().Refused != 3 {
		t.Errorf("%d refused, want 3", s.Stats().Refused)
	}
}

func TestLimitOfSubscriptions(t *testing.T) {
	s := start(t, Limits{Subscriptions: 4})
	r := s.login("")
	r.send(subscribePacket(1, 0, "#", "v3/#", "v3/app1/devices/a/up", "v3/app1/devices/b/up", "v3/app1/devices/c/up",
		"v3/app1/devices/d/up", "v3/app1/devices/a/up"))
	if got := fmt.Sprintf("%x", r.want(packets.Suback).ReasonCodes); got != "00000000008000" {
		t.Errorf("SUBACK %s", got) // "#" and "v3/#" are one
	}
}

func TestLargePacket(t *testing.T) {
	s := start(t, Limits{})
	r := s.login("")
	r.send(publishPacket(1, 1, "x", strings.Repeat("x", 60_000)))
	r.want(packets.Puback)
	r.send(publishPacket(2, 1, "x", strings.Repeat("x", 70_000)))
	if err := r.closed(patience); err != nil {
		t.Error(err)
	}
	// A client that takes only small packets misses the large ones.
	small := dialRaw(t, s.addr)
	small.version = 5
	pk := connectPacket("small", "app1", s.key1)
	pk.Properties.MaximumPacketSize = 100
	small.send(pk)
	small.want(packets.Connack)
	small.subscribe(1, "#")
	for range 100 {
		s.up(strings.Repeat("x", 200))
	}
	s.up("y")
	small.gets(upTopic, "y", 1)
}

// A client that takes only small packets misses a SUBACK and an UNSUBACK that are larger, which count
// as sent (MQTT 5.0, 3.1.2.11.4).
func TestLargeSuback(t *testing.T) {
	s := start(t, Limits{})
	r := dialRaw(t, s.addr)
	r.version = 5
	pk := connectPacket("small", "app1", s.key1)
	pk.Properties.MaximumPacketSize = 100
	r.send(pk)
	r.want(packets.Connack)
	filters := []string{"#"}
	for i := range 120 { // each has a byte of the answer
		filters = append(filters, fmt.Sprint("v3/app2/", i))
	}
	ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	r.send(subscribePacket(1, 0, filters...))
	r.send(ping)
	r.want(packets.Pingresp)
	s.up("x")
	r.gets(upTopic, "x", 0)
	r.send(unsubscribePacket(filters...))
	r.send(ping)
	r.want(packets.Pingresp)
	s.up("y")
	r.silent("after UNSUBSCRIBE")
}

// MQTT 5 clients say how many messages may be on their way; the broker goes on
// as they are acknowledged.
func TestReceiveMaximum(t *testing.T) {
	s := start(t, Limits{})
	r := dialRaw(t, s.addr)
	r.version = 5
	pk := connectPacket("five", "app1", s.key1)
	pk.Properties.ReceiveMaximum = 3
	r.send(pk)
	r.want(packets.Connack)
	r.subscribe(2, "#")
	for i := range 50 {
		s.up(fmt.Sprint(i))
	}
	var open []packets.Packet
	for i := range 3 {
		open = append(open, r.gets(upTopic, fmt.Sprint(i), 2))
	}
	r.silent("a fourth message")
	for i := 3; i < 53; i++ {
		id := open[0].PacketID
		open = open[1:]
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: id})
		r.want(packets.Pubrel)
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: id})
		if i < 50 {
			open = append(open, r.gets(upTopic, fmt.Sprint(i), 2))
		}
	}
	r.silent("more than there was")
	r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: 999})
	if rel := r.want(packets.Pubrel); rel.ReasonCode != packets.ErrPacketIdentifierNotFound.Code {
		t.Errorf("PUBREC of nothing: PUBREL 0x%x", rel.ReasonCode)
	}
}

// A client's own packet ids and the broker's are apart.
func TestPacketIDsOfBothDirections(t *testing.T) {
	s := start(t, Limits{})
	r := s.login("both").subscribe(1, "#")
	var got []packets.Packet
	for i := range 5 {
		s.up(fmt.Sprint(i))
		got = append(got, r.gets(upTopic, fmt.Sprint(i), 1))
	}
	for _, pk := range got { // the same ids the other way
		r.send(publishPacket(pk.PacketID, 2, "x", ""))
		r.want(packets.Pubrec)
	}
	if _, n := s.waiting("app1/both"); n != 5 {
		t.Fatalf("%d messages on their way, want 5", n)
	}
	for _, pk := range got {
		r.send(ackFor(pk))
	}
	for _, pk := range got {
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: pk.PacketID})
		if comp := r.want(packets.Pubcomp); comp.PacketID != pk.PacketID {
			t.Errorf("PUBCOMP of %d, want %d", comp.PacketID, pk.PacketID)
		}
	}
	s.eventually("all acknowledged", func() bool { _, n := s.waiting("app1/both"); return n == 0 })
}

// Guessing is slowed down; who knows his key is not.
func TestBackoff(t *testing.T) {
	s := start(t, Limits{})
	begin := time.Now()
	for range 12 {
		r := dialRaw(t, s.addr)
		r.send(connectPacket("", "app1", "guess"))
		r.want(packets.Connack)
	}
	if d := time.Since(begin); d < 700*time.Millisecond {
		t.Errorf("twelve guesses took %v", d)
	}
	for range 100 { // guesses from here are held back for 5 s now
		s.backoff.Failed(netip.MustParseAddr("127.0.0.1"), time.Now())
	}
	begin = time.Now()
	s.login("good")
	if d := time.Since(begin); d > 4*time.Second {
		t.Errorf("a right login after that took %v", d)
	}
	// One that waits for its refusal does not hold up the stop.
	r, before := dialRaw(t, s.addr), s.Stats().BadLogins
	r.send(connectPacket("", "app1", "guess"))
	s.eventually("it waits", func() bool { return s.Stats().BadLogins > before })
	begin = time.Now()
	s.stopNow()
	if d := time.Since(begin); d > 4*time.Second {
		t.Errorf("the stop took %v", d)
	}
}

// A client whose application has all its connections in use can take over its own.
func TestTakeOverWhereAllPlacesAreTaken(t *testing.T) {
	s := start(t, Limits{Clients: 3})
	var all []*raw
	for i := range 3 {
		all = append(all, s.loginAs(5, fmt.Sprint("c", i), "app1", s.key1))
	}
	for range 3 {
		again := s.loginAs(5, "c1", "app1", s.key1)
		if pk := all[1].want(packets.Disconnect); pk.ReasonCode != packets.ErrSessionTakenOver.Code {
			t.Errorf("DISCONNECT 0x%02x", pk.ReasonCode)
		}
		all[1] = again
		s.eventually("three are there", func() bool { return s.Stats().Clients == 3 })
	}
	r := dialRaw(t, s.addr)
	r.send(connectPacket("c3", "app1", s.key1))
	if ack := r.want(packets.Connack); ack.ReasonCode != 3 {
		t.Errorf("one more client: CONNACK %d", ack.ReasonCode)
	}
	all[0].silent("another client's take-over")
	all[2].silent("another client's take-over")
}

// Only one connection may wait for the end of the one that it takes over.
func TestTakeOversAreCounted(t *testing.T) {
	g := newGate(Limits{Clients: 2})
	of := func(application, id string) *conn {
		return &conn{id: id, login: access.Login{Application: application}}
	}
	for _, tt := range []struct {
		application, id string
		ok              bool
	}{
		{"app1", "a", true},
		{"app1", "b", true},
		{"app1", "a", true},
		{"app1", "a", false},
		{"app1", "b", true},
		{"app1", "c", false},
	} {
		victim, ok := g.admit(of(tt.application, tt.id))
		if ok != tt.ok || victim != nil {
			t.Errorf("%s of %s: admitted %v, victim %v", tt.id, tt.application, ok, victim)
		}
	}
	if _, clients := g.counts(); clients != 4 {
		t.Errorf("%d connections", clients)
	}
}

// takes connects a client of MQTT 5 that goes on with its session, and takes so many messages
// at a time.
func (s *bench) takes(most uint16) *raw {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	r.version = 5
	pk := connectPacket("dev", "app1", s.key1)
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
	pk.Properties.ReceiveMaximum = most
	r.send(pk)
	r.want(packets.Connack)
	return r
}

// A client that comes back with a smaller receive maximum is sent again no more at a time
// than it takes now (MQTT 5.0, 4.9), and in the same order.
func TestReceiveMaximumAfterResume(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		s := start(t, Limits{})
		r := s.takes(10).subscribe(qos, "#")
		var last packets.Packet
		for i := range 15 {
			s.up(fmt.Sprint(i))
		}
		for i := range 10 {
			last = r.gets(upTopic, fmt.Sprint(i), qos)
		}
		if qos == 2 { // its PUBREL is to be sent again
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: last.PacketID})
			r.want(packets.Pubrel)
		}
		_ = r.Close()
		s.eventually("away", func() bool { away, _ := s.abandoned(); return len(away) == 1 })
		r = s.takes(2)
		var open []packets.Packet
		next, most := 0, 2
		if qos == 2 {
			if pk := r.want(packets.Pubrel); pk.PacketID != last.PacketID {
				t.Errorf("PUBREL %d", pk.PacketID)
			}
			most = 1 // the released one is not finished
		}
		for ; next < most; next++ {
			open = append(open, r.gets(upTopic, fmt.Sprint(next), qos))
		}
		r.silent(fmt.Sprintf("QoS %d: more than it takes", qos))
		if qos == 2 {
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: last.PacketID})
			open = append(open, r.gets(upTopic, "1", 2))
			next = 2
		}
		for ; next < 15; next++ {
			if next == 9 && qos == 2 { // that was released
				continue
			}
			if qos == 2 {
				r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: open[0].PacketID})
				r.want(packets.Pubrel)
				r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: open[0].PacketID})
			} else {
				r.send(ackFor(open[0]))
			}
			open = append(open[1:], r.gets(upTopic, fmt.Sprint(next), qos))
		}
		r.silent("more than there was")
	}
}
