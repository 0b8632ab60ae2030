package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// ErrNotRunning says that no daemon answers on the control socket.
var ErrNotRunning = errors.New("the daemon is not running")

// Client sends operations to a running daemon over its control socket.
type Client struct {
	Path string
}

const dialTimeout = 5 * time.Second

// Call sends an operation and calls each for every part of its
// answer. It returns ErrNotRunning where no daemon answers, or the daemon's
// error.
func (c Client) Call(ctx context.Context, op string, args any, each func(json.RawMessage) error) error {
	raw, err := encode(args)
	if err != nil {
		return fmt.Errorf("admin: %s: %w", op, err)
	}
	line, err := encode(request{Version: protocolVersion, Op: op, Args: raw})
	if err != nil {
		return fmt.Errorf("admin: %s: %w", op, err)
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unix", c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: no daemon answers on %s", ErrNotRunning, c.Path)
	case err != nil:
		return fmt.Errorf("control socket: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err = exchange(conn, line, each)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exchange sends a request and reads its answer. A daemon that refuses a
// request may do so before it has read all of it.
func exchange(conn net.Conn, line []byte, each func(json.RawMessage) error) error {
	_ = conn.SetWriteDeadline(time.Now().Add(requestTimeout))
	_, failed := conn.Write(line)
	r := bufio.NewReader(conn)
	for {
		b, err := r.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the daemon has ended the connection: %w", errors.Join(failed, unexpected(err)))
		}
		var resp response
		if err := json.Unmarshal(b, &resp); err != nil {
			return fmt.Errorf("cannot read the answer of the daemon: %w", err)
		}
		switch {
		case resp.Error != "":
			return errors.New(resp.Error)
		case resp.End:
			return nil
		}
		if err := each(resp.Data); err != nil {
			return err
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
