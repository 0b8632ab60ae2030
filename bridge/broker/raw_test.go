package broker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// raw is an MQTT client that sends what it is told, right or wrong.
type raw struct {
	*testing.T
	net.Conn
	r       *bufio.Reader
	version byte
	early   []packets.Packet // messages that came before the SUBACK, as they may (MQTT 5.0, 3.8.4)
}

func dialRaw(t *testing.T, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &raw{T: t, Conn: c, r: bufio.NewReader(c), version: 4}
}

func (r *raw) bytes(b ...byte) {
	r.Helper()
	if _, err := r.Write(b); err != nil {
		r.Logf("write: %v", err)
	}
}

// send writes a packet.
func (r *raw) send(pk packets.Packet) {
	r.Helper()
	pk.ProtocolVersion = r.version
	var b bytes.Buffer
	var err error
	switch pk.FixedHeader.Type {
	case packets.Connect:
		if pk.Connect.ProtocolName == nil {
			pk.Connect.ProtocolName = []byte("MQTT")
		}
		err = pk.ConnectEncode(&b)
	case packets.Publish:
		err = pk.PublishEncode(&b)
	case packets.Puback:
		err = pk.PubackEncode(&b)
	case packets.Pubrec:
		err = pk.PubrecEncode(&b)
	case packets.Pubrel:
		err = pk.PubrelEncode(&b)
	case packets.Pubcomp:
		err = pk.PubcompEncode(&b)
	case packets.Subscribe:
		pk.FixedHeader.Qos = 1
		err = pk.SubscribeEncode(&b)
	case packets.Unsubscribe:
		pk.FixedHeader.Qos = 1
		err = pk.UnsubscribeEncode(&b)
	case packets.Pingreq:
		err = pk.PingreqEncode(&b)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&b)
	default:
		r.Fatalf("cannot send type %d", pk.FixedHeader.Type)
	}
	if err != nil {
		r.Fatal(err)
	}
	r.bytes(b.Bytes()...)
}

// receive reads one packet.
func (r *raw) receive(timeout time.Duration) (packets.Packet, error) {
	if len(r.early) > 0 {
		pk := r.early[0]
		r.early = r.early[1:]
		return pk, nil
	}
	_ = r.SetReadDeadline(time.Now().Add(timeout))
	var pk packets.Packet
	first, err := r.r.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(r.r); err != nil {
		return pk, err
	}
	body := make([]byte, pk.FixedHeader.Remaining)
	if _, err := io.ReadFull(r.r, body); err != nil {
		return pk, err
	}
	pk.ProtocolVersion = r.version
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	case packets.Puback:
		err = pk.PubackDecode(body)
	case packets.Pubrec:
		err = pk.PubrecDecode(body)
	case packets.Pubrel:
		err = pk.PubrelDecode(body)
	case packets.Pubcomp:
		err = pk.PubcompDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Unsuback:
		err = pk.UnsubackDecode(body)
	case packets.Disconnect:
		err = pk.DisconnectDecode(body)
	}
	return pk, err
}

// patience is how long something may take that has to come, on a busy machine that
// emulates another.
const patience = 20 * time.Second

// want reads one packet of a type.
func (r *raw) want(typ byte) packets.Packet {
	r.Helper()
	pk, err := r.receive(patience)
	if err != nil || pk.FixedHeader.Type != typ {
		r.Fatalf("got %s, %v; want %s", packets.PacketNames[pk.FixedHeader.Type], err, packets.PacketNames[typ])
	}
	return pk
}

// silent expects nothing for a while.
func (r *raw) silent(what string) {
	r.Helper()
	if pk, err := r.receive(150 * time.Millisecond); err == nil {
		r.Errorf("%s: got %s %s", what, packets.PacketNames[pk.FixedHeader.Type], pk.TopicName)
	} else if !errors.Is(err, os.ErrDeadlineExceeded) {
		r.Errorf("%s: %v", what, err)
	}
}

// closed expects the other side to close the connection.
func (r *raw) closed(within time.Duration) error {
	for end := time.Now().Add(within); ; {
		_, err := r.receive(time.Until(end))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("the connection is still open after %v", within)
		}
		if err != nil {
			return nil
		}
	}
}

func connectPacket(id, user, password string) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{
			Clean: true, Keepalive: 60, ClientIdentifier: id,
			UsernameFlag: user != "", Username: []byte(user), PasswordFlag: password != "", Password: []byte(password),
		},
	}
}

func subscribePacket(id uint16, qos byte, filters ...string) packets.Packet {
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe}, PacketID: id}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: qos})
	}
	return pk
}

