//go:build !small

package broker

import (
	"crypto/tls"
	"net"

	"lorawand/bridge/broker/secure"
	"lorawand/bridge/broker/ws"
)

// TLSConfig says how connections are encrypted.
type TLSConfig = tls.Config

// hasTLS says that this build can encrypt, and speaks WebSocket.
const hasTLS = true

// encrypt does the TLS handshake of a connection. plain says that one which does not begin it stays as it is.
func (l *listener) encrypt(c *conn, plain bool) (net.Conn, error) {
	return secure.Accept(c.Conn, l.b.opts.TLSConfig, plain, func() bool {
		return l.b.handshakes.Wait(c.source, c.addr.IsLoopback(), c.done, l.b.stopping.Done())
	}, c.divided)
}

// upgrade does the WebSocket handshake of a connection.
func (l *listener) upgrade(c *conn, nc net.Conn) (net.Conn, error) {
	return ws.Accept(nc, l.b.opts.Origins, l.b.limits.PacketSize, c.divided)
}

// divided takes notice of what divides packets: it counts as so many.
func (c *conn) divided(packets int) error {
	if c.b.hurry.Divided(c.login.Application, packets, &c.row, c.done) {
		return nil
	}
	c.room.Leave()
	return c.b.endFlood(c, PacketRefused, tooFast)
}
