//go:build !small

package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/broker/pace"
)

// one is a listener that has one connection.
type one struct {
	net.Listener
	conn net.Conn
}

func (l one) Accept() (net.Conn, error) { return l.conn, nil }

// served is a connection that a listener has accepted, with its client.
type served struct {
	*testing.T
	client net.Conn
	conn   *tls.Conn
	stop   context.CancelFunc // of the listener
	turns  int                // that were asked for
	after  time.Duration      // until the turn comes
}

// Its turn comes, unless it is over before.
func (s *served) turn(_ net.Addr, over <-chan struct{}) bool {
	s.turns++
	select {
	case <-over:
		return false
	case <-time.After(s.after):
		return true
	}
}

func serve(t *testing.T, after time.Duration, config *tls.Config) *served {
	near, far := net.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	s := &served{T: t, client: far, stop: stop, after: after}
	c, err := Listen(ctx, one{conn: near}, config, s.turn).Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.conn = c.(*tls.Conn)
	return s
}

// end closes both ends.
func (s *served) end() {
	s.stop()
	_ = s.client.Close()
	_ = s.conn.Close()
	synctest.Wait()
}

// begin is the first record of a handshake, without what is to follow.
var begin = []byte{typeHandshake, 3, 1, 0, 200}

// A handshake takes a turn once its client has begun it, and has 10 s in all.
func TestListen(t *testing.T) {
	for _, tt := range []struct {
		name  string
		says  []byte        // the client, if anything
		when  time.Duration // it does
		after time.Duration // until its turn comes
		stop  func(*served) // a second later
		turns int
		lasts time.Duration
		want  error // nil: any
	}{
		{name: "says nothing", lasts: pace.HandshakeTime, want: os.ErrDeadlineExceeded},
		{name: "speaks no TLS", says: []byte("GET / HTTP/1.1\r\n\r\n"), after: time.Second},
		{
			name: "begins, and goes on no further", says: begin, turns: 1, lasts: pace.HandshakeTime,
			want: os.ErrDeadlineExceeded,
		},
		{
			name: "begins behind an alert", says: append([]byte{21, 3, 1, 0, 2, 1, 90}, begin...), turns: 1,
			lasts: pace.HandshakeTime, want: os.ErrDeadlineExceeded,
		},
		{
			name: "its turn comes too late", says: begin, when: 3 * time.Second, after: time.Minute, turns: 1,
			lasts: pace.HandshakeTime, want: ErrTooMany,
		},
		{
			name: "is closed before its turn", says: begin, after: time.Minute, turns: 1, lasts: time.Second,
			stop: func(s *served) { _ = s.conn.Close() }, want: ErrTooMany,
		},
		{
			name: "the server stops before its turn", says: begin, after: time.Minute, turns: 1, lasts: time.Second,
			stop: func(s *served) { s.stop() }, want: ErrTooMany,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, since := serve(t, tt.after, &tls.Config{}), time.Now()
				defer s.end()
				go func() { _, _ = io.Copy(io.Discard, s.client) }()
				go func() {
					time.Sleep(tt.when)
					_, _ = s.client.Write(tt.says)
				}()
				if tt.stop != nil {
					time.AfterFunc(time.Second, func() { tt.stop(s) })
				}
				err := s.conn.Handshake()
				if lasted := time.Since(since); err == nil || !errors.Is(err, tt.want) && tt.want != nil || lasted != tt.lasts ||
					s.turns != tt.turns {
					t.Errorf("%v after %v, %d turns; want %v after %v, %d turns", err, lasted, s.turns, tt.want, tt.lasts, tt.turns)
				}
			})
		})
	}
}

// A client that has its turn comes in, and takes no other.
func TestListenServes(t *testing.T) {
	of := config(t)
	synctest.Test(t, func(t *testing.T) {
		s, since := serve(t, 9*time.Second, of), time.Now()
		defer s.end()
		go func() {
			c := tls.Client(s.client, &tls.Config{InsecureSkipVerify: true})
			_, _ = c.Write([]byte("x"))
			time.Sleep(time.Minute)
			_, _ = c.Write([]byte("x"))
		}()
		if err := s.conn.Handshake(); err != nil || time.Since(since) != 9*time.Second {
			t.Fatalf("%v after %v", err, time.Since(since))
		}
		_ = s.conn.SetDeadline(time.Time{}) // as a server does
		for i := range 2 {
			if n, err := s.conn.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Errorf("byte %d: %v", i, err)
			}
		}
		if s.turns != 1 {
			t.Errorf("%d turns", s.turns)
		}
	})
}
