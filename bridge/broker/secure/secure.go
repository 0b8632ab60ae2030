//go:build !small

package secure

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"lorawand/bridge/broker/overhead"
	"lorawand/bridge/broker/pace"
)

// Reasons for which there is no handshake.
var (
	ErrTooMany = errors.New("TLS handshake: too many others")
	ErrNoTLS   = errors.New("TLS handshake: the client does not speak TLS")
)

// typeHandshake is the first byte that a client of TLS sends (RFC 8446, 5.1); no
// HTTP request begins with it.
const typeHandshake = 0x16

// Accept does the TLS handshake of a connection once its client begins one. turn waits for
// the client's turn among others, and reports whether it has come: a client that says nothing
// takes none. If plain is true, one that does not speak TLS is let in as it is. All has to
// happen within pace.HandshakeTime. Then recorded is told before each read as how many packets the
// bytes so far count that carry nothing; an error that it returns ends the connection.
func Accept(
	nc net.Conn, config *tls.Config, plain bool, turn func() bool, recorded func(packets int) error,
) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	begun := &begunConn{Conn: nc, first: make([]byte, 1)}
	if _, err := io.ReadFull(nc, begun.first); err != nil {
		return nil, err
	}
	switch {
	case begun.first[0] == typeHandshake:
	case plain:
		return begun, nil
	default:
		return nil, ErrNoTLS
	}
	if !turn() {
		return nil, ErrTooMany
	}
	in := overhead.New(begun, recordBytes, readAhead, recorded)
	secure := tls.Server(in, config)
	if err := secure.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	in.Begin()
	return &conn{secure, in}, nc.SetDeadline(time.Time{})
}

// What records take beside what they carry, in bytes.
const (
	recordBytes = 64       // of three records (RFC 8446, 5.2), which cost what a packet does
	readAhead   = 20 << 10 // the longest record (RFC 5246, 6.2.3), and what package tls reads of the next
)

// conn is a connection over TLS.
type conn struct {
	*tls.Conn
	in *overhead.Conn
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.GaveOut(n)
	return n, err
}

// begunConn is a connection of which the first byte was read already.
type begunConn struct {
	net.Conn
	first []byte // until it was read once more
}

// Read implements net.Conn.
func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
