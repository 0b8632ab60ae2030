//go:build !small

package broker

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/ws"
)

// TLSConfig says how connections are encrypted.
type TLSConfig = tls.Config

// hasTLS says that this build can encrypt, and speaks WebSocket.
const hasTLS = true

// encrypt does the TLS handshake of a connection.
func (l *listener) encrypt(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	wait, ok := l.b.handshakes.Reserve(time.Now())
	if !ok {
		return nil, errHandshakes
	}
	select {
	case <-time.After(wait):
	case <-l.b.stop:
		return nil, net.ErrClosed
	}
	secure := tls.Server(nc, l.b.opts.TLSConfig)
	if err := secure.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nc.SetDeadline(time.Time{})
}

var errHandshakes = errors.New("TLS handshake: too many others")

// typeHandshake is the first byte that a client of TLS sends (RFC 8446, 5.1); no
// HTTP request begins with it.
const typeHandshake = 0x16

// encryptIfAsked does the TLS handshake if the client begins one.
func (l *listener) encryptIfAsked(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	peeked := &peekedConn{Conn: nc, r: bufio.NewReaderSize(nc, readAhead)}
	first, err := peeked.r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != typeHandshake {
		return peeked, nil
	}
	return l.encrypt(peeked)
}

// peekedConn is a connection of which something was read already.
type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (p *peekedConn) Read(b []byte) (int, error) { return p.r.Read(b) }

// upgrade does the WebSocket handshake of a connection.
func (l *listener) upgrade(nc net.Conn) (net.Conn, error) {
	return ws.Accept(nc, l.b.opts.Origins, l.b.limits.PacketSize)
}
