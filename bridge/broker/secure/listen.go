//go:build !small

package secure

import (
	"context"
	"crypto/tls"
	"net"

	"lorawand/bridge/broker/pace"
)

// Listen returns a listener of *tls.Conn, for servers that do the handshake of a connection themselves.
// Once the client begins it, turn waits for the client's turn, as with Accept. over is closed when it is
// too late: pace.HandshakeTime after the client has connected, when ctx ends, or the connection is closed.
func Listen(
	ctx context.Context, l net.Listener, config *tls.Config, turn func(from net.Addr, over <-chan struct{}) bool,
) net.Listener {
	return tls.NewListener(&inTurn{l, ctx, turn}, config)
}

type inTurn struct {
	net.Listener
	ctx  context.Context
	turn func(net.Addr, <-chan struct{}) bool
}

// Accept implements net.Listener.
func (l *inTurn) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &turnConn{Conn: nc, turn: l.turn}
	c.ctx, c.end = context.WithTimeout(l.ctx, pace.HandshakeTime)
	return c, nil
}

// turnConn is a connection from which nothing is read before it has had its turn: what a handshake
// costs begins with the first bytes of its client.
type turnConn struct {
	net.Conn
	ctx  context.Context // ends when it is too late for a handshake, or the connection closes
	end  context.CancelFunc
	turn func(net.Addr, <-chan struct{}) bool
	had  bool // belongs to who reads
}

// Read implements net.Conn.
func (c *turnConn) Read(p []byte) (int, error) {
	if c.had {
		return c.Conn.Read(p)
	}
	until, _ := c.ctx.Deadline()
	if err := c.SetDeadline(until); err != nil { // the server's own deadline begins anew after the handshake
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return 0, err
	}
	// A handshake may begin behind an alert (RFC 8446, 5.1); text does with neither.
	if p[0] < ' ' && !c.turn(c.RemoteAddr(), c.ctx.Done()) {
		return 0, ErrTooMany
	}
	c.had = true
	c.end()
	return n, err
}

// Close implements net.Conn.
func (c *turnConn) Close() error {
	c.end()
	return c.Conn.Close()
}
