// Package stream carries the datagrams of packet forwarders (radio/gwmp) over TLS, so that a
// gateway proves by a key which one it is, and nobody on the way can read or change them.
//
// The gateway connects, looks at the server's certificate, and sends one line:
//
//	lorawand-gateway 1 0242020000247804 NNSXS.…
//
// The server answers "welcome", or "refused: " with the reason and the end of the connection.
// Behind that line each side sends datagrams, each behind its length, two bytes, big-endian.
//
// What was written to a connection that ends comes nowhere: nothing is sent again over the next
// one. So a downlink reaches the gateway once at most. What TCP would deliver late it drops
// with the connection: see stale.
//
// Listener is the server's end, a udp.Socket. Login is the gateway's.
package stream

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	greeting = "lorawand-gateway 1"
	welcome  = "welcome"
	refusal  = "refused: "

	// maxLine bounds the first line of either side, in bytes.
	maxLine = 256
	// MaxSize bounds a datagram, in bytes: that of a frame heard by eight antennas has less.
	MaxSize  = 4096
	headSize = 2

	// loginTimeout bounds the time from the connection to the answer.
	loginTimeout = 10 * time.Second
	// silence ends a connection on which nothing comes: a gateway sends a PULL_DATA each
	// KeepAlive, and gets an answer.
	silence = 4 * KeepAlive
	// stale is how long the kernel tries to deliver bytes before it gives the connection up. A
	// frame that is older is answered too late, and would mislead the estimate of the gateway's
	// clock (radio.Clock allows 5 s).
	stale = 5 * time.Second
	// writeTimeout bounds how long one datagram may take into the kernel's buffer.
	writeTimeout = stale
)

// KeepAlive is the time between two PULL_DATA of a gateway.
const KeepAlive = 5 * time.Second

// ErrProtocol is the reason for ending a connection whose other end breaks the rules.
var ErrProtocol = errors.New("not the protocol of an extender")

// readLine reads the first line of the other end, without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d bytes", ErrProtocol, maxLine)
	}
	if err != nil {
		return "", err
	}
	return string(line[:len(line)-1]), nil
}

// read reads a datagram into b.
func read(r *bufio.Reader, b []byte) (int, error) {
	head, err := r.Peek(headSize)
	if err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(head))
	if n == 0 || n > min(MaxSize, len(b)) {
		return 0, fmt.Errorf("%w: a datagram of %d bytes, want 1 to %d", ErrProtocol, n, min(MaxSize, len(b)))
	}
	if _, err := r.Discard(headSize); err != nil {
		return 0, err
	}
	return io.ReadFull(r, b[:n])
}

// appendDatagram appends a datagram behind its length. It must not be longer than MaxSize.
func appendDatagram(dst, datagram []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(datagram))), datagram...)
}

// hasten has the kernel end a connection whose other end does not take bytes for stale. On a
// connection that is not TCP it does nothing.
func hasten(c net.Conn) {
	if over, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = over.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	// Where the kernel refuses it, silence ends the connection later.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stale/time.Millisecond))
	})
}
