// Package conns limits how many connections a listener has open.
package conns

import (
	"net"
	"net/netip"
	"sync"

	"lorawand/bridge/broker/pace"
)

// Waiting returns a listener with at most n connections open. More wait in the kernel.
func Waiting(l net.Listener, n int) net.Listener {
	return &waiting{l, make(chan struct{}, n)}
}

type waiting struct {
	net.Listener
	slots chan struct{}
}

// Accept implements net.Listener.
func (l *waiting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.slots <- struct{}{}
	return &counted{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Few returns a listener with at most all connections open, perAddress of each address, and of a /64
// of IPv6 three quarters: that is one host with as many addresses as it likes, or a network of hosts
// that do not know of each other. It closes more at once.
func Few(l net.Listener, all, perAddress int) net.Listener {
	return &few{
		Listener: l, max: all, perAddress: perAddress, perNetwork: all - all/4,
		open: map[netip.Addr]int{}, networks: map[netip.Addr]int{},
	}
}

type few struct {
	net.Listener
	max, perAddress, perNetwork int

	mu       sync.Mutex
	open     map[netip.Addr]int // by address
	networks map[netip.Addr]int // by /64, of IPv6 alone
	all      int
}

// Accept implements net.Listener.
func (l *few) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := AddressOf(c.RemoteAddr().String())
		if l.take(addr) {
			return &counted{Conn: c, free: sync.OnceFunc(func() { l.give(addr) })}, nil
		}
		_ = c.Close()
	}
}

func (l *few) take(addr netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	network := pace.SourceOf(addr)
	if l.all >= l.max || l.open[addr] >= l.perAddress || l.networks[network] >= l.perNetwork {
		return false
	}
	l.all++
	l.open[addr]++
	if addr.Is6() {
		l.networks[network]++
	}
	return true
}

func (l *few) give(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	less(l.open, addr)
	if addr.Is6() {
		less(l.networks, pace.SourceOf(addr))
	}
}

// less counts one less of an address.
func less(counts map[netip.Addr]int, addr netip.Addr) {
	if counts[addr]--; counts[addr] == 0 {
		delete(counts, addr)
	}
}

// counted is a connection that frees its place once.
type counted struct {
	net.Conn
	free func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.free()
	return c.Conn.Close()
}

// AddressOf returns the IP address of "address:port"; the zero Addr if there is none.
func AddressOf(text string) netip.Addr {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// SourceOf returns what the back-off of an address goes by: that of "address:port", or of IPv6 its /64,
// of which each host has as many addresses as it likes.
func SourceOf(text string) netip.Addr { return pace.SourceOf(AddressOf(text)) }
