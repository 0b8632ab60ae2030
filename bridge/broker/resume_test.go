package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// again connects a client that wants its session to be kept for a minute.
func (s *bench) again(version byte, id, key string) (*raw, packets.Packet) {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	r.version = version
	pk := connectPacket(id, "app1", key)
	pk.Connect.Clean = false
	if version == 5 {
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
	}
	r.send(pk)
	return r, r.want(packets.Connack)
}

const pushTopic = "v3/app1/devices/dev1/down/push"

// A client that comes back sends an unfinished QoS 2 publish once more. It was
// taken, so it is answered with success and not taken again; and the client gets
// no acknowledgement that it has not asked for.
func TestQoS2AfterReconnect(t *testing.T) {
	for _, version := range []byte{4, 5} {
		s := start(t, Limits{})
		r, _ := s.again(version, "dev", s.key1)
		r.send(publishPacket(7, 2, pushTopic, "once"))
		r.want(packets.Pubrec)
		r.Close()
		r, ack := s.again(version, "dev", s.key1)
		if !ack.SessionPresent {
			t.Fatalf("version %d: the session is gone", version)
		}
		r.silent("after CONNACK")
		again := publishPacket(7, 2, pushTopic, "once")
		again.FixedHeader.Dup = true
		r.send(again)
		if pk := r.want(packets.Pubrec); pk.PacketID != 7 || pk.ReasonCode != 0 {
			t.Errorf("version %d: PUBREC %d, reason 0x%02x", version, pk.PacketID, pk.ReasonCode)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: 7})
		if pk := r.want(packets.Pubcomp); pk.PacketID != 7 || pk.ReasonCode != 0 {
			t.Errorf("version %d: PUBCOMP %d, reason 0x%02x", version, pk.PacketID, pk.ReasonCode)
		}
		r.send(publishPacket(7, 2, pushTopic, "another"))
		r.want(packets.Pubrec)
		if n := len(s.pushes); n != 2 {
			t.Errorf("version %d: %d pushes, want 2", version, n)
		}
	}
}

// A client that comes back to its session gets the messages that it may read and that have
// not expired, also if nothing has looked for expired ones since.
func TestResume(t *testing.T) {
	tests := []struct {
		name    string
		expiry  time.Duration
		key     func(*bench) string
		present bool
	}{
		{"same key", time.Hour, func(s *bench) string { return s.key1 }, true},
		{"another key that may read", time.Hour, func(s *bench) string { return s.readOnly }, true},
		{"another key that may not read", time.Hour, func(s *bench) string { return s.writeOnly }, false},
		{"expired", time.Millisecond, func(s *bench) string { return s.key1 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, Limits{SessionExpiry: tt.expiry})
			r, _ := s.again(4, "dev", s.key1)
			r.subscribe(1, "#")
			r.Close()
			s.eventually("away", func() bool { x := s.session("app1/dev"); return x != nil && s.Stats().Clients == 0 })
			time.Sleep(5 * time.Millisecond)
			r, ack := s.again(4, "dev", tt.key(s))
			if ack.SessionPresent != tt.present {
				t.Errorf("session present %v, want %v", ack.SessionPresent, tt.present)
			}
			s.up("x")
			s.dispatched()
			if !tt.present {
				r.silent("without a subscription")
			}
		})
	}
}

// A refused filter says why; one that is granted beside it works.
func TestRefusedFilters(t *testing.T) {
	s := start(t, Limits{Subscriptions: 3})
	deep := "v3/app1" + strings.Repeat("/+", 14)
	tests := []struct {
		name    string
		filters []string
		v3, v5  string
	}{
		{"another application", []string{"v3/app2/#"}, "\x80", "\x87"},
		{"16 levels", []string{deep}, "\x01", "\x01"},
		{"17 levels", []string{deep + "/+"}, "\x80", "\x8f"},
		{"32000 levels", []string{"v3/app1" + strings.Repeat("/", 32_000), "v3/app1/#"}, "\x80\x01", "\x8f\x01"},
		{"257 bytes", []string{"v3/app1/" + strings.Repeat("x", 249)}, "\x80", "\x8f"},
		{"a shared one with 17 levels", []string{"$share/g" + strings.Repeat("/+", 15)}, "\x80", "\x8f"},
		{
			"too many",
			[]string{"v3/app1/a", "v3/app1/b", "v3/app1/c", "v3/app1/d", "v3/app1/a"},
			"\x01\x01\x01\x80\x01",
			"\x01\x01\x01\x97\x01",
		},
	}
	for _, tt := range tests {
		for version, want := range map[byte]string{4: tt.v3, 5: tt.v5} {
			r := s.loginAs(version, "dev", "app1", s.key1)
			r.send(subscribePacket(9, 1, tt.filters...))
			if got := string(r.want(packets.Suback).ReasonCodes); got != want {
				t.Errorf("%s, version %d: SUBACK %x, want %x", tt.name, version, got, want)
			}
			r.send(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 10,
				Filters: packets.Subscriptions{{Filter: tt.filters[0]}},
			})
			r.want(packets.Unsuback)
			r.Close()
		}
	}
	if !strings.Contains(s.logged.String(), "too many subscriptions") {
		t.Error("the log does not say that a filter was refused")
	}
}

