package stream

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// ReadFromUDPAddrPort returns the next datagram of a gateway, and the address of its connection. It
// returns os.ErrDeadlineExceeded at the read deadline.
func (l *Listener) ReadFromUDPAddrPort(b []byte) (n int, from netip.AddrPort, err error) {
	for {
		l.mu.Lock()
		deadline, moved := l.deadline, l.moved
		l.mu.Unlock()
		var due <-chan time.Time
		var timer *time.Timer
		if !deadline.IsZero() {
			timer = time.NewTimer(time.Until(deadline))
			due = timer.C
		}
		select {
		case d := <-l.inbox:
			if l.isCurrent(d.from) {
				n, from = copy(b, d.bytes), d.from.from
			}
		case <-moved:
		case <-due:
			err = os.ErrDeadlineExceeded
		case <-l.closed:
			err = net.ErrClosed
		}
		if timer != nil {
			timer.Stop()
		}
		if n > 0 || err != nil {
			return n, from, err
		}
	}
}

// isCurrent reports whether a gateway's connection is the one that it has now.
func (l *Listener) isCurrent(p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byAddress[p.from] == p
}

// Why a datagram is not sent.
var (
	errGone = errors.New("its connection has ended")
	errBusy = errors.New("its connection does not take more")
)

// WriteToUDPAddrPort sends a datagram to the gateway whose connection has an address. It does not
// wait.
func (l *Listener) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	l.mu.Lock()
	p := l.byAddress[to]
	l.mu.Unlock()
	switch {
	case p == nil:
		return 0, errGone
	case len(b) > MaxSize:
		return 0, fmt.Errorf("stream: a datagram of %d bytes, at most %d", len(b), MaxSize)
	}
	select {
	case p.out <- slices.Clone(b):
		return len(b), nil
	default:
		return 0, errBusy
	}
}

// SetReadDeadline sets when ReadFromUDPAddrPort is to return; the zero time: not before there is a
// datagram.
func (l *Listener) SetReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	close(l.moved)
	l.moved = make(chan struct{})
	return nil
}

// LocalAddr returns the address that the Listener listens on.
func (l *Listener) LocalAddr() net.Addr { return l.o.Listener.Addr() }

// Close ends all connections, and the listener.
func (l *Listener) Close() error {
	var err error
	l.close.Do(func() {
		close(l.closed)
		err = l.o.Listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			_ = c.Close()
		}
	})
	return err
}
