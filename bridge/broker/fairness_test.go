package broker

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/linger"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/packettest"
	"lorawand/bridge/v3"
)

// persistent connects a client of an application that wants its session kept.
func (s *bench) persistent(app, key, id string) *raw {
	s.Helper()
	r := dialRaw(s.T, s.addr)
	pk := connectPacket(id, app, key)
	pk.Connect.Clean = false
	r.send(pk)
	if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
		s.Fatalf("CONNACK %d", ack.ReasonCode)
	}
	return r
}

// upOf publishes an uplink of dev1 of an application.
func (s *bench) upOf(app, payload string) {
	s.Publish(v3.Message{Application: app, Device: "dev1", Suffix: v3.Up, Payload: []byte(payload)})
}

// An application that connects as often as it can costs itself: others log in,
// and what goes is its own newest connection.
func TestFairConnections(t *testing.T) {
	s := start(t, Limits{Clients: 10})
	var flood []*raw
	for i := range 10 {
		flood = append(flood, s.loginAs(5, fmt.Sprint("flood", i), "app1", s.key1))
	}
	for i := range 5 {
		s.loginAs(4, fmt.Sprint("good", i), "app2", s.key2)
		pk := flood[9-i].want(packets.Disconnect)
		if pk.ReasonCode != packets.ErrQuotaExceeded.Code {
			t.Errorf("the newest client of app1 hears 0x%02x", pk.ReasonCode)
		}
	}
	// Now each has five: neither takes another place of the other.
	for app, key := range map[string]string{"app1": s.key1, "app2": s.key2} {
		for version, want := range map[byte]byte{4: 3, 5: packets.ErrServerBusy.Code} {
			r := dialRaw(t, s.addr)
			r.version = version
			r.send(connectPacket("more", app, key))
			if ack := r.want(packets.Connack); ack.ReasonCode != want {
				t.Errorf("one more of %s: CONNACK 0x%02x, want 0x%02x", app, ack.ReasonCode, want)
			}
			if err := r.closed(patience); err != nil {
				t.Error(err)
			}
		}
	}
}

// An application that leaves as many sessions behind as it can costs itself.
func TestFairSessions(t *testing.T) {
	s := start(t, Limits{Clients: 5})
	good := s.persistent("app2", s.key2, "good").subscribe(1, "#")
	s.away(good)
	for i := range 50 {
		s.away(s.persistent("app1", s.key1, fmt.Sprint("flood", i)))
	}
	if n := s.Stats().Sessions; n != 10 {
		t.Errorf("%d sessions, want twice the clients", n)
	}
	s.upOf("app2", "kept")
	good = s.persistent("app2", s.key2, "good")
	good.gets("v3/app2/devices/dev1/up", "kept", 1)
	if s.session("app1/flood49") == nil || s.session("app1/flood0") != nil {
		t.Error("it is not the oldest session of app1 that has gone")
	}
}

// An application whose clients are away for long costs itself: what others have
// kept stays, also of a client that leaves while everything is full.
func TestFairOfflineBytes(t *testing.T) {
	s := start(t, Limits{OfflineMessages: 1000, OfflineBytes: 20_000, OfflineTotal: 60_000})
	for i := range 4 {
		s.away(s.persistent("app1", s.key1, fmt.Sprint("flood", i)).subscribe(1, fmt.Sprintf("v3/+/devices/dev%d/#", i)))
	}
	good := s.persistent("app2", s.key2, "good").subscribe(1, "#")
	s.away(good)
	for i := range 100 {
		for n := range 4 {
			s.Publish(v3.Message{
				Application: "app1", Device: fmt.Sprint("dev", n), Suffix: v3.Up,
				Payload: bytes.Repeat([]byte{'x'}, 900),
			})
		}
		if i%10 == 0 {
			s.upOf("app2", fmt.Sprint(i))
		}
	}
	s.eventually("full", func() bool { n := s.kept.Load(); return n > 55_000 && n <= 60_000 })
	good = s.persistent("app2", s.key2, "good")
	for i := 0; i < 100; i += 10 {
		good.send(ackFor(good.gets("v3/app2/devices/dev1/up", fmt.Sprint(i), 1)))
	}
	s.recounted()
}

// recounted expects that what counts as kept is what is kept.
func (s *bench) recounted() {
	s.Helper()
	var err error
	defer func() {
		if err != nil {
			s.Log(err)
		}
	}()
	s.eventually("the count is right", func() bool { err = s.recount(); return err == nil })
}

