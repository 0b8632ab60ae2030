package stream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// typeHandshake is the first byte that a client of TLS sends (RFC 8446, 5.1).
const typeHandshake = 0x16

// errTooMany is why a TLS handshake does not begin.
var errTooMany = errors.New("TLS handshake: too many others")

// login lets a gateway in, or tells it why not, within loginTimeout.
func (l *Listener) login(ctx context.Context, p *peer) error {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	until, _ := ctx.Deadline()
	if err := p.raw.SetDeadline(until); err != nil {
		return err
	}
	in := bufio.NewReaderSize(p.raw, 16)
	first, err := in.Peek(1)
	if err != nil {
		return err // somebody has only looked whether the port is open
	}
	p.conn = tls.Server(&begun{p.raw, in}, l.o.TLS)
	switch {
	case first[0] != typeHandshake:
		err = fmt.Errorf("%w: it does not begin a TLS handshake", ErrProtocol)
	case !l.o.Turn(p.from.Addr(), ctx.Done()):
		err = errTooMany
	default:
		if err = p.conn.(*tls.Conn).Handshake(); err == nil {
			return l.greet(ctx, p)
		}
		err = fmt.Errorf("TLS handshake: %w", err)
	}
	l.refuse(ctx, p, err)
	return err
}

// begun is a connection of which the first byte is in a buffer.
type begun struct {
	net.Conn
	in *bufio.Reader
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) { return b.in.Read(p) }

// greet reads the first line of the other end, and answers it.
func (l *Listener) greet(ctx context.Context, p *peer) error {
	p.in = bufio.NewReaderSize(p.conn, maxLine)
	line, err := readLine(p.in)
	if err == nil {
		err = l.admit(p, line)
	}
	if err == nil {
		return l.welcome(p)
	}
	if l.refuse(ctx, p, err) {
		_, _ = p.conn.Write([]byte(refusal + err.Error() + "\n"))
		_ = p.conn.Close()
	}
	return err
}

// welcome tells a gateway that it is in.
func (l *Listener) welcome(p *peer) error {
	_, err := p.conn.Write([]byte(welcome + "\n"))
	if err == nil {
		err = p.conn.SetDeadline(time.Time{})
	}
	if err != nil {
		l.mu.Lock()
		l.drop(p)
		l.mu.Unlock()
	}
	return err
}

// refuse tells of who does not come in, and waits as long as that one has to. It reports whether
// there is time left for an answer.
func (l *Listener) refuse(ctx context.Context, p *peer, why error) bool {
	if l.isClosed() {
		return false
	}
	wait := time.NewTimer(l.o.Refused(p.eui, p.from, why))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}
