// Package nowait has a TCP connection whose writes seldom wait, for messages that go out one by one after a rest.
//
// A write that cannot block needs neither the Go runtime's monitor nor a deadline: see concentrator/udp/nowait, which
// is the same for what comes in. While the monitor sleeps nothing interrupts a goroutine that goes on and on, so the
// runtime is told of long writes: more is to be sent than for one uplink.
package nowait

import (
	"cmp"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection. Its write deadline is set where a write has to wait.
type Conn struct {
	net.Conn // tcp without its ReadFrom, which would pass Write by
	tcp      *net.TCPConn
	raw      syscall.RawConn

	writing sync.Mutex // guards the three fields below
	left    []byte     // to be written
	errno   syscall.Errno
	attempt func(fd uintptr) // made once, as it escapes

	mu       sync.Mutex // guards the fields below
	deadline time.Time  // of writes
	waits    bool       // a write waits
}

// New returns a Conn over a connection, which nobody else may use from now on.
func New(tcp *net.TCPConn) *Conn {
	raw, _ := tcp.SyscallConn() // it fails without a connection only
	s := &Conn{Conn: tcp, tcp: tcp, raw: raw}
	s.attempt = func(fd uintptr) {
		var n int
		if n, s.errno = send(fd, s.left); s.errno == 0 {
			s.left = s.left[n:]
		}
	}
	return s
}

// Write implements net.Conn. It gives the kernel what that takes at once, and leaves the rest to package net, as it
// does what is long.
func (s *Conn) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(p) > long || s.isLate() {
		return s.wait(p)
	}
	release()
	s.left = p
	defer func() { s.left = nil }()
	if err := s.raw.Control(s.attempt); err != nil {
		return 0, s.failed(cmp.Or(errors.Unwrap(err), err))
	}
	n = len(p) - len(s.left)
	switch {
	case s.errno != 0 && s.errno != unix.EAGAIN:
		return n, s.failed(os.NewSyscallError("sendto", s.errno))
	case n == len(p):
		return n, nil
	}
	more, err := s.wait(s.left)
	return n + more, err
}

// failed returns the error of a write as package net does.
func (s *Conn) failed(err error) error {
	return &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// wait writes up to the deadline.
func (s *Conn) wait(p []byte) (n int, err error) {
	if err := s.waiting(true); err != nil {
		return 0, err
	}
	defer func() { _ = s.waiting(false) }()
	return s.tcp.Write(p)
}

func (s *Conn) waiting(now bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = now
	if !now {
		return s.tcp.SetWriteDeadline(time.Time{})
	}
	return s.tcp.SetWriteDeadline(s.deadline)
}

// isLate reports whether the deadline of writes is over.
func (s *Conn) isLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// SetWriteDeadline implements net.Conn.
func (s *Conn) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.waits {
		return s.tcp.SetWriteDeadline(t)
	}
	return nil
}

// SetDeadline implements net.Conn.
func (s *Conn) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// CloseWrite closes the half of the connection that sends.
func (s *Conn) CloseWrite() error { return s.tcp.CloseWrite() }

// long is how many bytes are more than is sent of one uplink.
const long = 2 << 10

// send gives the kernel what that takes of p. It returns EAGAIN where it would wait, and raises no signal where the
// peer is gone.
func send(fd uintptr, p []byte) (n int, errno syscall.Errno) {
	for {
		r, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return int(r), errno
		}
	}
}