// recount compares what counts as kept with what is.
func (s *bench) recount() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for name, a := range s.byApp {
		var sum int64
		holders := map[*message]int32{}
		count := func(i *item) {
			sum += int64(i.own())
			if holders[i.msg]++; holders[i.msg] == 1 {
				sum += int64(i.msg.size())
			}
		}
		for x := range a.all {
			x.mu.Lock()
			queued := 0
			for i := range x.queue.All() {
				count(i)
				queued += i.size()
			}
			for i := range x.inflight {
				count(&x.inflight[i].item)
			}
			wrong := queued - x.queued
			x.mu.Unlock()
			if wrong != 0 {
				return fmt.Errorf("%s: %d bytes more are queued than counted", x.id, wrong)
			}
		}
		for m, n := range holders {
			if n != m.holders.Load() {
				return fmt.Errorf("%s: %d clients wait for a message, %d are counted", name, n, m.holders.Load())
			}
		}
		if kept := a.kept.Load(); kept != sum {
			return fmt.Errorf("%s: %d bytes count as kept, %d are", name, kept, sum)
		}
	}
	return nil
}

// The messages that wait for clients that do not read or do not acknowledge are bounded for
// all of them together; a client that reads gets all.
func TestFairSlowClients(t *testing.T) {
	tests := []struct {
		name    string
		qos     byte
		filters int // of each of the slow clients, with subscription identifiers
		reads   bool
	}{
		{"QoS 0, reads nothing", 0, 1, false},
		{"QoS 1, reads nothing", 1, 1, false},
		{"QoS 1, acknowledges nothing", 1, 1, true},
		{"QoS 2, acknowledges nothing", 2, 1, true},
		{"QoS 1, with subscription identifiers", 1, 3, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const total = 200_000
			s := start(t, Limits{OfflineTotal: total, WriteDeadline: time.Minute})
			good := s.loginAs(4, "good", "app2", s.key2).subscribe(1, "#")
			for i := range 20 {
				r := s.loginAs(5, fmt.Sprint("slow", i), "app1", s.key1)
				_ = r.Conn.(*net.TCPConn).SetReadBuffer(4096)
				var filters []string
				for n := range tt.filters {
					filters = append(filters, "v3/+/devices/dev1/"+[...]string{"up", "+", "#"}[n%3])
				}
				pk := subscribePacket(9, tt.qos, filters...)
				pk.Properties.SubscriptionIdentifier = []int{7}
				r.send(pk)
				r.want(packets.Suback)
				if tt.reads {
					go func() { _, _ = io.Copy(io.Discard, r.Conn) }()
				}
			}
			most := int64(0)
			for i := range 600 {
				s.upOf("app1", strings.Repeat("x", 900))
				if i%10 == 0 {
					s.upOf("app2", fmt.Sprint(i))
					good.send(ackFor(good.gets("v3/app2/devices/dev1/up", fmt.Sprint(i), 1)))
				}
				most = max(most, s.kept.Load())
			}
			if most < total/2 || most > total+20*1000 { // one message is under way to all of them
				t.Errorf("%d bytes are kept, want at most %d, and that it is reached", most, total)
			}
			if n := s.Stats().ClientDropped; n == 0 {
				t.Error("nothing is dropped")
			}
			s.recounted()
		})
	}
}

// Before the login, a connection gives way to a new one: first one whose key was wrong,
// then one that has not sent a whole packet, then the oldest; and never one of this host to
// one from elsewhere.
func TestGate(t *testing.T) {
	const loopback, lan = "127.0.0.1", "192.0.2."
	tests := []struct {
		name string
		// one letter each: l of this host, a to f from addresses of the LAN; upper case: it has spoken;
		// "!" behind it: its login was refused
		come string
		want string // who waits at the end
	}{
		{"room for all", "labc", "labc"},
		{"six of the LAN, a quarter of eight is for this host", "abcdef", "abcdef"},
		{"the oldest of the LAN gives way", "abcdefg", "bcdefg"},
		{"this host's places are left", "abcdefgl", "bcdefgl"},
		{"two of this host", "abcdefll", "abcdefll"},
		{"this host takes places of the LAN", "abcdeflll", "bcdeflll"},
		{"who has spoken stays", "Abcdefg", "Acdefg"},
		{"who was refused goes first", "abC!defg", "abdefg"},
		{"three of one address", "aaa", "aaa"},
		{"four of one address", "aaaba", "aaba"},
		{"all have spoken", "ABCDEFG", "BCDEFG"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(Limits{Unauthenticated: 8, PerAddress: 3})
			names := map[*conn]byte{}
			for i := 0; i < len(tt.come); i++ {
				letter := tt.come[i]
				c := &conn{raw: &linger.Conn{Conn: nopConn{}}, done: make(chan struct{})}
				lower := letter | 0x20
				c.addr = netip.MustParseAddr(loopback)
				if lower != 'l' {
					c.addr = netip.MustParseAddr(fmt.Sprint(lan, lower))
				}
				c.source = pace.SourceOf(c.addr)
				c.spoke.Store(letter != lower)
				if i+1 < len(tt.come) && tt.come[i+1] == '!' {
					c.failed.Store(true)
					i++
				}
				names[c] = letter
				if _, ok := g.enter(c); !ok {
					t.Fatalf("%c is refused", letter)
				}
			}
			got := ""
			for _, c := range g.waiting {
				got += string(names[c])
			}
			if got != tt.want {
				t.Errorf("%s wait, want %s", got, tt.want)
			}
		})
	}
}

