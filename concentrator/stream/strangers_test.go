package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// tcp connects from an address of this host.
func (b *bench) tcp(from string) net.Conn {
	b.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", b.LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// A handshake waits for its turn once it has begun: who is silent, or does not speak TLS, takes none.
// Without a turn there is no handshake.
func TestTurn(t *testing.T) {
	var asked, refuse atomic.Int32
	b := newBench(t, func(o *Options) {
		o.Turn = func(from netip.Addr, over <-chan struct{}) bool {
			asked.Add(1)
			if refuse.Load() == 0 {
				return from.String() == "127.0.0.3"
			}
			<-over
			return false
		}
	})
	silent, garbage := b.tcp("127.0.0.2"), b.tcp("127.0.0.2")
	_, _ = io.WriteString(garbage, "GET / HTTP/1.1\r\n\r\n")
	_, _ = io.ReadAll(garbage)
	_ = silent.Close()
	b.must("127.0.0.3", euiA)
	if n := asked.Load(); n != 1 {
		t.Errorf("%d turns, want one", n)
	}
	c := tls.Client(b.tcp("127.0.0.2"), &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err == nil {
		t.Error("a handshake without a turn")
	}
	b.eventually("both are told of", func() bool { return strings.Count(b.told(), "\n") == 1 })
	if !strings.Contains(b.told(), "too many others") || !strings.Contains(b.told(), "does not begin a TLS") {
		t.Errorf("told:\n%s", b.told())
	}
	refuse.Store(1)
	last := b.tcp("127.0.0.2")
	_, _ = last.Write([]byte{typeHandshake})
	b.eventually("it waits", func() bool { return asked.Load() == 3 })
	// The end of the bench waits for Run, which ends though that one waits.
}

// Who is refused waits, whatever it has sent.
func TestRefusedWaits(t *testing.T) {
	for name, send := range map[string]string{
		"no TLS": "GET / HTTP/1.1\r\n", "a bad record": "\x16\x03\x01\x00\x05hello",
		"a wrong key": "TLS lorawand-gateway 1 " + euiA.String() + " bad\n",
		"a long line": "TLS " + strings.Repeat("x", 2*maxLine),
	} {
		b := newBench(t, nil)
		b.wait = 300 * time.Millisecond
		begin := time.Now()
		c := b.tcp("127.0.0.1")
		if line, ok := strings.CutPrefix(send, "TLS "); ok {
			c, send = b.dial("127.0.0.1"), line
		}
		_, _ = io.WriteString(c, send)
		_, _ = io.ReadAll(c)
		if took := time.Since(begin); took < b.wait || took > 5*time.Second {
			t.Errorf("%s: over after %v, want %v", name, took, b.wait)
		}
	}
}

// No wait is longer than the time for the login.
func TestRefusedInTime(t *testing.T) {
	b := newBench(t, nil)
	b.wait = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	near, far := net.Pipe()
	defer near.Close()
	over := make(chan error)
	go func() { over <- b.greet(ctx, &peer{raw: far, conn: far}) }()
	_, _ = io.WriteString(near, "hello\n")
	select {
	case err := <-over:
		if !errors.Is(err, ErrProtocol) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for longer")
	}
}

// Addresses of one source, such as a /64 of IPv6, share the room of one.
func TestStrangersOfOneSource(t *testing.T) {
	source := netip.MustParseAddr("127.0.0.0")
	b := newBench(t, func(o *Options) { o.Source = func(netip.Addr) netip.Addr { return source } })
	for i := range maxStrangersOfOne {
		b.tcp("127.0.0." + string(rune('1'+i)))
	}
	b.eventually("the room is full", func() bool {
		b.Listener.mu.Lock()
		defer b.Listener.mu.Unlock()
		return b.strangers[source] == maxStrangersOfOne
	})
	c := b.tcp("127.0.0.9")
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("one too many: %v", err)
	}
}
