package conns

import (
	"fmt"
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

// Each address has its places; of a /64, which a single host can have, some are left for others. A
// place that is given back can be had again.
func TestFewOfIPv6(t *testing.T) {
	for _, tt := range []struct {
		name string
		come string // each a letter: see visited.come
		in   string
	}{
		{"an address has two", "aaa", "aa"},
		{"its neighbour has two too", "aaabbb", "aabb"},
		{"a /64 has six of eight", "aabbccddA", "aabbccA"},
		{"the others have the rest", "aabbccddABC", "aabbccAB"},
		{"IPv4 has no /64", "112233445", "11223344"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := &visited{}
			l := Few(v, 8, 2).(*few)
			for range 2 {
				v.come(tt.come)
				in := ""
				var open []net.Conn
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					open = append(open, c)
					in += letter(c.RemoteAddr())
				}
				if in != tt.in {
					t.Errorf("%s come, %s are in, want %s", tt.come, in, tt.in)
				}
				for _, c := range open {
					_, _ = c.Close(), c.Close()
				}
			}
			if len(l.open) != 0 || len(l.networks) != 0 || l.all != 0 {
				t.Errorf("%v, %v, %d are still counted", l.open, l.networks, l.all)
			}
		})
	}
}

// come has a connection come for each letter: small ones are addresses of one /64, capitals of others, digits IPv4.
func (v *visited) come(letters string) {
	for _, r := range letters {
		switch {
		case r >= 'a':
			v.from = append(v.from, fmt.Sprintf("[2001:db8::%x]:1", r))
		case r >= 'A':
			v.from = append(v.from, fmt.Sprintf("[2001:db8:%x::%x]:1", r, r))
		default:
			v.from = append(v.from, fmt.Sprintf("192.0.2.%d:1", r))
		}
	}
}

// letter is that of an address.
func letter(a net.Addr) string {
	b := AddressOf(a.String()).AsSlice()
	return string(rune(b[len(b)-1]))
}