// One client's filters cost others nothing: 64 of the longest that are taken and
// a thousand that are not leave a subscription of another client at once.
func TestFiltersOfOthers(t *testing.T) {
	s := start(t, Limits{})
	var good *raw
	for tries := 3; ; tries-- { // as the machine may be busy with something else
		bad := s.login("bad")
		for i := range 20 {
			var filters []string
			for range 50 {
				filters = append(filters, "v3/app1"+strings.Repeat("/+", 600))
			}
			bad.send(subscribePacket(uint16(i+1), 0, filters...))
		}
		good = s.login("good")
		begin := time.Now()
		good.subscribe(0, "#")
		took := time.Since(begin)
		if took <= 500*time.Millisecond {
			break
		}
		if tries == 1 {
			t.Fatalf("SUBACK took %v", took)
		}
	}
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("x")})
	good.gets(upTopic, "x", 0)
}

// CONNACK of MQTT 5 says what is not to be had.
func TestConnack(t *testing.T) {
	s := start(t, Limits{})
	r := dialRaw(t, s.addr)
	r.version = 5
	r.send(connectPacket("dev", "app1", s.key1))
	p := r.want(packets.Connack).Properties
	if !p.RetainAvailableFlag || p.RetainAvailable != 0 || p.MaximumPacketSize != 65536 || p.ReceiveMaximum != 32 {
		t.Errorf("%+v", p)
	}
	if p.ServerKeepAliveFlag {
		t.Errorf("the keep-alive is changed to %d s", p.ServerKeepAlive)
	}
	r = dialRaw(t, s.addr)
	r.version = 5
	pk := connectPacket("dev", "app1", s.key1)
	pk.Connect.Keepalive = 65535
	r.send(pk)
	if p := r.want(packets.Connack).Properties; !p.ServerKeepAliveFlag || p.ServerKeepAlive != maxKeepalive {
		t.Errorf("a keep-alive that is too long: %+v", p)
	}
}

// A client of MQTT 5 without an id is told which one it was given, and can come back under it
// (MQTT 5.0, 3.1.3.1).
func TestAssignedClientID(t *testing.T) {
	s := start(t, Limits{})
	connect := func(id string, present bool) string {
		t.Helper()
		r := dialRaw(t, s.addr)
		r.version = 5
		pk := connectPacket(id, "app1", s.key1)
		pk.Connect.Clean = id == ""
		pk.Properties.SessionExpiryInterval, pk.Properties.SessionExpiryIntervalFlag = 60, true
		r.send(pk)
		ack := r.want(packets.Connack)
		if ack.ReasonCode != 0 || ack.SessionPresent != present {
			t.Errorf("%q: CONNACK 0x%02x, session present %v", id, ack.ReasonCode, ack.SessionPresent)
		}
		r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
		return ack.Properties.AssignedClientID
	}
	one, two := connect("", false), connect("", false)
	if one == "" || two == "" || one == two {
		t.Fatalf("ids %q and %q", one, two)
	}
	if again := connect(one, true); again != "" {
		t.Errorf("one that has an id is given %q", again)
	}
}

// Who says nothing for one and a half times its keep-alive is gone, and not before, also where that is no whole second;
// who pings is not (MQTT 3.1.1, 3.1.2.10).
func TestKeepAlive(t *testing.T) {
	for _, version := range []byte{4, 5} {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			t.Parallel()
			s := start(t, Limits{})
			dial := func(id string) *raw {
				r := dialRaw(t, s.addr)
				r.version = version
				pk := connectPacket(id, "app1", s.key1)
				pk.Connect.Keepalive = 1
				r.send(pk)
				if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
					t.Fatalf("CONNACK 0x%02x", ack.ReasonCode)
				}
				return r
			}
			began := time.Now()
			silent, pings := dial("silent"), dial("pings")
			for time.Since(began) < 3*time.Second {
				pings.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
				pings.want(packets.Pingresp)
				time.Sleep(300 * time.Millisecond)
				if n := s.Stats().Clients; n != 2 && time.Since(began) < 1500*time.Millisecond {
					t.Errorf("%d clients after %v", n, time.Since(began))
				}
			}
			for end := time.Now().Add(patience); s.Stats().Clients != 1; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d clients after %v", s.Stats().Clients, time.Since(began))
				}
				pings.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
				pings.want(packets.Pingresp)
			}
			if _, err := silent.until(packets.Connack); err == nil {
				t.Error("the silent one is answered")
			}
		})
	}
}
