// Package linger ends connections whose peers have just been told why.
//
// TCP resets a connection that is closed while bytes of its peer are unread or
// on their way. A peer that still writes then fails before it has read what was
// written last, and some systems throw that away. So only the half that sends is
// closed at first, and what still comes is read and dropped for a while.
package linger

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// How long a peer may go on writing, and how many bytes of that are read.
const (
	Time  = 500 * time.Millisecond
	Bytes = 64 << 10
)

// Conn is a connection that may end with a last word.
type Conn struct {
	net.Conn
	told, closed atomic.Bool
}

// again is how long a write that is over its deadline tries once more.
const again = 50 * time.Millisecond

// Write implements net.Conn. A write that is over its deadline tries once more: it may be this machine that had no time
// since the deadline was set, and then the peer takes at once what it is sent.
func (c *Conn) Write(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	if err != nil && isLate(err) && c.SetWriteDeadline(time.Now().Add(again)) == nil {
		var more int
		more, err = c.Conn.Write(p[n:])
		n += more
	}
	return n, err
}

func isLate(err error) bool {
	var late net.Error
	return errors.As(err, &late) && late.Timeout()
}

// LastWord says that what has been written is the last that the peer gets.
func (c *Conn) LastWord() { c.told.Store(true) }

// Close implements net.Conn: Read and Write fail from now on. After a last word the
// connection itself stays until Drain.
func (c *Conn) Close() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || !c.told.Load() {
		return c.Conn.Close()
	}
	if c.closed.Swap(true) { // Drain may be at work
		return nil
	}
	_ = c.SetReadDeadline(time.Unix(1, 0))
	return half.CloseWrite()
}

// Places are those of connections that wait for the end of their peers, Most at a
// time. The zero value is ready.
type Places struct{ taken atomic.Int32 }

// Most is how many connections may wait.
const Most = 32

// Drain closes a connection; after a last word it waits until the peer has closed it
// too, for Time at most, and only where there is a place. Nobody else may read by then.
func (p *Places) Drain(c *Conn) {
	defer c.Cut()
	if !c.told.Load() {
		return
	}
	defer p.taken.Add(-1)
	if p.taken.Add(1) <= Most {
		end := time.Now().Add(Time)
		_ = c.SetReadDeadline(end)
		if _, err := io.CopyN(io.Discard, c.Conn, Bytes); err == nil {
			time.Sleep(time.Until(end)) // it still writes, which waits in the kernel while it reads
		}
	}
}

// Cut closes the connection at once.
func (c *Conn) Cut() { _ = c.Conn.Close() }
