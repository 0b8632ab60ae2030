package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// subject is a broker that is looked at for a fault.
type subject struct {
	*testing.T
	addr, user, key string
	publish         func(payload string) // to upTopic, with QoS 2
	stop            func()               // returns when the broker has stopped
	patience        time.Duration        // with what has to come
}

// fault is something that mochi-mqtt v2.7.9 does. show returns how it shows,
// or nil.
type fault struct {
	name  string
	fatal bool // it ends the process
	show  func(s *subject) error
}

var faults = []fault{
	{"an MQTT 5 SUBSCRIBE that ends before its options kills the process", true, faultSubscribe},
	{"a header before CONNECT takes the memory that it declares", false, faultHeader},
	{"a client that never sends CONNECT is kept", false, faultSilent},
	{"such a client blocks the stop", false, faultStop},
	{"a keep-alive above 43690 disconnects at once", false, faultKeepalive},
	{"a will is published past every check", false, faultWill},
	{"a QoS 1 subscriber that does not read holds up everybody", false, faultStuck},
	{"a refused publish disconnects its client", false, faultRefused},
	{"an acknowledgement echoes the user properties", false, faultUserProperties},
	{"an absent client's messages are kept without bound", false, faultOffline},
	{"a full window is not opened again", false, faultWindow},
	{"a client's packet id ends one of the broker's", false, faultPacketID},
	{"messages are sent again in another order", false, faultOrder},
	{"an MQTT 3 client is sent a DISCONNECT", false, faultDisconnect},
	{"a publish to $SYS is not acknowledged", false, faultDollar},
	{"an empty client id is refused with a code that MQTT 3 does not have", false, faultEmptyID},
	{"a client that is taken over takes the one after it along", false, faultTakeOver},
}

func TestFaultsAreGone(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := start(t, Limits{ConnectTimeout: 2 * time.Second})
			err := f.show(&subject{
				T: t, addr: s.addr, user: "app1", key: s.key1, publish: s.up, stop: s.stopNow,
				patience: patience,
			})
			if err != nil {
				t.Errorf("%v\nlog:\n%s", err, s.logged)
			}
		})
	}
}

// bareEnv asks for the demonstration of the faults on the library alone:
//
//	LORAWAND_BARE_BROKER=1 go test -v -run TestFaultsOfTheLibrary ./bridge/broker
const bareEnv = "LORAWAND_BARE_BROKER"

func TestFaultsOfTheLibrary(t *testing.T) {
	only := os.Getenv(bareEnv)
	if only == "" {
		t.Skip("a demonstration; set " + bareEnv + "=1 to see it")
	}
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if f.fatal && only != fmt.Sprint("fatal", i) {
				cmd := exec.Command(os.Args[0], "-test.run", t.Name())
				cmd.Env = append(os.Environ(), bareEnv+"="+fmt.Sprint("fatal", i))
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), "panic:") {
					t.Errorf("the process has lived: %v\n%s", err, out)
				}
				return
			}
			if err := f.show(bare(t)); err == nil {
				t.Error("the fault does not show")
			} else {
				t.Log(err)
			}
		})
	}
}

// TestStopHangs shows why the library is not asked for a listener's clients:
// GetByListener takes a read lock twice, and hangs when a writer comes between.
func TestStopHangs(t *testing.T) {
	if os.Getenv(bareEnv) == "" {
		t.Skip("a demonstration; set " + bareEnv + "=1 to see it")
	}
	clients := mqtt.NewClients()
	beats := make(chan struct{})
	go func() {
		for {
			clients.Delete("leaves")
		}
	}()
	go func() {
		for {
			clients.GetByListener("tcp")
			beats <- struct{}{}
		}
	}()
	for begin := time.Now(); time.Since(begin) < 30*time.Second; {
		select {
		case <-beats:
		case <-time.After(2 * time.Second):
			t.Logf("hangs after %v", time.Since(begin)-2*time.Second)
			return
		}
	}
	t.Error("the fault does not show")
}

// bareHook lets everybody read everything and write nothing.
type bareHook struct{ mqtt.HookBase }

func (bareHook) ID() string { return "bare" }
func (bareHook) Provides(b byte) bool {
	return b == mqtt.OnACLCheck || b == mqtt.OnConnectAuthenticate
}
func (bareHook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (bareHook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	return !write || topic != "refused"
}

// bare starts the library as it comes.
func bare(t *testing.T) *subject {
	t.Helper()
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := server.AddHook(&bareHook{}, nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := server.AddListener(l); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	return &subject{
		T: t, addr: l.Address(), user: "app1", key: "x",
		publish: func(p string) { _ = server.Publish(upTopic, []byte(p), false, 2) },
		stop:    func() { _ = server.Close() }, patience: 2 * time.Second,
	}
}

// client logs in.
func (s *subject) client(version byte, change func(*packets.Packet)) (*raw, packets.Packet) {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	r.version = version
	pk := connectPacket("client", s.user, s.key)
	if change != nil {
		change(&pk)
	}
	r.send(pk)
	ack := r.want(packets.Connack)
	return r, ack
}

func named(id string) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Connect.ClientIdentifier = id }
}

