package httpclient

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// serve makes a Conn to a server that reads each request whole and then writes the next of these texts; "" ends the
// connection.
func serve(t *testing.T, answers ...string) *Conn {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		buf := make([]byte, 4096)
		for _, a := range answers {
			if _, err := far.Read(buf); err != nil || a == "" {
				return
			}
			if _, err := io.WriteString(far, a); err != nil {
				return
			}
		}
		_, _ = far.Read(buf)
	}()
	c := New(near)
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, ctx context.Context, c *Conn, most int) (Answer, bool, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/y", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(ctx, req, most)
}

// Answers with and without an end of the connection.
const (
	closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
	half    = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n{}"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

func TestDo(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		most         int
		body         string
		ended        bool
		fault        string
	}{
		{name: "good", answer: ok, most: 10, body: "{}"},
		{name: "body not wanted", answer: ok, ended: true},
		{name: "closed", answer: closing, most: 10, body: "{}", ended: true},
		{name: "notes before", answer: "HTTP/1.1 103 Early Hints\r\n\r\n" + ok, most: 10, body: "{}"},
		{name: "only notes", answer: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9), most: 10, fault: "only answers"},
		{name: "as long as is taken", answer: ok, most: 2, body: "{}"},
		{name: "too long", answer: ok, most: 1, fault: "too long"},
		{name: "no HTTP", answer: "220 mail.example ESMTP\r\n", most: 10, fault: "malformed HTTP"},
		{name: "ends at once", most: 10, fault: "EOF"},
		{name: "headers without end", answer: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70_000), most: 10, fault: "EOF"},
		{name: "half a body", answer: half, most: 10, fault: "EOF"},
	} {
		synctest.Test(t, func(t *testing.T) {
			c := serve(t, tt.answer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if strings.HasPrefix(tt.name, "half") {
				go func() { time.Sleep(time.Second); c.Close() }()
			}
			a, sent, err := get(t, ctx, c, tt.most)
			if tt.fault == "" {
				if err != nil || a.Code != 200 || string(a.Body) != tt.body || c.Ended() != tt.ended {
					t.Errorf("%s: %+v, %v, ended %v", tt.name, a, err, c.Ended())
				}
			} else if err == nil || !sent || !strings.Contains(err.Error(), tt.fault) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("%s: %v, sent %v; want %q", tt.name, err, sent, tt.fault)
			}
		})
	}
}

// What a server says without being asked is not the answer to the next request.
func TestLeftOver(t *testing.T) {
	c := serve(t, ok+"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"x\":1}", ok)
	if a, _, err := get(t, t.Context(), c, 10); err != nil || string(a.Body) != "{}" {
		t.Fatalf("%+v, %v", a, err)
	}
	if a, sent, err := get(t, t.Context(), c, 10); !errors.Is(err, errOver) || sent {
		t.Errorf("%+v, sent %v, %v", a, sent, err)
	}
}

// A request that cannot be written whole was not sent, and a server that says nothing does not hold up the end.
func TestNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		_ = far.Close()
		if _, sent, err := get(t, t.Context(), New(near), 10); err == nil || sent {
			t.Errorf("sent %v, %v", sent, err)
		}
		near, far = net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, sent, err := get(t, ctx, New(near), 10); !errors.Is(err, context.DeadlineExceeded) || !sent {
			t.Errorf("sent %v, %v", sent, err)
		}
	})
}
