package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"
)

// Limits of the control socket.
const (
	maxConns       = 24       // at a time; events can be followed by 16
	maxRequest     = 64 << 10 // bytes
	maxBigRequest  = 16 << 20 // bytes; one such request at a time
	requestTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second // for a client to take a line
	lastWords      = time.Second      // the same, when the daemon stops
	socketMode     = 0o660
	folderMode     = 0o755
)

// ErrSocket says that the control socket cannot be opened.
var ErrSocket = errors.New("cannot open the control socket")

// Server is the control socket. It serves everybody who may write to the socket's
// file.
type Server struct {
	admin    *Admin
	log      *slog.Logger
	path     string
	listener *net.UnixListener
	slots    chan struct{}
	big      chan struct{}
	patience time.Duration // for a request to come
	most     int           // bytes of a request
}

// Listen makes the socket, and its folder if there is none. It replaces the file
// of a daemon that has ended. It returns ErrSocket if a daemon answers on it, if
// the file is not a socket, or with what the system says.
func Listen(a *Admin, path string) (*Server, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrSocket, path, err)
	}
	return &Server{
		admin: a, log: a.log, path: path, listener: l,
		slots: make(chan struct{}, maxConns), big: make(chan struct{}, 1),
		patience: requestTimeout, most: maxBigRequest,
	}, nil
}

// listen binds under another name and renames the file, so that a socket with the
// wrong mode never has the right name.
func listen(path string) (*net.UnixListener, error) {
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return nil, err
	}
	if err := stale(path); err != nil {
		return nil, err
	}
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(fresh, socketMode)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(fresh))
	}
	return l, nil
}

// stale returns nil if there is no file, or a socket on which no daemon answers.
func stale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("a file that is not a socket is in the way")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return errors.New("another daemon answers on it")
	}
	if errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// Close frees a socket that was never run.
func (s *Server) Close() error {
	return errors.Join(s.listener.Close(), os.Remove(s.path))
}

// Run serves until ctx ends, and waits for what it started.
func (s *Server) Run(ctx context.Context) error {
	s.log.Info("listening for commands", "socket", s.path)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer os.Remove(s.path)
	stop := context.AfterFunc(ctx, func() { _ = s.listener.Close() })
	defer stop()
	for {
		c, err := s.listener.AcceptUnix()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("control socket: %w", err)
		case err != nil:
			s.log.Warn("cannot take a connection of the control socket", "error", err)
			time.Sleep(100 * time.Millisecond) // such as no file descriptor left: it passes
			continue
		}
		select {
		case s.slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-s.slots }()
				s.serve(ctx, c)
			})
		default:
			p := peer{conn: c}
			p.end(fmt.Errorf("%d commands are at work already", maxConns))
			_ = c.Close()
		}
	}
}

// serve answers one connection. A panic ends that connection only.
func (s *Server) serve(ctx context.Context, c *net.UnixConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer c.Close()
	p := peer{conn: c}
	stop := context.AfterFunc(ctx, p.hurry)
	defer stop()
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("internal fault while answering a command", "fault", r, "stack", string(debug.Stack()))
			p.end(errors.New("internal fault of the daemon; see its log"))
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(s.patience))
	line, release, err := s.readRequest(bufio.NewReaderSize(c, maxRequest))
	defer release()
	if err != nil {
		p.end(err)
		return
	}
	req, err := parseRequest(line)
	if err != nil {
		p.end(err)
		return
	}
	if op, _ := s.admin.find(req.Op); op.limit == 0 {
		// It has no time limit: it ends when the client disconnects.
		watch.Go(func() {
			_ = c.SetReadDeadline(time.Time{})
			_, _ = c.Read(make([]byte, 1))
			cancel()
		})
	}
	p.end(s.admin.do(ctx, req.Op, req.Args, p.reply))
}

// readRequest reads a line. Only one long line is held at a time: release, which
// is never nil, frees that place.
func (s *Server) readRequest(r *bufio.Reader) (line []byte, release func(), err error) {
	release = func() {}
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, release, requestError(err)
	}
	select {
	case s.big <- struct{}{}:
		release = func() { <-s.big }
	default:
		return nil, release, errors.New("another large command is at work; try again")
	}
	parts, size := [][]byte{bytes.Clone(line)}, len(line) // a slice that grows takes several times the memory
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.ReadSlice('\n')
		if size += len(line); size > s.most {
			return nil, release, fmt.Errorf("more than %d KiB for one command: "+
				"do it in parts, or stop the daemon before", s.most>>10)
		}
		parts = append(parts, bytes.Clone(line))
	}
	return bytes.Join(parts, nil), release, requestError(err)
}

func requestError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no request came in time")
	case err != nil:
		return fmt.Errorf("no request came: %w", err)
	}
	return nil
}

// peer is the other end of a connection.
type peer struct {
	conn net.Conn

	mu      sync.Mutex
	hurried bool
}

// hurry gives the peer one last second: the daemon stops, or the peer has
// disconnected.
func (p *peer) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hurried = true
	_ = p.conn.SetDeadline(time.Now().Add(lastWords))
}

func (p *peer) reply(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	return p.write(response{Data: b})
}

// end sends the last line: success, or the error.
func (p *peer) end(err error) {
	r := response{End: true}
	if err != nil {
		r = response{Error: err.Error()}
	}
	_ = p.write(r) // who is gone needs no answer
}

func (p *peer) write(r response) error {
	b, err := encode(r)
	if err != nil {
		return err
	}
	if err := p.setDeadline(); err != nil {
		return err
	}
	_, err = p.conn.Write(b)
	return err
}

func (p *peer) setDeadline() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hurried {
		return nil
	}
	return p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
}
