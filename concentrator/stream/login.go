package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"lorawand/radio"
)

// Conn is the gateway's end of a connection. Read returns one datagram, and Write sends one. After
// an error of either the connection is over. One goroutine may read and one may write.
type Conn struct {
	net.Conn
	in  *bufio.Reader
	out []byte
}

// ErrRefused is the reason when the server does not let the gateway in. The text of the error has
// the reason that the server gives.
var ErrRefused = errors.New("the central does not let this gateway in")

// Login logs a gateway in over a connection. It closes the connection if that fails.
func Login(ctx context.Context, c net.Conn, eui radio.EUI64, key string) (*Conn, error) {
	out, err := login(ctx, c, eui, key)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return out, nil
}

func login(ctx context.Context, c net.Conn, eui radio.EUI64, key string) (*Conn, error) {
	hasten(c)
	if err := c.SetDeadline(time.Now().Add(loginTimeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := fmt.Fprintf(c, "%s %v %s\n", greeting, eui, key); err != nil {
		return nil, lost{err}
	}
	in := bufio.NewReaderSize(c, maxLine)
	answer, err := readLine(in)
	if err != nil {
		return nil, lost{err}
	}
	why, refused := strings.CutPrefix(answer, refusal)
	switch {
	case refused:
		return nil, fmt.Errorf("%w: %s", ErrRefused, why)
	case answer != welcome:
		return nil, fmt.Errorf("%w: the answer %.40q", ErrProtocol, answer)
	case !stop():
		return nil, ctx.Err()
	}
	return &Conn{Conn: c, in: in}, c.SetDeadline(time.Time{})
}

// Read reads a datagram. The error of a connection that is over is an io.EOF.
func (c *Conn) Read(b []byte) (int, error) {
	err := c.SetReadDeadline(time.Now().Add(silence))
	if err == nil {
		var n int
		if n, err = read(c.in, b); err == nil {
			return n, nil
		}
	}
	_ = c.Close()
	return 0, lost{err}
}

// Write sends a datagram.
func (c *Conn) Write(b []byte) (int, error) {
	if len(b) > MaxSize {
		return 0, fmt.Errorf("stream: a datagram of %d bytes, at most %d", len(b), MaxSize)
	}
	c.out = appendDatagram(c.out[:0], b)
	if _, err := c.Conn.Write(c.out); err != nil {
		_ = c.Close() // half a datagram may be on its way
		return 0, lost{err}
	}
	return len(b), nil
}

// lost is why a connection is over. It is an io.EOF.
type lost struct{ error }

// Error implements error.
func (l lost) Error() string {
	switch {
	case errors.Is(l.error, io.EOF), errors.Is(l.error, io.ErrUnexpectedEOF):
		return "the central has closed the connection"
	case errors.Is(l.error, os.ErrDeadlineExceeded):
		return "the central does not answer"
	}
	return l.error.Error()
}

// Is reports whether the target is io.EOF.
func (l lost) Is(target error) bool { return target == io.EOF }

// Unwrap returns the reason.
func (l lost) Unwrap() error { return l.error }