func faultSubscribe(s *subject) error {
	r, _ := s.client(5, nil)
	r.bytes(0x82, 6, 0, 1, 0, 0, 1, 'a')
	if err := r.closed(s.patience); err != nil {
		return err
	}
	time.Sleep(100 * time.Millisecond)
	again, ack := s.client(5, nil)
	if ack.SessionPresent {
		return errors.New("the client that was cut off has left its session behind")
	}
	again.subscribe(0, "#")
	s.publish("x")
	again.gets(upTopic, "x", 0)
	return nil
}

func faultHeader(s *subject) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := dialRaw(s.T, s.addr)
	r.bytes(0x10, 0xff, 0xff, 0xff, 0x5f) // 200 MB to follow
	time.Sleep(200 * time.Millisecond)
	runtime.ReadMemStats(&after)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 50<<20 {
		return fmt.Errorf("the process has grown by %d MB", grown>>20)
	}
	return r.closed(s.patience)
}

func faultSilent(s *subject) error {
	r := dialRaw(s.T, s.addr)
	return r.closed(s.patience)
}

func faultStop(s *subject) error {
	dialRaw(s.T, s.addr)
	time.Sleep(50 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(s.patience):
		return fmt.Errorf("the stop takes longer than %v", s.patience)
	}
}

func faultKeepalive(s *subject) error {
	for _, keepalive := range []uint16{43690, 43691, 65535} {
		r := dialRaw(s.T, s.addr)
		pk := connectPacket("client", s.user, s.key)
		pk.Connect.Keepalive = keepalive
		r.send(pk)
		if ack, err := r.receive(s.patience); err != nil || ack.ReasonCode != 0 {
			return fmt.Errorf("keep-alive %d: %v", keepalive, err)
		}
	}
	return nil
}

func faultWill(s *subject) error {
	other, _ := s.client(4, named("other"))
	other.subscribe(0, "#")
	r, _ := s.client(4, func(pk *packets.Packet) {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload = true, upTopic, []byte("forged")
	})
	r.Close()
	for {
		pk, err := other.receive(300 * time.Millisecond)
		if err != nil {
			return nil
		}
		if string(pk.Payload) == "forged" {
			return fmt.Errorf("a will arrives on %s", pk.TopicName)
		}
	}
}

func faultStuck(s *subject) error {
	stuck, _ := s.client(4, named("stuck"))
	stuck.subscribe(1, "#")
	healthy, _ := s.client(4, named("healthy"))
	healthy.subscribe(0, upTopic)
	const n = 4000
	payload := strings.Repeat("x", 1200)
	longest := make(chan time.Duration, 1)
	var heard atomic.Int64 // by the healthy one
	go func() {
		var most time.Duration
		for i := range n {
			for heard.Load() < int64(i)-500 { // no more than wait for one client
				time.Sleep(time.Millisecond)
			}
			begin := time.Now()
			s.publish(payload)
			most = max(most, time.Since(begin))
		}
		longest <- most
	}()
	for i := range n {
		if _, err := healthy.receive(20 * time.Second); err != nil {
			return fmt.Errorf("a healthy subscriber got %d of %d messages: %w", i, n, err)
		}
		heard.Add(1)
	}
	if most := <-longest; most > s.patience {
		return fmt.Errorf("publishing took up to %v", most)
	}
	return nil
}

func faultRefused(s *subject) error {
	for version := byte(4); version <= 5; version++ {
		r, _ := s.client(version, nil)
		r.send(publishPacket(1, 1, "refused", "x"))
		ack, err := r.receive(s.patience)
		if err != nil || ack.FixedHeader.Type != packets.Puback || ack.ReasonCode != 0 {
			return fmt.Errorf("MQTT %d: answered with %s 0x%x, %v", version, packets.PacketNames[ack.FixedHeader.Type],
				ack.ReasonCode, err)
		}
	}
	return nil
}

func faultUserProperties(s *subject) error {
	r, _ := s.client(5, nil)
	mine := []packets.UserProperty{{Key: "k", Val: "v"}}
	pk := publishPacket(1, 1, "x", "x")
	pk.Properties.User = mine
	r.send(pk)
	if ack := r.want(packets.Puback); len(ack.Properties.User) > 0 {
		return errors.New("PUBACK has them")
	}
	pk = subscribePacket(2, 0, "#")
	pk.Properties.User = mine
	r.send(pk)
	if ack := r.want(packets.Suback); len(ack.Properties.User) > 0 {
		return errors.New("SUBACK has them")
	}
	return nil
}

