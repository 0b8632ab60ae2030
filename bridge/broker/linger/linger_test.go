package linger

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair returns the two ends of a connection over TCP.
func pair(t *testing.T) (server *Conn, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &Conn{Conn: nc}, client
}

// A peer that goes on writing reads the last word and then the end, as if the
// connection had been quiet.
func TestLastWord(t *testing.T) {
	for name, tt := range map[string]struct {
		last  bool
		clean bool // for the peer
	}{
		"last word": {true, true},
		"none":      {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t)
			_, _ = client.Write(make([]byte, 1000)) // which the server never reads
			_, _ = server.Write([]byte("bye"))
			if tt.last {
				server.LastWord()
			}
			_ = server.Close()
			drained := make(chan struct{})
			go func() { defer close(drained); new(Places).Drain(server) }()
			var err error
			for range 10 {
				if _, e := client.Write(make([]byte, 100)); e != nil {
					err = e
				}
			}
			text, e := io.ReadAll(client)
			if e != nil {
				err = e
			}
			if clean := err == nil && string(text) == "bye"; clean != tt.clean {
				t.Errorf("%q, %v", text, err)
			}
			_ = client.Close()
			<-drained
		})
	}
}

// Read and Write fail as soon as the connection is closed.
func TestCloseEndsRead(t *testing.T) {
	for _, last := range []bool{false, true} {
		server, _ := pair(t)
		over := make(chan error)
		go func() { _, err := server.Read(make([]byte, 1)); over <- err }()
		if last {
			server.LastWord()
		}
		_ = server.Close()
		if err := <-over; err == nil {
			t.Error("Read returns something")
		}
		if _, err := server.Write([]byte("x")); err == nil {
			t.Error("Write goes on")
		}
	}
}

// A peer that writes without an end, or neither writes nor closes, is cut off.
func TestDrainEnds(t *testing.T) {
	for _, writes := range []bool{false, true} {
		server, client := pair(t)
		server.LastWord()
		_ = server.Close()
		if writes {
			go func() {
				for {
					if _, err := client.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
			}()
		}
		start := time.Now()
		new(Places).Drain(server)
		if took := time.Since(start); took < Time/2 { // it may not have read the last word
			t.Errorf("writes %v: after %v already", writes, took)
		}
		if _, err := server.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
	}
}

// Who closes a connection once more does not take the last word away.
func TestCloseTwice(t *testing.T) {
	server, client := pair(t)
	server.LastWord()
	_ = server.Close()
	drained := make(chan struct{})
	go func() { defer close(drained); new(Places).Drain(server) }()
	for range 5 {
		_ = server.Close()
		time.Sleep(10 * time.Millisecond)
		if _, err := client.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	_ = client.Close()
	<-drained
}

func TestNoPlace(t *testing.T) {
	server, client := pair(t)
	server.LastWord()
	_ = server.Close()
	var p Places
	p.taken.Store(Most)
	p.Drain(server)
	if _, err := io.ReadAll(client); err != nil { // closed, and nothing was unread
		t.Error(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

func TestCut(t *testing.T) {
	server, client := pair(t)
	server.LastWord()
	server.Cut()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
}

// A machine that had no time between the deadline and the write does not end the connection of a peer that reads; one
// that does not read is given up still.
func TestLateWrite(t *testing.T) {
	server, client := pair(t)
	if err := server.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Write([]byte("late")); n != 4 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	got := make([]byte, 4)
	_ = client.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "late" {
		t.Errorf("%q, %v", got, err)
	}
	if err := server.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	const large = 64 << 20
	if n, err := server.Write(make([]byte, large)); n == large || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nobody reads: %d bytes, %v", n, err)
	}
}
