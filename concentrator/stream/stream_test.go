package stream

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/udp"
	"lorawand/radio"
	"lorawand/radio/fuzztest"
	"lorawand/radio/gwmp"
)

var (
	euiA = radio.EUI64{0xa, 7: 1}
	euiB = radio.EUI64{0xb, 7: 2}
)

const goodKey = "NNSXS.GOOD"

// bench is a Listener with real sockets, which lets in who has goodKey.
type bench struct {
	*testing.T
	*Listener
	mu      sync.Mutex
	revoked bool
	wait    time.Duration // of who is refused
	refused []string
}

// certificate is that of a server.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "central"}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// newBench changes its options, if with is not nil.
func newBench(t *testing.T, with func(*Options)) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t}
	o := Options{
		Listener: l, TLS: &tls.Config{Certificates: []tls.Certificate{certificate()}},
		Admit: func(eui radio.EUI64, key string) (string, error) {
			if key != goodKey {
				return "", errors.New("wrong key")
			}
			return "id of " + eui.String(), nil
		},
		Holds: func(eui radio.EUI64, id string) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			if b.revoked || id != "id of "+eui.String() {
				return errors.New("revoked")
			}
			return nil
		},
		Refused: func(eui radio.EUI64, from netip.AddrPort, why error) time.Duration {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.refused = append(b.refused, fmt.Sprintf("%v: %v", eui, why))
			return b.wait
		},
	}
	if with != nil {
		with(&o)
	}
	if b.Listener, err = New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Listener.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return b
}

// dial connects from an address of this host, over TLS.
func (b *bench) dial(from string) net.Conn {
	b.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := tls.DialWithDialer(&d, "tcp", b.LocalAddr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// login logs a gateway in.
func (b *bench) login(from string, eui radio.EUI64, key string) (*Conn, error) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return Login(ctx, b.dial(from), eui, key)
}

func (b *bench) must(from string, eui radio.EUI64) *Conn {
	b.Helper()
	c, err := b.login(from, eui, goodKey)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// next returns what the server reads next.
func (b *bench) next() (string, netip.AddrPort) {
	b.Helper()
	buf := make([]byte, MaxSize)
	_ = b.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, from, err := b.ReadFromUDPAddrPort(buf)
	if err != nil {
		b.Fatal(err)
	}
	return string(buf[:n]), from
}

func (b *bench) eventually(what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("not within 30 s: %s", what)
		}
	}
}

// told returns whom the owner is told of.
func (b *bench) told() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.refused, "\n")
}

func pullData(eui radio.EUI64) string {
	return string(gwmp.Packet{Version: gwmp.Version2, Token: 7, Type: gwmp.PullData, EUI: eui}.Append(nil))
}

func pushData(eui radio.EUI64) string {
	return string(gwmp.Packet{Version: gwmp.Version2, Token: 7, Type: gwmp.PushData, EUI: eui}.Append(nil))
}

