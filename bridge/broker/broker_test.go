package broker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

func TestLogin(t *testing.T) {
	s := start(t, Limits{})
	tests := []struct {
		name, user, password string
		want                 byte
	}{
		{"plain", "app1", s.key1, 0},
		{"tenant", "app1@ttn", s.key1, 0},
		{"wrong password", "app1", "wrong", 5},
		{"no password", "app1", "", 5},
		{"nobody", "", "", 5},
		{"foreign application", "app2", s.key1, 5},
		{"foreign tenant", "app1@tti", s.key1, 5},
		{"unknown application", "app3", s.key1, 5},
		{"key as user", s.key1, "", 5},
	}
	for _, version := range []byte{3, 4, 5} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, level %d", tt.name, version), func(t *testing.T) {
				s.backoff = access.Backoff{} // these are many wrong ones
				r := dialRaw(t, s.addr)
				r.version = version
				pk := connectPacket("", tt.user, tt.password)
				if version == 3 {
					pk.Connect.ProtocolName = []byte("MQIsdp")
				}
				r.send(pk)
				ack := r.want(packets.Connack)
				want := tt.want
				if version == 5 && want == 5 {
					want = packets.ErrBadUsernameOrPassword.Code
				}
				if ack.ReasonCode != want || ack.SessionPresent {
					t.Fatalf("CONNACK %d, session present %v; want %d", ack.ReasonCode, ack.SessionPresent, want)
				}
				if want != 0 {
					if err := r.closed(patience); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	if n := s.Stats().BadLogins; n != 21 {
		t.Errorf("%d bad logins counted, want 21", n)
	}
	if log := s.logged.String(); strings.Contains(log, s.key1) ||
		strings.Contains(log, "NNSXS") && !strings.Contains(log, "user=NNSXS") {
		t.Errorf("a key stands in the log:\n%s", log)
	}
}

func TestProtocolLevels(t *testing.T) {
	s := start(t, Limits{})
	for _, level := range []byte{0, 1, 2, 6, 0x83} {
		r := dialRaw(t, s.addr)
		r.bytes(0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', level, 2, 0, 60, 0, 2, 'i', 'd')
		if ack := r.want(packets.Connack); ack.ReasonCode != 1 {
			t.Errorf("level %d: CONNACK %d, want 1", level, ack.ReasonCode)
		}
		if err := r.closed(patience); err != nil {
			t.Errorf("level %d: %v", level, err)
		}
	}
	for name, first := range map[string][]byte{
		"PINGREQ": {0xc0, 0}, "SUBSCRIBE": {0x82, 6, 0, 1, 0, 1, 'a', 0}, "HTTP": []byte("GET / HTTP/1.1\r\n\r\n"), "TLS": {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"packet type 0": {0, 0}, "endless length": {0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		r := dialRaw(t, s.addr)
		r.bytes(first...)
		if err := r.closed(patience); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := s.login("twice")
	r.send(connectPacket("twice", "app1", s.key1))
	if err := r.closed(patience); err != nil {
		t.Errorf("second CONNECT: %v", err)
	}
}

func TestSubscriptions(t *testing.T) {
	s := start(t, Limits{})
	granted := map[string]byte{ // requested QoS
		"#": 0, "v3/#": 1, "v3/+/devices/+/up": 2, "v3/app1/#": 0, "v3/app1/devices/+/+": 1, "v3/app1/devices/dev1/#": 2,
		upTopic: 0, "$share/g/#": 1,
	}
	for filter, qos := range granted {
		r := s.login("")
		r.subscribe(qos, filter)
		s.up("x")
		pk := r.gets(upTopic, "x", qos)
		switch qos {
		case 1:
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
		case 2:
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrec}, PacketID: pk.PacketID})
			if rel := r.want(packets.Pubrel); rel.PacketID != pk.PacketID {
				t.Errorf("PUBREL of %d, want %d", rel.PacketID, pk.PacketID)
			}
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: pk.PacketID})
		}
		r.silent(filter)
		r.Close()
	}
	r := s.login("")
	r.send(subscribePacket(7, 1, "+/#", "v3/app2/#", "v3/app1/devices/+/join", "$SYS/#", "v3", "/v3/app1/#",
		"v3/app1@ttn/#", "foo"))
	ack := r.want(packets.Suback)
	if got := fmt.Sprintf("%x", ack.ReasonCodes); ack.PacketID != 7 || got != "8080018080808080" {
		t.Errorf("SUBACK %s", got)
	}
	s.up("not a join")
	s.Publish(v3.Message{Application: "app2", Device: "dev1", Suffix: v3.Join, Payload: []byte("foreign")})
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Join, Payload: []byte("own")})
	r.gets("v3/app1/devices/dev1/join", "own", 1)
	for _, bad := range []string{"a/b#", "v3/#/up", "v3/app1+/x", ""} {
		r := s.login("")
		r.send(subscribePacket(1, 0, bad))
		if err := r.closed(patience); err != nil {
			t.Errorf("filter %q: %v", bad, err)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	s := start(t, Limits{})
	r := s.login("")
	for _, filters := range [][2]string{
		{"#", "#"},
		{"#", "v3/#"},
		{"#", "v3/app1/#"},
		{"v3/+/devices/+/up", "v3/app1/devices/+/up"},
		{"$share/g/#", "$share/g/v3/+/#"},
	} {
		r.subscribe(0, filters[0])
		s.up("one")
		r.gets(upTopic, "one", 0)
		r.send(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 3,
			Filters: packets.Subscriptions{{Filter: filters[1]}},
		})
		r.want(packets.Unsuback)
		s.up("two")
		r.silent("after unsubscribing from " + filters[1])
	}
	r.send(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Unsubscribe}, PacketID: 4,
		Filters: packets.Subscriptions{{Filter: "v3/app2/#"}},
	})
	r.want(packets.Unsuback)
}

