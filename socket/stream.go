package socket

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is a TCP connection. Its write deadline is set where a write has to wait.
type Stream struct {
	net.Conn
	tcp *net.TCPConn
	raw syscall.RawConn

	writing sync.Mutex // guards the three fields below
	left    []byte     // to be written
	errno   syscall.Errno
	attempt func(fd uintptr) // made once, as it escapes

	mu       sync.Mutex // guards the fields below
	deadline time.Time  // of writes
	waits    bool       // a write waits
}

// NewStream returns a Stream over a connection, which nobody else may use from now on.
func NewStream(tcp *net.TCPConn) *Stream {
	raw, _ := tcp.SyscallConn() // it fails without a connection only
	s := &Stream{Conn: tcp, tcp: tcp, raw: raw}
	s.attempt = func(fd uintptr) {
		var n int
		if n, s.errno = send(fd, s.left, nil); s.errno == 0 {
			s.left = s.left[n:]
		}
	}
	return s
}

// Write implements net.Conn. It gives the kernel what that takes at once, and leaves the rest to package net, as it
// does what is long.
func (s *Stream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if len(p) > long || s.isLate() {
		return s.wait(p)
	}
	release()
	s.left = p
	defer func() { s.left = nil }()
	if err := s.raw.Control(s.attempt); err != nil {
		return 0, s.failed(cause(err))
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
func (s *Stream) failed(err error) error {
	return &net.OpError{Op: "write", Net: "tcp", Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: err}
}

// wait writes up to the deadline.
func (s *Stream) wait(p []byte) (n int, err error) {
	if err := s.waiting(true); err != nil {
		return 0, err
	}
	defer func() { _ = s.waiting(false) }()
	return s.tcp.Write(p)
}

func (s *Stream) waiting(now bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = now
	if !now {
		return s.tcp.SetWriteDeadline(time.Time{})
	}
	return s.tcp.SetWriteDeadline(s.deadline)
}

// isLate reports whether the deadline of writes is over.
func (s *Stream) isLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// SetWriteDeadline implements net.Conn.
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	if s.waits {
		return s.tcp.SetWriteDeadline(t)
	}
	return nil
}

// SetDeadline implements net.Conn.
func (s *Stream) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}

// CloseWrite closes the half of the connection that sends.
func (s *Stream) CloseWrite() error { return s.tcp.CloseWrite() }
