package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
)

// until receives packets, and returns the first one of a type.
func (r *raw) until(kind byte) (packets.Packet, error) {
	for {
		if pk, err := r.receive(patience); err != nil || pk.FixedHeader.Type == kind {
			return pk, err
		}
	}
}

// Revoking a key ends its connections and sessions, and no others.
func TestDisconnect(t *testing.T) {
	s := start(t, Limits{WriteDeadline: 100 * time.Millisecond})
	s.away(s.resume("kept", false).subscribe(1, "#"))
	three := s.resume("three", false).subscribe(1, "v3/app1/devices/quiet/up")
	five := s.loginAs(5, "five", "app1@ttn", s.key1).subscribe(1, "v3/app1@ttn/devices/quiet/up")
	reader := s.loginAs(4, "reader", "app1", s.readOnly).subscribe(0, "v3/app1/devices/quiet/up")
	other := s.loginAs(4, "other", "app2", s.key2).subscribe(0, "#")
	s.login("stuck").subscribe(0, "#") // never reads
	for range 3000 {
		s.up(strings.Repeat("x", 4000))
	}
	id := strings.Split(s.key1, ".")[1]
	if !s.opts.Keys.Remove(id) {
		t.Fatal("no such key")
	}
	begin := time.Now()
	if n := s.Disconnect(func(l access.Login) bool { return l.KeyID == id }); n < 3 || n > 6 {
		t.Errorf("%d connections and sessions", n)
	}
	if d := time.Since(begin); d > patience {
		t.Errorf("it took %v", d)
	}
	if err := three.closed(patience); err != nil {
		t.Errorf("MQTT 3: %v", err)
	}
	if pk, err := five.until(packets.Disconnect); err != nil {
		t.Errorf("the client with MQTT 5 gets no DISCONNECT: %v", err)
	} else if pk.ReasonCode != packets.ErrNotAuthorized.Code {
		t.Errorf("DISCONNECT 0x%x", pk.ReasonCode)
	}
	for _, gone := range []string{"app1/kept", "app1/three", "app1/five", "app1/stuck"} {
		if s.session(gone) != nil {
			t.Errorf("the session of %s is kept", gone)
		}
	}
	if s.session("app1/reader") == nil || s.session("app2/other") == nil {
		t.Error("sessions of other keys are gone")
	}
	for _, r := range []*raw{reader, other} {
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
		if _, err := r.until(packets.Pingresp); err != nil {
			t.Fatalf("a client with another key: %v", err)
		}
	}
	r := dialRaw(t, s.addr)
	r.send(connectPacket("three", "app1", s.key1))
	if ack := r.want(packets.Connack); ack.ReasonCode != 5 {
		t.Errorf("CONNACK %d", ack.ReasonCode)
	}
}

// When Disconnect returns nothing is left of a client: neither its connection
// nor a session that was to be kept, which another key of the application could
// take up.
func TestDisconnectLeavesNothing(t *testing.T) {
	s := start(t, Limits{})
	id := strings.Split(s.key1, ".")[1]
	for round := range 200 {
		r := dialRaw(t, s.addr)
		c := connectPacket("kept", "app1", s.key1)
		c.Connect.Clean = false
		r.send(c)
		if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
			t.Fatalf("CONNACK %d", ack.ReasonCode)
		}
		n := s.Disconnect(func(l access.Login) bool { return l.KeyID == id })
		if clients := s.Stats().Clients; clients != 0 || s.session("app1/kept") != nil {
			t.Fatalf("round %d: %d ended; %d clients and the session %v are left", round, n, clients,
				s.session("app1/kept") != nil)
		}
	}
}
