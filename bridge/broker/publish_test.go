package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

func pubrelPacket(id uint16) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: id}
}

// A push that could not be stored is taken when its client comes back and sends it again,
// with either QoS.
func TestPushFailsOnce(t *testing.T) {
	for _, version := range []byte{4, 5} {
		for qos, typ := range map[byte]byte{1: packets.Puback, 2: packets.Pubrec} {
			t.Run(fmt.Sprintf("version %d, QoS %d", version, qos), func(t *testing.T) {
				s := start(t, Limits{})
				s.pushAnswer.Store(&pushAnswer{err: errors.New("disk full")})
				r, _ := s.again(version, "dev", s.key1)
				r.send(publishPacket(7, qos, pushTopic, "precious"))
				if pk, err := r.receive(patience); err == nil {
					t.Fatalf("it is answered with %s", packets.PacketNames[pk.FixedHeader.Type])
				}
				<-s.pushes
				s.pushAnswer.Store(&pushAnswer{})
				r, ack := s.again(version, "dev", s.key1)
				if !ack.SessionPresent {
					t.Fatal("the session is gone")
				}
				again := publishPacket(7, qos, pushTopic, "precious")
				again.FixedHeader.Dup = true
				r.send(again)
				if pk := r.want(typ); pk.PacketID != 7 || pk.ReasonCode != 0 {
					t.Errorf("answered with %d, reason 0x%02x", pk.PacketID, pk.ReasonCode)
				}
				if len(s.pushes) != 1 {
					t.Errorf("it is answered with success, and %d times stored", len(s.pushes))
				}
				if qos == 2 {
					r.send(pubrelPacket(7))
					r.want(packets.Pubcomp)
				}
			})
		}
	}
}

