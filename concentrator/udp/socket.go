package udp

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/concentrator/udp/nowait"
)

// Socket is where datagrams come from and go to. A UDP socket is one.
type Socket interface {
	// ReadFromUDPAddrPort returns a datagram and where it comes from: answers go there. At the
	// read deadline it returns os.ErrDeadlineExceeded.
	ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error)
	// WriteToUDPAddrPort returns an error for a datagram that is not sent. It does not wait for long.
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	SetReadDeadline(t time.Time) error
	LocalAddr() net.Addr
	Close() error
}

// open returns the socket, and the receive buffer that the kernel grants to one of UDP.
func (o *Options) open() (s Socket, granted int, err error) {
	if o.Socket != nil {
		return o.Socket, 0, nil
	}
	addr, err := net.ResolveUDPAddr("udp", o.Listen)
	if err != nil {
		return nil, 0, fmt.Errorf("udp: listen on %q: %w", o.Listen, err)
	}
	conn, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, 0, fmt.Errorf("udp: %w", err)
	}
	d, err := nowait.New(conn)
	if err != nil {
		_ = conn.Close()
		return nil, 0, fmt.Errorf("udp: %w", err)
	}
	return d, setReceiveBuffer(conn, receiveBuffer), nil
}

// tellListening logs where the driver listens, unless its Socket does that.
func (d *Driver) tellListening() {
	if d.opts.Socket != nil {
		return
	}
	got := d.Stats().ReceiveBuffer
	d.log.Info("listening for packet forwarders", "address", d.Addr().String(), "receive_buffer", got)
	if got < receiveBuffer {
		d.log.Info("the kernel grants a smaller receive buffer than wanted; net.core.rmem_max limits it", "wanted",
			receiveBuffer, "granted", got)
	}
}

// setReceiveBuffer asks for a receive buffer of size bytes and returns the size
// that was granted. Only a privileged process can exceed net.core.rmem_max.
func setReceiveBuffer(conn *net.UDPConn, size int) (granted int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
		// The kernel doubles the value to include its own book-keeping.
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF); err == nil {
			granted = n / 2
		}
	})
	return granted
}

// kernelDrops returns how many datagrams of a socket the kernel has dropped because
// they were not read in time.
func kernelDrops(conn *net.UDPConn) (uint64, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err := errors.Join(raw.Control(func(fd uintptr) { err = unix.Fstat(int(fd), &st) }), err); err != nil {
		return 0, err
	}
	inode := strconv.FormatUint(uint64(st.Ino), 10)
	for _, name := range []string{"/proc/self/net/udp", "/proc/self/net/udp6"} {
		n, found, err := dropsOf(name, inode)
		if err == nil && found {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no socket with inode %s in /proc/net/udp", inode)
}

// dropsOf finds the line of an inode. Source: Linux Documentation/networking/
// proc_net_tcp.rst; the inode is column 10 and the drops are the last one.
func dropsOf(name, inode string) (n uint64, found bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		if len(fields) < 13 || fields[9] != inode {
			continue
		}
		n, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
		return n, err == nil, err
	}
	return 0, false, nil
}
