package nowait

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeTimeout is how long a datagram waits for room in the kernel.
const writeTimeout = 100 * time.Millisecond

// Socket is a UDP socket that is not connected.
type Socket struct {
	*net.UDPConn
	raw syscall.RawConn
	v6  bool // its addresses are those of AF_INET6, also where it serves IPv4

	reading sync.Mutex // guards in and row
	in      datagram
	row     int                          // bytes received without a wait; a datagram counts as half of long at least
	receive func(fd uintptr) (done bool) // made once, as it escapes; so is send

	writing sync.Mutex // guards out
	out     datagram
	send    func(fd uintptr)
}

// datagram is what a system call takes and returns.
type datagram struct {
	p     []byte
	peer  address
	n     int
	errno syscall.Errno
}

// New returns a socket over conn, which nobody else may read or write from now on.
func New(conn *net.UDPConn) (*Socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &Socket{UDPConn: conn, raw: raw}
	d.receive = d.tryReceive
	d.send = func(fd uintptr) { d.out.n, d.out.errno = send(fd, d.out.p, &d.out.peer) }
	var domain int
	var refused error
	err = raw.Control(func(fd uintptr) {
		domain, refused = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	})
	d.v6 = domain == unix.AF_INET6
	return d, cmp.Or(err, refused)
}

// tryReceive takes a datagram, if there is one.
func (d *Socket) tryReceive(fd uintptr) (done bool) {
	if d.row >= long {
		tell()
	}
	d.in.n, d.in.errno = receive(fd, d.in.p, &d.in.peer)
	switch d.in.errno {
	case 0:
		d.row = min(d.row+max(d.in.n, long/2), long)
	case unix.EAGAIN:
		d.row = 0
		return false
	}
	return true
}

// ReadFromUDPAddrPort returns a datagram, of which it drops what b has no room for, and its sender. The zone of an
// address is the number of its interface.
func (d *Socket) ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	d.in.p = b
	err = d.raw.Read(d.receive)
	d.in.p = nil
	switch {
	case err != nil:
		return 0, from, d.failed("read", from, cause(err))
	case d.in.errno != 0:
		return 0, from, d.failed("read", from, os.NewSyscallError("recvfrom", d.in.errno))
	}
	return d.in.n, d.in.peer.addrPort(), nil
}

// WriteToUDPAddrPort sends a datagram. It waits for 100 ms at most.
func (d *Socket) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	d.writing.Lock()
	defer d.writing.Unlock()
	if !d.out.peer.set(to, d.v6) {
		return d.wait(b, to)
	}
	d.out.p = b
	err := d.raw.Control(d.send)
	d.out.p = nil
	switch {
	case err != nil:
		return 0, d.failed("write", to, cause(err))
	case d.out.errno == unix.EAGAIN:
		return d.wait(b, to)
	case d.out.errno != 0:
		return 0, d.failed("write", to, os.NewSyscallError("sendto", d.out.errno))
	}
	return d.out.n, nil
}

// wait sends by package net.
func (d *Socket) wait(b []byte, to netip.AddrPort) (int, error) {
	if err := d.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return d.UDPConn.WriteToUDPAddrPort(b, to)
}

// failed returns an error as package net does.
func (d *Socket) failed(op string, peer netip.AddrPort, err error) error {
	failed := &net.OpError{Op: op, Net: "udp", Source: d.LocalAddr(), Err: err}
	if peer.IsValid() {
		failed.Addr = net.UDPAddrFromAddrPort(peer)
	}
	return failed
}

// address is a struct sockaddr_in6, or a struct sockaddr_in at its begin.
type address struct {
	unix.RawSockaddrInet6
	size uint32 // of the structure, in bytes
}

func (a *address) v4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.RawSockaddrInet6))
}

// set makes it the address of a socket. It reports false for one with the name of a zone, or that the socket has no
// form for.
func (a *address) set(to netip.AddrPort, v6 bool) bool {
	ip := to.Addr()
	zone, err := strconv.ParseUint(cmp.Or(ip.Zone(), "0"), 10, 32)
	*a = address{}
	switch {
	case !ip.IsValid() || err != nil:
		return false
	case v6:
		a.Family, a.size = unix.AF_INET6, unix.SizeofSockaddrInet6
		a.Addr, a.Scope_id = ip.As16(), uint32(zone)
		setPort(&a.Port, to.Port())
	case ip.Unmap().Is4():
		v4 := a.v4()
		v4.Family, a.size = unix.AF_INET, unix.SizeofSockaddrInet4
		v4.Addr = ip.As4()
		setPort(&v4.Port, to.Port())
	default:
		return false
	}
	return true
}

// addrPort returns the address.
func (a *address) addrPort() netip.AddrPort {
	if a.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4(a.v4().Addr), port(&a.v4().Port))
	}
	ip := netip.AddrFrom16(a.Addr)
	if a.Scope_id != 0 {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.Scope_id), 10))
	}
	return netip.AddrPortFrom(ip, port(&a.Port))
}

// The port of an address is big-endian on each machine.

func port(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }

func setPort(p *uint16, n uint16) { binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], n) }