// Datagrams keep their bounds, both ways, and come from the connection of their gateway.
func TestDatagrams(t *testing.T) {
	b := newBench(t, nil)
	a, other := b.must("127.0.0.1", euiA), b.must("127.0.0.2", euiB)
	long := pullData(euiA) + strings.Repeat("x", MaxSize-12)
	for _, text := range []string{pullData(euiA), long, pullData(euiA) + "y"} {
		if _, err := a.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var from netip.AddrPort
	for _, want := range []string{pullData(euiA), long, pullData(euiA) + "y"} {
		var got string
		if got, from = b.next(); got != want || from.String() != a.LocalAddr().String() {
			t.Errorf("%d bytes from %v, want %d from %v", len(got), from, len(want), a.LocalAddr())
		}
	}
	if _, err := a.Write(make([]byte, MaxSize+1)); err == nil {
		t.Error("a datagram that is too long is sent")
	}
	if _, err := other.Write([]byte(pullData(euiB))); err != nil {
		t.Fatal(err)
	}
	_, second := b.next()
	for _, text := range []string{"one", strings.Repeat("2", MaxSize), "three"} {
		if n, err := b.WriteToUDPAddrPort([]byte(text), from); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if _, err := b.WriteToUDPAddrPort([]byte("for B"), second); err != nil {
		t.Error(err)
	}
	buf := make([]byte, MaxSize)
	for _, want := range []string{"one", strings.Repeat("2", MaxSize), "three"} {
		if n, err := a.Read(buf); err != nil || string(buf[:n]) != want {
			t.Errorf("the gateway gets %d bytes, %v; want %d", n, err, len(want))
		}
	}
	if n, err := other.Read(buf); err != nil || string(buf[:n]) != "for B" {
		t.Errorf("the other gateway gets %q, %v", buf[:n], err)
	}
	_ = a.Close()
	b.eventually("the connection is forgotten", func() bool {
		_, err := b.WriteToUDPAddrPort([]byte("late"), from)
		return errors.Is(err, errGone)
	})
}

// The read deadline ends a read that waits, as that of a UDP socket does.
func TestReadDeadline(t *testing.T) {
	b := newBench(t, nil)
	done := make(chan error)
	_ = b.SetReadDeadline(time.Time{})
	go func() {
		_, _, err := b.ReadFromUDPAddrPort(make([]byte, 10))
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("without a deadline: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	_ = b.SetReadDeadline(time.Unix(1, 0))
	if err := <-done; !strings.Contains(err.Error(), "timeout") {
		t.Errorf("at the deadline: %v", err)
	}
	_ = b.Close()
	_ = b.SetReadDeadline(time.Time{})
	if _, _, err := b.ReadFromUDPAddrPort(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// Who does not come in is told so, and the owner is told why.
func TestRefused(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.login("127.0.0.1", euiA, "NNSXS.BAD")
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "wrong key") {
		t.Errorf("a wrong key: %v", err)
	}
	c := b.dial("127.0.0.1")
	_, _ = io.WriteString(c, "GET / HTTP/1.1\n")
	if answer, _ := io.ReadAll(c); !strings.HasPrefix(string(answer), refusal) {
		t.Errorf("HTTP is answered with %q", answer)
	}
	c = b.dial("127.0.0.1")
	_, _ = io.WriteString(c, strings.Repeat("x", 2*maxLine))
	_, _ = io.ReadAll(c)
	plain, err := net.Dial("tcp", b.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(plain, "no TLS at all, and long enough for a record\n")
	_, _ = io.ReadAll(plain)
	_ = plain.Close()
	gone, _ := net.Dial("tcp", b.LocalAddr().String())
	_ = gone.Close() // of this nobody is told
	b.eventually("four are told of", func() bool { return strings.Count(b.told(), "\n") == 3 })
	for _, want := range []string{euiA.String() + ": wrong key", "GET / HTTP", "more than 256 bytes", "TLS handshake"} {
		if !strings.Contains(b.told(), want) {
			t.Errorf("%q is not among\n%s", want, b.told())
		}
	}
}

// A gateway that breaks the rules is put out, and so is one whose key is revoked.
func TestPutOut(t *testing.T) {
	for name, tt := range map[string]struct {
		send []byte
		want string
	}{
		"a datagram of another gateway": {appendDatagram(nil, []byte(pullData(euiB))), "a datagram of the gateway"},
		"a datagram of a server":        {appendDatagram(nil, []byte{2, 0, 1, byte(gwmp.PullResp)}), "of the gateway"},
		"no datagram":                   {appendDatagram(nil, []byte{2}), "malformed"},
		"an empty one":                  {[]byte{0, 0}, "0 bytes"},
		"one that is too long":          {[]byte{0xff, 0xff, 2}, "65535 bytes"},
		"revoked":                       {appendDatagram(nil, []byte(pullData(euiA))), "revoked"},
		"revoked, with frames alone":    {appendDatagram(nil, []byte(pushData(euiA))), "revoked"},
		"revoked, and silent":           {nil, "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			c := b.must("127.0.0.1", euiA)
			b.mu.Lock()
			b.revoked = strings.HasPrefix(name, "revoked")
			b.mu.Unlock()
			if _, err := c.Conn.Write(tt.send); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(KeepAlive + time.Second))
			if _, err := read(c.in, make([]byte, 10)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the gateway reads %v", err)
			}
			b.mu.Lock()
			left := b.revoked && len(b.inbox) > 0
			b.mu.Unlock()
			if left {
				t.Error("what it has sent is taken")
			}
			b.eventually("it is told of", func() bool { return strings.Contains(b.told(), tt.want) })
			if c, err := b.login("127.0.0.1", euiA, goodKey); err != nil {
				t.Errorf("it does not come in again: %v", err)
			} else {
				_ = c.Close()
			}
		})
	}
}

// A gateway comes again at once from its own address, and from another one only when the first
// connection is over, or silent. What comes over the one before is not read any more.
func TestTwice(t *testing.T) {
	b := newBench(t, nil)
	first := b.must("127.0.0.1", euiA)
	_, err := b.login("127.0.0.2", euiA, goodKey)
	if err == nil || !strings.Contains(err.Error(), "connected from 127.0.0.1") {
		t.Fatalf("from elsewhere: %v", err)
	}
	_, _ = first.Write([]byte(pullData(euiA)))
	b.eventually("a datagram waits to be read", func() bool { return len(b.inbox) == 1 })
	again := b.must("127.0.0.1", euiA)
	if _, err := first.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
		t.Errorf("the first connection: %v", err)
	}
	_, _ = again.Write([]byte(pullData(euiA)))
	if _, from := b.next(); from.String() != again.LocalAddr().String() {
		t.Errorf("a datagram from %v, want %v", from, again.LocalAddr())
	}
	b.Listener.mu.Lock()
	b.peers[euiA].heard = time.Now().Add(-aliveFor)
	b.Listener.mu.Unlock()
	elsewhere := b.must("127.0.0.2", euiA)
	_ = elsewhere.Close()
	b.eventually("the connection is forgotten", func() bool {
		b.Listener.mu.Lock()
		defer b.Listener.mu.Unlock()
		return len(b.peers) == 0 && len(b.byAddress) == 0
	})
	_ = b.must("127.0.0.1", euiA)
}

// Strangers do not keep gateways out: there is room for a few of each address.
func TestStrangers(t *testing.T) {
	b := newBench(t, nil)
	var idle []net.Conn
	for range 2 * maxStrangersOfOne {
		c, err := net.Dial("tcp", b.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	b.eventually("the room of an address is full", func() bool {
		b.Listener.mu.Lock()
		defer b.Listener.mu.Unlock()
		return b.strangers[netip.MustParseAddr("127.0.0.1")] == maxStrangersOfOne
	})
	_ = idle[len(idle)-1].SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := idle[len(idle)-1].Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one too many: %v", err)
	}
	c := b.must("127.0.0.2", euiA)
	_, _ = c.Write([]byte(pullData(euiA)))
	b.next()
	_ = idle[0].Close()
	b.eventually("there is room again", func() bool {
		c, err := net.Dial("tcp", b.LocalAddr().String())
		if err != nil {
			return false
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err = c.Read(make([]byte, 1))
		return !errors.Is(err, io.EOF)
	})
}

// The driver of packet forwarders keeps its promises on a Listener too.
func TestConforms(t *testing.T) {
	concentrator.Conform(t, func() concentrator.Subject { return subject(t) })
}

// subject is a driver on a Listener, with a gateway whose counter wraps 10 ms after the first frame.
func subject(t *testing.T) concentrator.Subject {
	b := newBench(t, nil)
	begin := time.Now()
	d, err := udp.Listen(udp.Options{
		Socket: b.Listener, AcceptUnknown: true, AckTimeout: 200 * time.Millisecond, Logger: nil,
		Now: func() radio.HostTime { return radio.HostTime(time.Since(begin)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	c := b.must("127.0.0.1", euiA)
	_, _ = c.Write([]byte(pullData(euiA)))
	var mu sync.Mutex
	send := func(p gwmp.Packet) {
		mu.Lock()
		defer mu.Unlock()
		p.Version, p.EUI = gwmp.Version2, euiA
		_, _ = c.Write(p.Append(nil))
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, MaxSize)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if p, err := gwmp.ParsePacket(buf[:n]); err == nil && p.Type == gwmp.PullResp {
				send(gwmp.Packet{Token: p.Token, Type: gwmp.TxAck, Body: gwmp.AppendAck(nil, radio.TxResult(p.Token%3))})
			}
		}
	})
	var first time.Time
	hear := func(phy []byte) {
		if first.IsZero() {
			first = time.Now()
		}
		up := radio.Uplink{
			PHYPayload: slices.Clone(phy), Time: radio.ConcentratorTime(uint32(time.Since(first).Microseconds() - 10_000)),
			Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000), CodingRate: radio.CodingRate45,
			Receptions: []radio.Reception{{RSSI: -6000, SNR: 500}},
		}
		send(gwmp.Packet{Token: 1, Type: gwmp.PushData, Body: gwmp.AppendPush(nil, []radio.Uplink{up}, nil)})
	}
	return concentrator.Subject{Driver: d, Gateway: euiA, Hear: hear, Close: func() { _ = c.Close(); reading.Wait() }}
}

// What a gateway sends may be anything: nothing of it ends the Listener, or costs memory.
func FuzzGateway(f *testing.F) {
	f.Add([]byte("lorawand-gateway 1 0A00000000000001 NNSXS.GOOD\n\x00\x0c" + pullData(euiA)))
	f.Add([]byte("lorawand-gateway 1 0A00000000000001 NNSXS.GOOD\n\xff\xff"))
	f.Add([]byte("\n"))
	f.Fuzz(fuzztest.Quick(func(t *testing.T, in []byte) {
		b := newBench(t, nil)
		near, far := net.Pipe()
		p := &peer{
			raw: far, conn: far, from: netip.MustParseAddrPort("192.0.2.1:7"), out: make(chan []byte, 1),
			over: make(chan struct{}),
		}
		_ = far.SetDeadline(time.Now().Add(loginTimeout))
		go func() { _, _ = io.Copy(near, bytes.NewReader(in)); _ = near.Close() }()
		go func() { _, _ = io.Copy(io.Discard, near) }()
		if b.Listener.greet(t.Context(), p) == nil {
			go func() {
				for {
					if _, _, err := b.ReadFromUDPAddrPort(make([]byte, MaxSize)); err != nil {
						return
					}
				}
			}()
			if err := b.read(p); err == nil {
				t.Error("a connection that ends without a reason")
			}
		}
	}))
}
