package nowait

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// pair returns both ends of a connection; the first one is a Conn.
func pair(t testing.TB) (*Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := New(nc.(*net.TCPConn))
	t.Cleanup(func() { _, _ = s.Close(), peer.Close() })
	return s, peer.(*net.TCPConn)
}

// What everybody may expect of a net.Conn.
func TestIsAConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		s, peer := pair(t)
		return s, New(peer), func() { _, _ = s.Close(), peer.Close() }, nil
	})
}

// more is what no kernel holds for a connection whose peer does not read.
const more = 64 << 20

func TestConnWaits(t *testing.T) {
	s, peer := pair(t)
	sent := bytes.Repeat([]byte("0123456789abcde"), 1<<20)
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(peer)
		got <- b
	}()
	if n, err := s.Write(sent); n != len(sent) || err != nil {
		t.Fatal(n, err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, sent) {
		t.Errorf("%d bytes arrive, and not as the %d were sent", len(b), len(sent))
	}
}

func TestConnDeadlines(t *testing.T) {
	for name, test := range map[string]struct {
		before time.Duration // the deadline when the write begins; 0: none
		during time.Duration // the one that is set while it waits; 0: none is
	}{
		"set before":             {before: 50 * time.Millisecond},
		"set while it waits":     {during: 50 * time.Millisecond},
		"earlier while it waits": {before: time.Hour, during: 50 * time.Millisecond},
		"over while it waits":    {before: time.Hour, during: -time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s, peer := pair(t)
			p := make([]byte, more)
			if test.before != 0 {
				_ = s.SetWriteDeadline(time.Now().Add(test.before))
			}
			if test.during != 0 {
				time.AfterFunc(200*time.Millisecond, func() { _ = s.SetDeadline(time.Now().Add(test.during)) })
			}
			n, err := s.Write(p)
			if n == 0 || n == more || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%d bytes written: %v", n, err)
			}
			var late net.Error
			if n, err := s.Write([]byte{1}); n != 0 || !errors.As(err, &late) || !late.Timeout() {
				t.Errorf("behind its deadline: %d bytes written: %v", n, err)
			}
			_ = s.SetWriteDeadline(time.Time{})
			go func() { _, _ = io.Copy(io.Discard, peer) }()
			if n, err := s.Write(p); n != more || err != nil {
				t.Errorf("without a deadline: %d bytes written: %v", n, err)
			}
		})
	}
}

func TestConnErrors(t *testing.T) {
	t.Run("the peer is gone", func(t *testing.T) {
		s, peer := pair(t)
		_ = peer.SetLinger(0)
		_ = peer.Close()
		var err error
		for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
			_, err = s.Write([]byte{1})
		}
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "write" || op.Addr == nil || op.Source == nil {
			t.Errorf("%#v", err)
		}
		if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		s, _ := pair(t)
		_ = s.Close()
		var op *net.OpError
		n, err := s.Write([]byte{1})
		if n != 0 || !errors.Is(err, net.ErrClosed) || !errors.As(err, &op) || op.Op != "write" {
			t.Error(n, err)
		}
		if err := s.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = s.SetWriteDeadline(time.Unix(1, 0))
		if _, err := s.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	t.Run("closed while a write waits", func(t *testing.T) {
		s, _ := pair(t)
		time.AfterFunc(100*time.Millisecond, func() { _ = s.Close() })
		if n, err := s.Write(make([]byte, more)); n == 0 || n == more || !errors.Is(err, net.ErrClosed) {
			t.Error(n, err)
		}
	})
	t.Run("the half that sends is closed", func(t *testing.T) {
		s, peer := pair(t)
		_ = s.CloseWrite()
		if _, err := s.Write([]byte{1}); !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		_, _ = peer.Write([]byte{2})
		if n, err := s.Read(make([]byte, 8)); n != 1 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("nothing to write", func(t *testing.T) {
		s, _ := pair(t)
		if n, err := s.Write(nil); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
}

// What is written at a time stays together.
func TestConnWritesAreWhole(t *testing.T) {
	const size, writers, each = 1500, 8, 200
	s, peer := pair(t)
	_ = s.tcp.SetWriteBuffer(4 << 10) // so that some wait
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if _, err := s.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range writers * each {
		b := make([]byte, size)
		if _, err := io.ReadFull(peer, b); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, bytes.Repeat(b[:1], size)) {
			t.Fatal("what two have written is mixed")
		}
	}
	wg.Wait()
}

func TestConnAllocatesNothing(t *testing.T) {
	s, peer := pair(t)
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	p := make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() {
		_ = s.SetWriteDeadline(time.Now().Add(time.Hour))
		_, _ = s.Write(p)
	}); n > 0 {
		t.Errorf("%v allocations for a write", n)
	}
}