func persistent(id string) func(*packets.Packet) {
	return func(pk *packets.Packet) { pk.Connect.ClientIdentifier, pk.Connect.Clean = id, false }
}

func faultOffline(s *subject) error {
	r, _ := s.client(4, persistent("keeper"))
	r.subscribe(1, "#")
	r.Close()
	time.Sleep(100 * time.Millisecond)
	for i := range 3000 {
		s.publish("x")
		if i%100 == 99 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	time.Sleep(time.Second) // until all of them are kept, or not
	r, _ = s.client(4, persistent("keeper"))
	n, within := 0, s.patience
	for {
		if n == 1000 { // no more are to come
			within = 300 * time.Millisecond
		}
		pk, err := r.receive(within)
		if err != nil {
			break
		}
		n++
		r.send(ackFor(pk))
	}
	if n != 1000 {
		return fmt.Errorf("%d messages were kept, want 1000", n)
	}
	return nil
}

func faultWindow(s *subject) error {
	r, _ := s.client(5, func(pk *packets.Packet) { pk.Properties.ReceiveMaximum = 2 })
	r.subscribe(1, "#")
	for i := range 20 {
		s.publish(fmt.Sprint(i))
	}
	for i := range 20 {
		pk, err := r.receive(s.patience)
		if err != nil {
			return fmt.Errorf("nothing more comes after %d of 20 messages, though all were acknowledged", i)
		}
		if string(pk.Payload) != fmt.Sprint(i) {
			return fmt.Errorf("message %q comes as number %d", pk.Payload, i)
		}
		r.send(ackFor(pk))
	}
	return nil
}

func faultPacketID(s *subject) error {
	r, _ := s.client(4, persistent("keeper"))
	r.subscribe(1, "#")
	s.publish("precious")
	got := r.gets(upTopic, "precious", 1)
	r.send(publishPacket(got.PacketID, 1, "x", "the client's own"))
	r.want(packets.Puback)
	r.Close()
	time.Sleep(100 * time.Millisecond)
	r, _ = s.client(4, persistent("keeper"))
	if pk, err := r.receive(s.patience); err != nil || string(pk.Payload) != "precious" {
		return fmt.Errorf("a message that was not acknowledged is not sent again: %v", err)
	}
	return nil
}

func faultOrder(s *subject) error {
	r, _ := s.client(4, persistent("keeper"))
	r.subscribe(1, "#")
	for i := range 30 {
		s.publish(fmt.Sprint(i))
		r.gets(upTopic, fmt.Sprint(i), 1)
	}
	r.Close()
	time.Sleep(100 * time.Millisecond)
	r, _ = s.client(4, persistent("keeper"))
	for i := range 30 {
		if pk := r.want(packets.Publish); string(pk.Payload) != fmt.Sprint(i) || !pk.FixedHeader.Dup {
			return fmt.Errorf("message %q comes as number %d", pk.Payload, i)
		}
	}
	return nil
}

func faultDisconnect(s *subject) error {
	r, _ := s.client(4, nil)
	s.client(4, nil) // takes over
	if pk, err := r.receive(s.patience); err == nil {
		return fmt.Errorf("it is sent %s", packets.PacketNames[pk.FixedHeader.Type])
	}
	return nil
}

func faultDollar(s *subject) error {
	r, _ := s.client(4, nil)
	r.send(publishPacket(1, 1, "$SYS/x", "x"))
	if _, err := r.receive(s.patience); err != nil {
		return fmt.Errorf("no PUBACK: %w", err)
	}
	return nil
}

func faultEmptyID(s *subject) error {
	if _, ack := s.client(4, func(pk *packets.Packet) {
		persistent("")(pk)
	}); ack.ReasonCode != packets.Err3ClientIdentifierNotValid.Code {
		return fmt.Errorf("CONNACK 0x%x", ack.ReasonCode)
	}
	return nil
}

func faultTakeOver(s *subject) error {
	var filters []string
	for i := range 50 { // which the library has to undo, while the next is served
		filters = append(filters, fmt.Sprintf("v3/app1/devices/dev%d/up", i))
	}
	before, _ := s.client(4, named("same"))
	for i := range 200 {
		before.subscribe(0, filters...)
		after, _ := s.client(4, named("same"))
		if err := before.closed(s.patience); err != nil {
			return fmt.Errorf("take-over %d: %w", i, err)
		}
		before = after
	}
	return nil
}
