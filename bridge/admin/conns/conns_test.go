package conns

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// accepting returns the address of a listener, and the connections that it accepts.
func accepting(t *testing.T, limit func(net.Listener) net.Listener) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan net.Conn, 10)
	limited := limit(l)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			out <- c
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String(), out
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func next(t *testing.T, accepted <-chan net.Conn) net.Conn {
	t.Helper()
	select {
	case c := <-accepted:
		return c
	case <-time.After(20 * time.Second):
		t.Fatal("no connection")
		return nil
	}
}

// A connection too many waits until another one ends, which frees its place once.
func TestWaiting(t *testing.T) {
	addr, accepted := accepting(t, func(l net.Listener) net.Listener { return Waiting(l, 1) })
	dial(t, addr)
	dial(t, addr)
	first := next(t, accepted)
	select {
	case <-accepted:
		t.Error("two connections")
	case <-time.After(50 * time.Millisecond):
	}
	_, _ = first.Close(), first.Close()
	_ = next(t, accepted).Close()
}

// A connection too many is closed at once.
func TestFew(t *testing.T) {
	for name, limits := range map[string][2]int{"in all": {1, 9}, "of an address": {9, 1}} {
		t.Run(name, func(t *testing.T) {
			addr, accepted := accepting(t, func(l net.Listener) net.Listener { return Few(l, limits[0], limits[1]) })
			dial(t, addr)
			first := next(t, accepted)
			second := dial(t, addr)
			_ = second.SetReadDeadline(time.Now().Add(20 * time.Second))
			if n, err := second.Read(make([]byte, 1)); n != 0 || err != io.EOF && !isReset(err) {
				t.Errorf("%d bytes, %v", n, err)
			}
			_, _ = first.Close(), first.Close()
			dial(t, addr)
			_ = next(t, accepted).Close()
		})
	}
}

// isReset reports whether the other side has ended a connection.
func isReset(err error) bool {
	e, ok := err.(net.Error)
	return ok && !e.Timeout()
}

func TestAddressOf(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[fe80::1%eth0]:80": "fe80::1", "x": "invalid IP",
	} {
		if got := AddressOf(text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestSourceOf(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.1:80": "10.0.0.1", "[::ffff:10.0.0.1]:80": "10.0.0.1", "[2001:db8::1:2]:80": "2001:db8::",
		"[2001:db8:0:1::2]:80": "2001:db8:0:1::", "x": "invalid IP",
	} {
		if got := SourceOf(text).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// visited is a listener to which one connection comes from each address.
type visited struct {
	net.Listener
	from []string
}

func (v *visited) Accept() (net.Conn, error) {
	if len(v.from) == 0 {
		return nil, net.ErrClosed
	}
	from := v.from[0]
	v.from = v.from[1:]
	near, far := net.Pipe()
	_ = far.Close()
	return visitor{near, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))}, nil
}

type visitor struct {
	net.Conn
	from net.Addr
}

func (v visitor) RemoteAddr() net.Addr { return v.from }

// The addresses of a /64 are those of one host, and share its places.
func TestFewOfIPv6(t *testing.T) {
	l := Few(&visited{from: []string{"[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8:0:1::1]:1"}}, 9, 1)
	for _, want := range []string{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1"} {
		if c, err := l.Accept(); err != nil || c.RemoteAddr().String() != want {
			t.Errorf("%v, %v, want %s", c, err, want)
		}
	}
}