func TestTenantForm(t *testing.T) {
	s := start(t, Limits{})
	plain, tenant := s.loginAs(4, "", "app1", s.key1), s.loginAs(4, "", "app1@ttn", s.key1)
	plain.subscribe(0, "#")
	tenant.subscribe(0, "v3/app1@ttn/devices/+/up")
	s.up("x")
	plain.gets(upTopic, "x", 0)
	tenant.gets("v3/app1@ttn/devices/dev1/up", "x", 0)
	tenant.send(publishPacket(1, 1, "v3/app1@ttn/devices/dev1/down/push", "a"))
	tenant.want(packets.Puback)
	tenant.send(publishPacket(2, 1, "v3/app1/devices/dev1/down/replace", "b"))
	tenant.want(packets.Puback)
	plain.send(publishPacket(1, 1, "v3/app1@ttn/devices/dev1/down/push", "c"))
	plain.want(packets.Puback)
	a, b := <-s.pushes, <-s.pushes
	if a.Device != "dev1" || a.Replace || string(a.Payload) != "a" || a.Login.Application != "app1" || !b.Replace ||
		len(s.pushes) != 0 {
		t.Errorf("pushes %+v %+v and %d more", a, b, len(s.pushes))
	}
}

// A topic calls the application as the filter does that it matches; where both are
// subscribed, both come.
func TestTenantOfFilter(t *testing.T) {
	s := start(t, Limits{})
	const plain, tenant = upTopic, "v3/app1@ttn/devices/dev1/up"
	tests := []struct {
		name    string
		user    string
		filters []string
		want    []string
	}{
		{"plain filter", "app1@ttn", []string{"v3/app1/devices/+/up"}, []string{plain}},
		{"filter with tenant", "app1@ttn", []string{"v3/app1@ttn/devices/+/up"}, []string{tenant}},
		{"any", "app1@ttn", []string{"#"}, []string{tenant}},
		{"any, logged in without", "app1", []string{"#"}, []string{plain}},
		{"both", "app1@ttn", []string{"v3/app1/#", "v3/app1@ttn/#", "v3/+/devices/dev1/up"}, []string{plain, tenant}},
		{"shared", "app1@ttn", []string{"$share/g/v3/app1/devices/+/up"}, []string{plain}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := s.loginAs(4, "dev", tt.user, s.key1).subscribe(0, tt.filters...)
			s.up("x")
			var got []string
			for range tt.want {
				got = append(got, r.want(packets.Publish).TopicName)
			}
			if slices.Sort(got); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			r.silent("once is enough")
			r.Close()
			s.eventually("gone", func() bool { return s.Stats().Sessions == 0 })
		})
	}
}

