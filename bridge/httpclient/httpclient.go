// Package httpclient makes HTTP requests on a connection that its user has opened. It
// follows no redirection: nobody whom the owner has not named gets a request. The client of
// net/http would make the program for MIPS 150 kB longer.
package httpclient

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

const (
	maxHeader = 64 << 10 // bytes of the headers of an answer
	maxNotes  = 8        // answers 1xx before the answer
)

// ErrBody says that an answer has a longer body than its reader takes.
var ErrBody = errors.New("the body of the answer is too long")

// errOver says that a connection is of no more use: the server wants to end it, or has said more than it was asked.
var errOver = errors.New("the connection takes no more requests")

// Answer is the answer to a request.
type Answer struct {
	Code   int
	Status string // such as "404 Not Found"
	Header http.Header
	Body   []byte
}

// Conn is a connection to a server. It is for one goroutine. After an error of Do it is of
// no more use.
type Conn struct {
	conn  net.Conn
	limit io.LimitedReader
	in    *bufio.Reader
	ended bool
}

// New returns a Conn on a connection, which it closes by Close.
func New(conn net.Conn) *Conn {
	c := &Conn{conn: conn}
	c.limit.R = conn
	c.in = bufio.NewReader(&c.limit)
	return c
}

// Close closes the connection.
func (c *Conn) Close() { _ = c.conn.Close() }

// Ended reports whether the server wants no more requests on this connection.
func (c *Conn) Ended() bool { return c.ended }

// Do sends a request and returns its answer with a body of at most so many bytes; 0: the
// body is not read, and there can be no more requests. sent says, with an error, that the
// whole request is on its way: what the server has done is not known then. Else the server
// cannot have done anything, as it has not the whole request. When ctx ends, so does the
// connection.
func (c *Conn) Do(ctx context.Context, req *http.Request, most int) (a Answer, sent bool, err error) {
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}()
	if c.ended || c.in.Buffered() > 0 {
		return a, false, errOver
	}
	if err := req.Write(c.conn); err != nil {
		return a, false, err
	}
	res, err := c.answer(req, most)
	if err != nil {
		return a, true, err
	}
	a = Answer{Code: res.StatusCode, Status: res.Status, Header: res.Header}
	c.ended = res.Close || most == 0
	if most == 0 {
		return a, true, nil // the rest goes with the connection
	}
	a.Body, err = io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	if err == nil && len(a.Body) > most {
		err = ErrBody
	}
	return a, true, err
}

// answer reads the headers of the answer.
func (c *Conn) answer(req *http.Request, most int) (*http.Response, error) {
	c.limit.N = maxHeader + int64(most)
	for range maxNotes {
		res, err := http.ReadResponse(c.in, req)
		if err != nil || res.StatusCode >= 200 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, err
		}
	}
	return nil, errors.New("the server only answers that it will answer")
}
