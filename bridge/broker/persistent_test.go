package broker

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// resume connects with a session that is kept.
func (s *bench) resume(id string, present bool) *raw {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	pk := connectPacket(id, "app1", s.key1)
	pk.Connect.Clean = false
	r.send(pk)
	if ack := r.want(packets.Connack); ack.ReasonCode != 0 || ack.SessionPresent != present {
		s.Fatalf("CONNACK %d, session present %v; want %v", ack.ReasonCode, ack.SessionPresent, present)
	}
	return r
}

func (s *bench) away(r *raw) {
	r.Close()
	n := s.gate
	s.eventually("the client is gone", func() bool { _, clients := n.counts(); return clients == 0 })
	s.eventually("the session is free", func() bool { away, all := s.abandoned(); return len(away) == all })
}

func ackFor(pk packets.Packet) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID}
}

func TestPersistentSession(t *testing.T) {
	s := start(t, Limits{})
	r := s.resume("keeper", false).subscribe(1, "#")
	s.up("0")
	first := r.gets(upTopic, "0", 1) // not acknowledged
	s.away(r)
	for i := 1; i <= 200; i++ { // more than the window
		s.up(fmt.Sprint(i))
	}
	s.eventually("queued", func() bool { n, _ := s.waiting("app1/keeper"); return n == 200 })
	r = s.resume("keeper", true)
	again := r.gets(upTopic, "0", 1)
	if !again.FixedHeader.Dup || again.PacketID != first.PacketID {
		t.Errorf("the first message comes back with DUP %v and id %d, want id %d", again.FixedHeader.Dup, again.PacketID,
			first.PacketID)
	}
	r.send(ackFor(again))
	for i := 1; i <= 200; i++ {
		pk := r.gets(upTopic, fmt.Sprint(i), 1)
		if pk.FixedHeader.Dup {
			t.Errorf("message %d is marked as sent before", i)
		}
		r.send(ackFor(pk))
	}
	r.silent("more than there was")
	if n := s.kept.Load(); n != 0 {
		t.Errorf("%d bytes still count as kept for clients that are away", n)
	}
	// A clean session ends it.
	s.away(r)
	s.up("lost")
	s.dispatched()
	clean := s.login("keeper")
	clean.silent("a message of the session that was given up")
	s.away(clean)
	s.resume("keeper", false).silent("a subscription of the session that was given up")
}

// QoS 0 is not kept for clients that are away.
func TestOfflineQoS0(t *testing.T) {
	s := start(t, Limits{})
	r := s.resume("keeper", false).subscribe(0, "#")
	s.away(r)
	s.up("gone")
	s.dispatched()
	r = s.resume("keeper", true)
	s.up("here")
	r.gets(upTopic, "here", 0)
}

func TestOfflineLimits(t *testing.T) {
	s := start(t, Limits{OfflineMessages: 10, OfflineBytes: 5000, OfflineTotal: 6000})
	a := s.resume("a", false).subscribe(1, "v3/+/devices/+/up")
	s.away(a)
	for i := range 30 {
		s.up(fmt.Sprint(i))
	}
	s.eventually("bounded in number", func() bool { return s.Stats().ClientDropped == 20 })
	a = s.resume("a", true)
	for i := 20; i < 30; i++ {
		a.send(ackFor(a.gets(upTopic, fmt.Sprint(i), 1)))
	}
	s.away(a)
	for range 9 {
		s.up(strings.Repeat("x", 900))
	}
	s.eventually("bounded in bytes", func() bool { return s.Stats().ClientDropped == 25 && s.kept.Load() == 4384 })
	s.up(strings.Repeat("y", 10_000)) // can never be kept
	s.eventually("it alone is dropped", func() bool { return s.Stats().ClientDropped == 26 && s.kept.Load() == 4384 })
	b := s.resume("b", false).subscribe(1, "v3/+/devices/+/join")
	b.Close()
	s.eventually("b is away", func() bool { away, all := s.abandoned(); return len(away) == all })
	for range 20 {
		s.up(strings.Repeat("x", 900))
		s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Join, Payload: bytes.Repeat([]byte{'x'}, 900)})
		if n := s.kept.Load(); n > 6000+1096 { // one comes before another goes
			t.Fatalf("%d bytes kept, at most 6000", n)
		}
	}
	s.eventually("dropped for both", func() bool { return s.Stats().ClientDropped == 26+20+19 && s.kept.Load() <= 6000 })
}

func TestSessionExpiry(t *testing.T) {
	s := start(t, Limits{SessionExpiry: time.Hour})
	r := s.resume("keeper", false).subscribe(1, "#")
	s.away(r)
	s.expire(time.Now().Add(59 * time.Minute))
	if s.Stats().Sessions != 1 {
		t.Fatal("a session ends too early")
	}
	s.up("x")
	s.eventually("queued", func() bool { return s.kept.Load() > 0 })
	s.expire(time.Now().Add(61 * time.Minute))
	if st := s.Stats(); st.Sessions != 0 || s.kept.Load() != 0 || s.server.Clients.Len() != 0 {
		t.Errorf("after an hour: %d sessions, %d bytes, %d clients of the library", st.Sessions, s.kept.Load(),
			s.server.Clients.Len())
	}
	s.resume("keeper", false)

	// MQTT 5 clients say how long.
	five := dialRaw(t, s.addr)
	five.version = 5
	pk := connectPacket("five", "app1", s.key1)
	pk.Connect.Clean = false
	pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 7200, true
	five.send(pk)
	ack := five.want(packets.Connack)
	if !ack.Properties.SessionExpiryIntervalFlag || ack.Properties.SessionExpiryInterval != 3600 ||
		ack.Properties.MaximumPacketSize != 64<<10 || ack.Properties.ReceiveMaximum != 32 {
		t.Errorf("CONNACK properties %+v", ack.Properties)
	}
	five.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
		Properties:  packets.Properties{SessionExpiryInterval: 60, SessionExpiryIntervalFlag: true},
	})
	s.eventually("five is away", func() bool { away, _ := s.abandoned(); return len(away) == 1 })
	s.expire(time.Now().Add(30 * time.Second))
	if s.session("app1/five") == nil {
		t.Error("the session of five ends too early")
	}
	s.expire(time.Now().Add(61 * time.Second))
	if s.session("app1/five") != nil {
		t.Error("the session of five does not end")
	}
}

func TestTooManySessions(t *testing.T) {
	s := start(t, Limits{Clients: 3})
	for i := range 10 {
		s.away(s.resume(fmt.Sprint("client", i), false))
	}
	if n := s.Stats().Sessions; n != 6 {
		t.Errorf("%d sessions, want twice the clients", n)
	}
	s.away(s.resume("client9", true))
	s.away(s.resume("client3", false))
	if n := s.server.Clients.Len(); n != 6 {
		t.Errorf("the library keeps %d", n)
	}
}