func TestOverlappingSubscriptions(t *testing.T) {
	s := start(t, Limits{})
	r := s.loginAs(5, "", "app1", s.key1)
	pk := subscribePacket(1, 0, "#", upTopic)
	pk.Properties.SubscriptionIdentifier = []int{7}
	r.send(pk)
	r.want(packets.Suback)
	pk = subscribePacket(2, 1, "v3/+/devices/+/up")
	pk.Properties.SubscriptionIdentifier = []int{8}
	r.send(pk)
	r.want(packets.Suback)
	s.up("x")
	got := r.gets(upTopic, "x", 1)
	if ids := fmt.Sprint(got.Properties.SubscriptionIdentifier); ids != "[7 8 7]" && ids != "[7 7 8]" && ids != "[8 7 7]" {
		t.Errorf("subscription identifiers %s", ids)
	}
	r.silent("a second copy")
}

func TestRights(t *testing.T) {
	s := start(t, Limits{})
	reader, writer := s.loginAs(4, "", "app1", s.readOnly), s.loginAs(4, "", "app1", s.writeOnly)
	reader.subscribe(0, "#")
	writer.subscribe(0, "#") // granted, as with The Things Stack, but it never gets anything
	s.up("x")
	reader.gets(upTopic, "x", 0)
	writer.silent("without the right to read")
	reader.send(publishPacket(1, 1, "v3/app1/devices/dev1/down/push", "no"))
	reader.want(packets.Puback)
	writer.send(publishPacket(1, 1, "v3/app1/devices/dev1/down/push", "yes"))
	writer.want(packets.Puback)
	if p := <-s.pushes; string(p.Payload) != "yes" || len(s.pushes) != 0 {
		t.Errorf("push %+v and %d more", p, len(s.pushes))
	}
}

// A client's publishes are acknowledged, and reach no subscriber.
func TestClientPublishes(t *testing.T) {
	s := start(t, Limits{})
	all := s.login("all").subscribe(2, "#")
	for _, version := range []byte{4, 5} {
		r := s.loginAs(version, "", "app1", s.key1).subscribe(0, "#")
		for i, topic := range []string{
			upTopic, "v3/app1/devices/dev1/down/push", "v3/app2/devices/dev1/down/push", "foo",
			"$SYS/x", "$share/x", "$x", "v3/app1/devices/dev1/down/push/x",
		} {
			id := uint16(i + 1)
			r.send(publishPacket(0, 0, topic, "0"))
			r.send(publishPacket(id, 1, topic, "1"))
			if ack := r.want(packets.Puback); ack.PacketID != id || ack.ReasonCode != 0 {
				t.Errorf("%s: PUBACK %d 0x%x", topic, ack.PacketID, ack.ReasonCode)
			}
			pk := publishPacket(id, 2, topic, "2")
			pk.FixedHeader.Retain = true
			r.send(pk)
			r.want(packets.Pubrec)
			r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: id})
			if ack := r.want(packets.Pubcomp); ack.PacketID != id {
				t.Errorf("%s: PUBCOMP %d", topic, ack.PacketID)
			}
		}
		r.silent("own publishes")
		r.send(publishPacket(99, 1, "v3/app1/devices/+/down/push", "x"))
		if err := r.closed(patience); err != nil {
			t.Errorf("publish to a wildcard: %v", err)
		}
	}
	all.silent("others' publishes")
	late := s.login("late").subscribe(0, "#")
	late.silent("a retained message")
	if n := len(s.pushes); n != 6 {
		t.Errorf("%d pushes, want 6", n)
	}
}

// A push that cannot be stored has no PUBACK; the client is cut off.
func TestPushFails(t *testing.T) {
	s := start(t, Limits{PushTimeout: 200 * time.Millisecond})
	s.pushAnswer.Store(&pushAnswer{err: errors.New("disk full")})
	r := s.login("a")
	other := s.login("b").subscribe(0, "#")
	r.send(publishPacket(1, 1, "v3/app1/devices/dev1/down/push", "x"))
	if err := r.closed(patience); err != nil {
		t.Error(err)
	}
	s.pushAnswer.Store(&pushAnswer{after: time.Hour})
	r = s.login("a")
	r.send(publishPacket(1, 1, "v3/app1/devices/dev1/down/push", "x"))
	s.up("meanwhile")
	other.gets(upTopic, "meanwhile", 0)
	if err := r.closed(patience); err != nil {
		t.Error(err)
	}
}

