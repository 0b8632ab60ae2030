// Package overhead counts what a connection brings beside the bytes that it carries.
package overhead

import "net"

// Conn is a connection below a layer that divides what it carries: WebSocket into frames, TLS into
// records. Any number of these may come without a byte that is carried, such as PING and PONG.
// It belongs to the goroutine that reads.
type Conn struct {
	net.Conn
	each, ahead int
	told        func(times int) error
	bytes       int // that have come, less those that were given out or told of
}

// New returns a Conn. Before it reads, it tells how many times each bytes have come that the layer has not
// given out; what told returns is the error of that Read. The layer may have ahead bytes in its hands.
func New(nc net.Conn, each, ahead int, told func(times int) error) *Conn {
	return &Conn{Conn: nc, each: each, ahead: ahead, told: told}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if times := (c.bytes - c.ahead) / c.each; times > 0 {
		c.bytes -= times * c.each
		if err := c.told(times); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	c.bytes += n
	return n, err
}

// GaveOut says that the layer has given out so many bytes.
func (c *Conn) GaveOut(n int) { c.bytes -= n }

// Begin forgets what has come so far, such as a handshake.
func (c *Conn) Begin() { c.bytes = 0 }