// PUBREL that comes again when the client has not seen the answer is a success; one of
// nothing is not (MQTT 5.0, 3.7.2.1).
func TestPubrelAgain(t *testing.T) {
	s := start(t, Limits{})
	r, _ := s.again(5, "dev", s.key1)
	for id := range uint16(32) {
		r.send(publishPacket(id+1, 2, pushTopic, "once"))
		r.want(packets.Pubrec)
	}
	for id := range uint16(32) {
		r.send(pubrelPacket(id + 1))
		r.want(packets.Pubcomp)
	}
	for range 2 {
		_ = r.Close()
		r, _ = s.again(5, "dev", s.key1)
		for id := range uint16(33) {
			r.send(pubrelPacket(id + 1))
			want := byte(0)
			if id == 32 {
				want = packets.ErrPacketIdentifierNotFound.Code
			}
			if pk := r.want(packets.Pubcomp); pk.PacketID != id+1 || pk.ReasonCode != want {
				t.Errorf("PUBCOMP %d, reason 0x%02x", pk.PacketID, pk.ReasonCode)
			}
		}
	}
	r.send(publishPacket(1, 2, pushTopic, "another"))
	r.want(packets.Pubrec)
	if n := len(s.pushes); n != 33 {
		t.Errorf("%d pushes, want 33", n)
	}
}

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	var m runtime.MemStats
	for range 3 { // what pools hold goes with the second collection
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Publishes of QoS 2 that are never released cost a few bytes each, and a client of MQTT 3
// that has too many of them is disconnected.
func TestUnfinishedPublishes(t *testing.T) {
	told := make(chan Refused, 1000) // one a second of each kind
	s := startWith(t, func(o *Options) {
		o.Refused = func(r Refused) { told <- r }
		o.Push = func(context.Context, Push) error { return nil }
	})
	const push = "v3/app1/devices/dev1/down/push"
	const clients = 20
	var all []*raw
	for i := range clients {
		r, _ := s.again(4, fmt.Sprint("dev", i), s.key1)
		all = append(all, r)
	}
	var many bytes.Buffer
	for id := range uint16(inboundQoS2Limit) {
		pk := publishPacket(id+1, 2, push, "")
		if pk.ProtocolVersion = 4; pk.PublishEncode(&many) != nil {
			t.Fatal("no packet")
		}
	}
	before := heap()
	for _, r := range all {
		go func() { _, _ = r.Write(many.Bytes()) }() // who reads the answers knows of an error
		_ = r.SetReadDeadline(time.Now().Add(3 * patience))
		if _, err := io.CopyN(io.Discard, r.r, 4*inboundQoS2Limit); err != nil {
			t.Fatal(err)
		}
	}
	grown := heap() - before
	if grown > clients*16<<10 {
		t.Errorf("%d clients with %d publishes each hold %d bytes", clients, inboundQoS2Limit, grown)
	}
	t.Logf("%d bytes a publish", grown/(clients*inboundQoS2Limit))
	all[0].send(publishPacket(inboundQoS2Limit, 2, push, "")) // once more
	all[0].want(packets.Pubrec)
	all[0].send(publishPacket(inboundQoS2Limit+1, 2, push, ""))
	if pk, err := all[0].receive(patience); err == nil {
		t.Errorf("one more is answered with %s", packets.PacketNames[pk.FixedHeader.Type])
	}
	for found := false; !found; {
		select {
		case r := <-told:
			found = r.What == PublishRefused && r.Why == tooManyUnfinished && r.Client == "dev0"
		case <-time.After(patience):
			t.Fatal("nobody is told of it")
		}
	}
	r, _ := s.again(4, "dev0", s.key1)
	for id := range uint16(inboundQoS2Limit) { // what it knows to be taken it can release
		r.send(pubrelPacket(id + 1))
		r.want(packets.Pubcomp)
	}
	r.send(publishPacket(inboundQoS2Limit+1, 2, push, ""))
	r.want(packets.Pubrec)
}

// A client that comes back again and again, and each time leaves publishes unfinished, has a
// bounded number of them.
func TestUnfinishedPublishesOfManyConnections(t *testing.T) {
	s := start(t, Limits{})
	for i := range uint16(10) {
		r, _ := s.again(5, "dev", s.key1)
		for n := range uint16(32) {
			r.send(publishPacket(1+32*i+n, 2, "x", ""))
			r.want(packets.Pubrec)
		}
		_ = r.Close()
		s.eventually("away", func() bool { away, _ := s.abandoned(); return len(away) == 1 })
	}
	x := s.session("app1/dev")
	x.mu.Lock()
	defer x.mu.Unlock()
	if ids := x.received.Unfinished(); len(ids) != 64 || ids[63] != 320 {
		t.Errorf("%d are unfinished: %d", len(ids), ids)
	}
}

// Of a CONNECT nothing but the client's id is kept, neither while the client is connected
// nor while its session waits for it.
func TestConnectIsNotKept(t *testing.T) {
	const clients = 40
	held := func(version byte, will string) (connected, away int64) {
		s := start(t, Limits{})
		before := heap()
		var all []*raw
		for i := range clients {
			r := dialRaw(t, s.addr)
			r.version = version
			pk := connectPacket(fmt.Sprint("dev", i), "app1", s.key1)
			pk.Connect.Clean, pk.Properties.SessionExpiryInterval = false, 60
			pk.Properties.SessionExpiryIntervalFlag = version == 5
			pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, "x", []byte(will)
			r.send(pk)
			r.want(packets.Connack)
			r.subscribe(1, "#")
			all = append(all, r)
		}
		connected = heap() - before
		for _, r := range all {
			_ = r.Close()
		}
		s.eventually("all are away", func() bool { away, _ := s.abandoned(); return len(away) == clients })
		all = nil
		return connected, heap() - before
	}
	for _, version := range []byte{4, 5} {
		shortHere, shortAway := held(version, "x")
		longHere, longAway := held(version, strings.Repeat("x", 60_000))
		t.Logf("version %d, bytes a client: %d and %d here, %d and %d away", version, shortHere/clients, longHere/clients,
			shortAway/clients, longAway/clients)
		if longHere-shortHere > clients*4<<10 || longAway-shortAway > clients*4<<10 {
			t.Errorf("version %d: with a long CONNECT %d clients hold %d bytes more here, %d away", version, clients,
				longHere-shortHere, longAway-shortAway)
		}
	}
}

// As many filters as a client may have, with as many levels, cost a few bytes for each of
// theirs.
func TestFiltersCostLittle(t *testing.T) {
	const clients, each = 20, 64 << 10
	s := start(t, Limits{})
	before := heap()
	for i := range clients {
		var filters []string
		for k := range 64 {
			filters = append(filters, fmt.Sprintf("v3/app1/%d/%d/0/1/2/3/4/5/6/7/8/9/a", i, k))
		}
		s.login(fmt.Sprint("dev", i)).subscribe(1, filters...)
	}
	grown := heap() - before
	if grown > clients*each {
		t.Errorf("%d bytes a client", grown/clients)
	}
	t.Logf("%d bytes a client", grown/clients)
}

// UNSUBSCRIBE says whether there was a subscription of this client, also after a reconnect.
func TestUnsubscribeSaysWhetherThereWasOne(t *testing.T) {
	s := start(t, Limits{})
	s.login("other").subscribe(1, "v3/app1/devices/+/join", "#")
	r, _ := s.again(5, "dev", s.key1)
	r.subscribe(1, "#", "$share/g/#", upTopic)
	_ = r.Close()
	r, _ = s.again(5, "dev", s.key1)
	r.send(unsubscribePacket("#", "$share/g/#", "v3/app1/devices/+/join", "v3/app2/#", "#"))
	if got := fmt.Sprintf("%x", r.want(packets.Unsuback).ReasonCodes); got != "0000111111" {
		t.Errorf("UNSUBACK %s", got)
	}
	s.up("x")
	r.send(ackFor(r.gets(upTopic, "x", 1)))
	r.silent("a second copy")
}
