package nowait

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// listen returns a socket and the address of it that a peer on the host addresses.
func listen(t testing.TB, network, address, peers string) (*Socket, netip.AddrPort) {
	t.Helper()
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
	} else if strings.Contains(peers, ":") {
		t.Skip("this host has no IPv6")
	}
	a, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP(network, a)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d, netip.AddrPortFrom(netip.MustParseAddr(peers), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func TestSocket(t *testing.T) {
	for _, test := range []struct{ network, address, peers string }{
		{"udp", "127.0.0.1:0", "127.0.0.1"},
		{"udp4", "0.0.0.0:0", "127.0.0.1"},
		{"udp", ":0", "127.0.0.1"},
		{"udp", ":0", "::1"},
		{"udp", "[::1]:0", "::1"},
		{"udp6", "[::]:0", "::1"},
	} {
		t.Run(test.network+" "+test.address+" for "+test.peers, func(t *testing.T) {
			d, to := listen(t, test.network, test.address, test.peers)
			peer, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			for _, p := range [][]byte{[]byte("ping"), {}, bytes.Repeat([]byte{7}, 60_000)} {
				if _, err := peer.Write(p); err != nil {
					t.Fatal(err)
				}
				b := make([]byte, 65_507)
				n, from, err := d.ReadFromUDPAddrPort(b)
				if err != nil || !bytes.Equal(b[:n], p) {
					t.Fatalf("%d bytes arrive: %v", n, err)
				}
				mine := peer.LocalAddr().(*net.UDPAddr).AddrPort()
				if unmapped(from) != unmapped(mine) {
					t.Fatalf("from %v, but it is %v", from, mine)
				}
				for _, back := range []netip.AddrPort{from, unmapped(from)} {
					if n, err := d.WriteToUDPAddrPort(p, back); n != len(p) || err != nil {
						t.Fatalf("%d bytes go to %v: %v", n, back, err)
					}
					_ = peer.SetReadDeadline(time.Now().Add(10 * time.Second))
					if n, err := peer.Read(b); err != nil || !bytes.Equal(b[:n], p) {
						t.Fatalf("%d bytes come back: %v", n, err)
					}
				}
			}
		})
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

func TestSocketCut(t *testing.T) {
	d, to := listen(t, "udp", "127.0.0.1:0", "127.0.0.1")
	if _, err := d.WriteToUDPAddrPort([]byte("12345"), to); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if n, _, err := d.ReadFromUDPAddrPort(b); n != 3 || err != nil || string(b) != "123" {
		t.Errorf("%d bytes, %q: %v", n, b, err)
	}
}

func TestSocketErrors(t *testing.T) {
	d, to := listen(t, "udp", "127.0.0.1:0", "127.0.0.1")
	write := func(b []byte, to string) error {
		_, err := d.WriteToUDPAddrPort(b, netip.MustParseAddrPort(to))
		return err
	}
	var op *net.OpError
	err := write(make([]byte, 70_000), to.String())
	if !errors.Is(err, unix.EMSGSIZE) || !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("too long: %v", err)
	}
	for _, a := range []string{"[::1]:5", "[fe80::1%1]:5", "127.0.0.1:0", "203.0.113.9:5"} {
		if err := write([]byte{1}, a); err == nil {
			t.Errorf("a datagram from the loopback goes to %s", a)
		}
	}
	if _, err := d.WriteToUDPAddrPort([]byte{1}, netip.AddrPort{}); err == nil {
		t.Error("a datagram goes nowhere")
	}
	if err := write([]byte{1}, to.String()); err != nil {
		t.Errorf("after these: %v", err)
	}
	b := make([]byte, 8)
	if n, _, err := d.ReadFromUDPAddrPort(b); n != 1 || err != nil {
		t.Errorf("after these %d bytes arrive: %v", n, err)
	}
	_ = d.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, _, err := d.ReadFromUDPAddrPort(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	_ = d.SetReadDeadline(time.Time{})
	time.AfterFunc(50*time.Millisecond, func() { _ = d.Close() })
	if _, _, err := d.ReadFromUDPAddrPort(b); !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) || op.Op != "read" {
		t.Error(err)
	}
	if err := write([]byte{1}, to.String()); !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) || op.Op != "write" {
		t.Error(err)
	}
	if _, err := New(d.UDPConn); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// A zone is the number of an interface; names are left to package net.
func TestZones(t *testing.T) {
	a := address{RawSockaddrInet6: unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Addr: [16]byte{0xfe, 0x80, 15: 1}, Scope_id: 3,
	}}
	setPort(&a.Port, 0x1234)
	got := a.addrPort()
	if got.String() != "[fe80::1%3]:4660" {
		t.Error(got)
	}
	var b address
	if !b.set(got, true) || b.RawSockaddrInet6 != a.RawSockaddrInet6 {
		t.Errorf("%v becomes %+v", got, b)
	}
	if b.set(netip.MustParseAddrPort("[fe80::1%eth0]:5"), true) {
		t.Error("the name of a zone is dropped")
	}
}

// Several may send while one reads.
func TestSocketTogether(t *testing.T) {
	d, to := listen(t, "udp", "127.0.0.1:0", "127.0.0.1")
	const writers, each = 4, 50
	var wg sync.WaitGroup
	seen := map[byte]int{}
	wg.Go(func() {
		b := make([]byte, 600)
		for range writers * each {
			_ = d.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, from, err := d.ReadFromUDPAddrPort(b)
			if err != nil || from != to || n != 500 || !bytes.Equal(b[:n], bytes.Repeat(b[:1], n)) {
				t.Errorf("%d bytes from %v: %v", n, from, err)
				return
			}
			seen[b[0]]++
		}
	})
	for i := range writers {
		wg.Go(func() {
			for range each {
				if _, err := d.WriteToUDPAddrPort(bytes.Repeat([]byte{byte(i)}, 500), to); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Wait()
	for i := range writers {
		if seen[byte(i)] != each {
			t.Errorf("of %d, %d arrive", each, seen[byte(i)])
		}
	}
}

func TestSocketAllocateNothing(t *testing.T) {
	for address, peers := range map[string]string{"127.0.0.1:0": "127.0.0.1", ":0": "::1"} {
		t.Run(address, func(t *testing.T) {
			d, to := listen(t, "udp", address, peers)
			b := make([]byte, 1000)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := d.WriteToUDPAddrPort(b, to); err != nil {
					t.Fatal(err)
				}
				if _, _, err := d.ReadFromUDPAddrPort(b); err != nil {
					t.Fatal(err)
				}
			}); n > 0 {
				t.Errorf("%v allocations for a datagram each way", n)
			}
		})
	}
}