func publishPacket(id uint16, qos byte, topic, payload string) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: qos}, PacketID: id,
		TopicName: topic, Payload: []byte(payload),
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a running broker with two applications.
type bench struct {
	*testing.T
	*Broker
	addr       string
	key1, key2 string // of app1 and app2
	readOnly   string // of app1
	writeOnly  string // of app1
	logged     *lockedBuffer
	pushes     chan Push
	stopNow    func()
	pushAnswer atomic.Pointer[pushAnswer]
}

// pushAnswer is how pushes go: how long they take, and what comes of it.
type pushAnswer struct {
	after time.Duration
	err   error
}

func start(t *testing.T, l Limits) *bench {
	t.Helper()
	return startWith(t, func(o *Options) { o.Limits = l })
}

// startWith is start with other options.
func startWith(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	s := &bench{T: t, logged: &lockedBuffer{}, pushes: make(chan Push, 1000)}
	s.pushAnswer.Store(&pushAnswer{})
	keys := access.NewRegistry("ttn")
	add := func(app string, rights access.Rights) string {
		text, k, err := access.New(rand.Reader, app)
		if err != nil {
			t.Fatal(err)
		}
		k.Rights = rights
		if err := keys.Add(k); err != nil {
			t.Fatal(err)
		}
		return text
	}
	s.key1, s.key2 = add("app1", access.Default), add("app2", access.Default)
	s.readOnly, s.writeOnly = add("app1", access.TrafficRead), add("app1", access.TrafficDownWrite)
	o := Options{
		Listen: []string{"127.0.0.1:0"}, Keys: keys,
		Logger: slog.New(slog.NewTextHandler(s.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Push: func(ctx context.Context, p Push) error {
			a := s.pushAnswer.Load()
			select {
			case <-time.After(a.after):
			case <-ctx.Done():
				return ctx.Err()
			}
			s.pushes <- p
			return a.err
		},
	}
	change(&o)
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Broker, s.addr = b, b.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	s.stopNow = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			stacks := make([]byte, 1<<20)
			t.Errorf("Run does not end within %v\n%s", patience, stacks[:runtime.Stack(stacks, true)])
		}
	})
	t.Cleanup(s.stopNow)
	return s
}

// login returns a client of app1 that is connected with MQTT 3.1.1.
func (s *bench) login(id string) *raw { return s.loginAs(4, id, "app1", s.key1) }

func (s *bench) loginAs(version byte, id, user, key string) *raw {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	r.version = version
	r.send(connectPacket(id, user, key))
	if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
		s.Fatalf("CONNACK %d", ack.ReasonCode)
	}
	return r
}

// subscribe expects the filters to be granted.
func (r *raw) subscribe(qos byte, filters ...string) *raw {
	r.Helper()
	r.send(subscribePacket(9, qos, filters...))
	var early []packets.Packet
	pk, err := r.receive(patience)
	for ; err == nil && pk.FixedHeader.Type == packets.Publish; pk, err = r.receive(patience) {
		early = append(early, pk)
	}
	if err != nil || pk.FixedHeader.Type != packets.Suback {
		r.Fatalf("got %s, %v; want SUBACK", packets.PacketNames[pk.FixedHeader.Type], err)
	}
	r.early = early
	for i, code := range pk.ReasonCodes {
		if code != qos {
			r.Fatalf("%s is answered with 0x%02x", filters[i], code)
		}
	}
	return r
}

// up publishes an uplink of dev1 of app1.
func (s *bench) up(payload string) {
	s.Publish(v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte(payload)})
}

// dispatched waits until what was published is in the sessions' queues.
func (s *bench) dispatched() {
	s.Helper()
	r := s.loginAs(4, "probe", "app2", s.key2).subscribe(0, "#")
	defer r.Close()
	s.Publish(v3.Message{Application: "app2", Device: "dev1", Suffix: v3.Up, Payload: []byte("probe")})
	r.gets("v3/app2/devices/dev1/up", "probe", 0)
}

// waiting returns how many messages wait for a session, and how many are on
// their way to it.
func (s *bench) waiting(id string) (queued, inflight int) {
	x := s.session(id)
	if x == nil {
		return 0, 0
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.queue.Len(), len(x.inflight)
}

const upTopic = "v3/app1/devices/dev1/up"

// gets expects one message.
func (r *raw) gets(topic, payload string, qos byte) packets.Packet {
	r.Helper()
	pk := r.want(packets.Publish)
	if pk.TopicName != topic || string(pk.Payload) != payload || pk.FixedHeader.Qos != qos || pk.FixedHeader.Retain {
		r.Fatalf("got %s %q with QoS %d, want %s %q with QoS %d", pk.TopicName, pk.Payload, pk.FixedHeader.Qos, topic,
			payload, qos)
	}
	return pk
}

func (s *bench) eventually(what string, f func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	s.Fatalf("never: %s; %+v\nlog:\n%s", what, s.Stats(), s.logged)
}