func TestClientIDs(t *testing.T) {
	s := start(t, Limits{})
	one := s.loginAs(4, "same", "app1", s.key1).subscribe(0, "#")
	other := s.loginAs(4, "same", "app2", s.key2).subscribe(0, "#")
	s.up("x")
	one.gets(upTopic, "x", 0)
	other.silent("another application's message")
	two := s.loginAs(4, "same", "app1", s.key1).subscribe(0, "#")
	// MQTT 3 clients are not sent a DISCONNECT, which they do not know.
	if pk, err := one.receive(patience); err == nil {
		t.Errorf("the first client gets %s", packets.PacketNames[pk.FixedHeader.Type])
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the first client is still connected")
	}
	s.up("y")
	two.gets(upTopic, "y", 0)
	five := s.loginAs(5, "same", "app1", s.key1)
	s.loginAs(5, "same", "app1", s.key1)
	if pk := five.want(packets.Disconnect); pk.ReasonCode != packets.ErrSessionTakenOver.Code {
		t.Errorf("DISCONNECT 0x%x", pk.ReasonCode)
	}
	for range 3 { // an empty id is nobody's
		s.login("")
	}
	r := dialRaw(t, s.addr)
	pk := connectPacket("", "app1", s.key1)
	pk.Connect.Clean = false
	r.send(pk)
	if ack := r.want(packets.Connack); ack.ReasonCode != 2 { // MQTT 3.1.1, 3.1.3.1
		t.Errorf("empty id, clean session 0: CONNACK %d", ack.ReasonCode)
	}
	for version, want := range map[byte]byte{4: 2, 5: packets.ErrClientIdentifierNotValid.Code} {
		r := dialRaw(t, s.addr)
		r.version = version
		r.send(connectPacket(strings.Repeat("x", 257), "app1", s.key1))
		if ack := r.want(packets.Connack); ack.ReasonCode != want {
			t.Errorf("an id of 257 bytes: CONNACK 0x%x, want 0x%x", ack.ReasonCode, want)
		}
	}
}

func TestStop(t *testing.T) {
	s := start(t, Limits{})
	three, five := s.login("three"), s.loginAs(5, "five", "app1", s.key1)
	silent := dialRaw(t, s.addr)
	s.eventually("all there", func() bool { s.gate.mu.Lock(); defer s.gate.mu.Unlock(); return len(s.gate.conns) == 3 })
	s.stopNow()
	if pk := five.want(packets.Disconnect); pk.ReasonCode != packets.ErrServerShuttingDown.Code {
		t.Errorf("DISCONNECT 0x%x", pk.ReasonCode)
	}
	if pk, err := three.receive(patience); err == nil {
		t.Errorf("an MQTT 3 client is sent %s", packets.PacketNames[pk.FixedHeader.Type])
	}
	if err := silent.closed(patience); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the listener is still open")
	}
	s.up("nobody") // must not block or panic
}

func TestStopWhileClientsLeave(t *testing.T) {
	for range 10 {
		s := start(t, Limits{})
		var wg sync.WaitGroup
		for i := range 20 {
			r := s.loginAs(4+byte(i%2), fmt.Sprint("client", i), "app1", s.key1)
			wg.Go(func() { _ = r.Close() })
		}
		s.stopNow()
		wg.Wait()
	}
}

// The library calls a hook's method only if Provides says so, and one that is
// not ours would be a nil method of its base.
func TestHooksProvided(t *testing.T) {
	h := &hook{}
	n := 0
	for b := byte(0); b < 255; b++ {
		if h.Provides(b) {
			n++
		}
	}
	if n != len(provided) {
		t.Errorf("%d hooks provided, %d listed", n, len(provided))
	}
	for _, must := range []byte{
		mqtt.OnACLCheck, mqtt.OnConnectAuthenticate, mqtt.OnPacketRead, mqtt.OnPublish,
	} {
		if !h.Provides(must) {
			t.Errorf("hook %d is missing", must)
		}
	}
	if h.OnACLCheck(&mqtt.Client{}, "#", false) || h.OnACLCheck(&mqtt.Client{}, "x", true) {
		t.Error("a client that has not logged in passes")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a broker without keys")
	}
	s := start(t, Limits{})
	if _, err := New(Options{Listen: []string{"127.0.0.1:0", s.addr}, Keys: access.NewRegistry("ttn")}); err == nil ||
		!strings.Contains(err.Error(), "in use") {
		t.Errorf("an address that is taken: %v", err)
	}
}
