package udp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

var (
	euiA = radio.EUI64{0xa1, 1}
	euiB = radio.EUI64{0xa1, 2}
	euiX = radio.EUI64{0xff, 9}
)

// sink keeps what a driver tells.
type sink struct {
	mu     sync.Mutex
	ups    []radio.Uplink
	acks   []radio.TxAck
	events []radio.GatewayEvent
}

func (s *sink) Uplink(up radio.Uplink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ups = append(s.ups, up)
}

func (s *sink) TxAck(a radio.TxAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, a)
}

func (s *sink) GatewayEvent(e radio.GatewayEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *sink) kinds() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "%v ", e.Kind)
	}
	return b.String()
}

func (s *sink) count() (ups, acks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ups), len(s.acks)
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

// bench is a running driver.
type bench struct {
	*testing.T
	d    *Driver
	sink *sink
	log  *lockedBuffer
	stop func()
}

func start(t *testing.T, o Options) *bench {
	t.Helper()
	begin := time.Now()
	b := &bench{T: t, sink: &sink{}, log: &lockedBuffer{}}
	o.Listen = "127.0.0.1:0"
	if o.Now == nil {
		o.Now = func() radio.HostTime { return radio.HostTime(time.Since(begin)) }
	}
	o.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	if o.Gateways == nil {
		o.Gateways = []radio.EUI64{euiA, euiB}
	}
	d, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	b.d = d
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, b.sink) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(3 * time.Second):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(b.stop)
	return b
}

// peer is a raw socket of a gateway.
type peer struct {
	*net.UDPConn
	b *bench
}

func (b *bench) peer(local string) *peer {
	b.Helper()
	var laddr *net.UDPAddr
	if local != "" {
		laddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(local), 0))
	}
	c, err := net.DialUDP("udp", laddr, net.UDPAddrFromAddrPort(b.d.Addr()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return &peer{c, b}
}

func (p *peer) send(pk gwmp.Packet) {
	p.b.Helper()
	if _, err := p.Write(pk.Append(nil)); err != nil {
		p.b.Fatal(err)
	}
}

// patience is how long a test waits for what has to come: the machine may be slow and loaded.
const patience = 30 * time.Second

// answer reads one datagram, or returns false after some time.
func (p *peer) answer(within time.Duration) (gwmp.Packet, bool) {
	buf := make([]byte, 65536)
	_ = p.SetReadDeadline(time.Now().Add(within))
	n, err := p.Read(buf)
	if err != nil {
		return gwmp.Packet{}, false
	}
	pk, err := gwmp.ParsePacket(buf[:n])
	if err != nil {
		p.b.Errorf("answer %x: %v", buf[:n], err)
	}
	return pk, true
}

// wants expects one answer of a type and token.
func (p *peer) wants(t gwmp.Type, token uint16) gwmp.Packet {
	p.b.Helper()
	pk, ok := p.answer(patience)
	if !ok || pk.Type != t || t != gwmp.PullResp && pk.Token != token {
		p.b.Fatalf("answer %+v, %v; want %v with token %d", pk, ok, t, token)
	}
	return pk
}

func (p *peer) silent(what string) {
	p.b.Helper()
	if pk, ok := p.answer(300 * time.Millisecond); ok {
		p.b.Errorf("%s is answered with %v", what, pk.Type)
	}
}

func (p *peer) pull(eui radio.EUI64, version uint8) bool {
	p.send(gwmp.Packet{Version: version, Token: 7, Type: gwmp.PullData, EUI: eui})
	_, ok := p.answer(time.Second) // that none comes is tested too
	return ok
}

func rxpk(counter uint32, payload string) radio.Uplink {
	return radio.Uplink{
		PHYPayload: []byte(payload), Frequency: 868_100_000, DataRate: radio.LoRaDataRate(7, 125_000),
		CodingRate: radio.CodingRate45,
		Time:       radio.ConcentratorTime(counter), Receptions: []radio.Reception{{RSSI: -6000, SNR: 850}},
	}
}

func (p *peer) push(eui radio.EUI64, token uint16, ups ...radio.Uplink) {
	p.send(gwmp.Packet{Version: 2, Token: token, Type: gwmp.PushData, EUI: eui, Body: gwmp.AppendPush(nil, ups, nil)})
}

func (b *bench) eventually(what string, f func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	b.Fatalf("never: %s\nlog:\n%s", what, b.log)
}

func (b *bench) ups(n int) []radio.Uplink {
	b.Helper()
	b.eventually(fmt.Sprintf("%d uplinks", n), func() bool { got, _ := b.sink.count(); return got >= n })
	b.sink.mu.Lock()
	defer b.sink.mu.Unlock()
	if len(b.sink.ups) != n {
		b.Fatalf("%d uplinks, want %d", len(b.sink.ups), n)
	}
	return b.sink.ups
}