// A connection that has begun a packet gives way as early as a silent one.
func TestHalfOpenGivesWay(t *testing.T) {
	for name, begin := range map[string][]byte{"nothing": nil, "a byte": {0x10}, "half a CONNECT": {0x10, 20, 0, 4, 'M', 'Q', 'T', 'T', 4, 0xc2}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Limits{Unauthenticated: 8})
			next := 0
			open := func(n int) {
				for range n {
					next++
					d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(next))}}
					c, err := d.Dial("tcp", s.addr)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = c.Close() })
					_, _ = c.Write(begin)
				}
			}
			open(20)
			time.Sleep(50 * time.Millisecond) // until it is read
			good := dialRaw(t, s.addr)
			open(5)
			time.Sleep(50 * time.Millisecond)
			good.send(connectPacket("good", "app1", s.key1))
			if ack := good.want(packets.Connack); ack.ReasonCode != 0 {
				t.Errorf("CONNACK %d", ack.ReasonCode)
			}
		})
	}
}

// Wrong keys from 50 addresses, 200 a second, leave good logins untouched though
// each of the guessers waits for its answer.
func TestGuessersDoNotLockOut(t *testing.T) {
	s := start(t, Limits{})
	stop := make(chan struct{})
	var guessers sync.WaitGroup
	defer guessers.Wait()
	defer close(stop)
	for i := range 50 {
		guessers.Go(func() {
			d := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i+1))}}
			for {
				select {
				case <-stop:
					return
				case <-time.After(250 * time.Millisecond):
				}
				c, err := d.Dial("tcp", s.addr)
				if err != nil {
					continue
				}
				_, _ = c.Write(framed(0x10, packettest.ConnectBody("MQTT", 4, 0xc2, "",
					packettest.Text("x")+packettest.Text("app1")+packettest.Text("NNSXS.WRONG"))))
				guessers.Go(func() { // who waits for the answer
					defer c.Close()
					_ = c.SetReadDeadline(time.Now().Add(time.Second))
					_, _ = c.Read(make([]byte, 4))
				})
			}
		})
	}
	s.eventually("the guessers are held back", func() bool { return s.Stats().BadLogins > 700 })
	for i := range 20 {
		s.gate.mu.Lock()
		held := len(s.gate.conns)
		s.gate.mu.Unlock()
		if held > 2*s.limits.Unauthenticated { // those that had to go end at once
			t.Errorf("%d connections are held", held)
		}
		begin := time.Now()
		s.login(fmt.Sprint("good", i)).Close()
		if took := time.Since(begin); took > 4*time.Second { // a guess is held back for 5 s
			t.Errorf("a good login takes %v", took)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// A key that expires ends the connections and the sessions of its clients.
func TestKeyExpires(t *testing.T) {
	keys := access.NewRegistry("ttn")
	secret, k, err := access.New(rand.Reader, "app1")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	k.Expires, k.Rights = now.Add(time.Hour), access.Default
	if err := keys.Add(k); err != nil {
		t.Fatal(err)
	}
	s := startWith(t, func(o *Options) { o.Keys = keys })
	s.key1 = secret
	s.away(s.persistent("app1", secret, "away"))
	r := s.loginAs(5, "dev", "app1", secret)
	for _, at := range []time.Time{{}, now, now.Add(time.Hour - 1)} {
		s.expireKeys(at)
		if st := s.Stats(); st.Clients != 1 || st.Sessions != 2 {
			t.Fatalf("at %v: %+v", at, st)
		}
	}
	s.expireKeys(now.Add(time.Hour))
	if pk := r.want(packets.Disconnect); pk.ReasonCode != packets.ErrNotAuthorized.Code {
		t.Errorf("DISCONNECT 0x%02x", pk.ReasonCode)
	}
	s.eventually("nobody is left", func() bool { st := s.Stats(); return st.Clients == 0 && st.Sessions == 0 })
}

// nopConn is a connection that can only be closed.
type nopConn struct{ net.Conn }

func (nopConn) Close() error { return nil }

// What comes for a session just when it is forgotten is not counted as kept.
func TestForgottenSessionKeepsNothing(t *testing.T) {
	s := start(t, Limits{})
	r := s.persistent("app1", s.key1, "away")
	r.subscribe(1, "#")
	s.away(r)
	s.upOf("app1", "x")
	s.dispatched()
	one := s.sessionsOf(nil, "app1")[0]
	m := &message{Message: v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("late")}}
	s.life.Lock()
	s.drop(one)
	s.life.Unlock()
	one.enqueue(item{msg: m, via: &via{uid: "app1"}, qos: 1})
	if n := s.kept.Load(); n != 0 {
		t.Errorf("%d bytes are kept for nobody", n)
	}
}
