//go:build !small

package ws

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// connect returns both ends of a WebSocket over loopback: the server's, which takes
// messages of up to 1000 bytes, and the client's.
func connect(t *testing.T) (server net.Conn, client *websocket.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err == nil {
			server, err = Accept(nc, nil, 1000)
		}
		accepted <- err
	}()
	d := websocket.Dialer{Subprotocols: []string{"mqtt"}, HandshakeTimeout: time.Minute}
	client, _, err = d.Dial("ws://"+l.Addr().String()+"/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	_ = server.SetReadDeadline(time.Now().Add(time.Minute))
	return server, client
}

// The bytes of MQTT come as they were sent, however they are divided into messages, and go
// out in binary messages.
func TestBytes(t *testing.T) {
	server, client := connect(t)
	for _, part := range []string{"ab", "", "c", strings.Repeat("d", 1000), "e"} {
		if err := client.WriteMessage(websocket.BinaryMessage, []byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	want := []byte("abc" + strings.Repeat("d", 1000) + "e")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%.20q…, %v", got, err)
	}
	if n, err := server.Write([]byte("answer")); n != 6 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if kind, b, err := client.ReadMessage(); kind != websocket.BinaryMessage || string(b) != "answer" || err != nil {
		t.Errorf("%d %q, %v", kind, b, err)
	}
}

// A connection ends with the client, with a message of text, and with one that is too long.
func TestEnds(t *testing.T) {
	closing := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	for _, tt := range []struct {
		name string
		kind int
		data []byte
		want error // nil: any
	}{
		{"the client goes", websocket.CloseMessage, closing, io.EOF},
		{"text", websocket.TextMessage, []byte("CONNECT"), errText},
		{"too long", websocket.BinaryMessage, make([]byte, 1001), websocket.ErrReadLimit},
	} {
		server, client := connect(t)
		if err := client.WriteMessage(tt.kind, tt.data); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, server); tt.want == io.EOF && err != nil ||
			tt.want != io.EOF && !errors.Is(err, tt.want) || n > 1000 {
			t.Errorf("%s: %d bytes, %v; want %v", tt.name, n, err, tt.want)
		}
	}
	server, client := connect(t)
	_ = client.NetConn().Close() // without a word
	if _, err := io.Copy(io.Discard, server); err == nil {
		t.Error("a connection that breaks ends as one that is closed")
	}
}

// A page may connect if it is of this host or of an origin of the list.
func TestIsFriend(t *testing.T) {
	for _, tt := range []struct {
		origin  string
		origins []string
		want    bool
	}{
		{"", nil, true}, // no browser
		{"http://gw.lan:8080", nil, true},
		{"https://GW.lan:8080", nil, true},
		{"http://gw.lan:8081", nil, false},
		{"http://evil.example", nil, false},
		{"http://gw.lan:8080.evil.example", nil, false},
		{"null", nil, false},
		{"https://flows.example", []string{"https://flows.example"}, true},
		{"http://flows.example", []string{"https://flows.example"}, false},
		{"http://evil.example", []string{"*"}, true},
	} {
		r := &http.Request{Host: "gw.lan:8080", Header: http.Header{}}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		if got := isFriend(r, tt.origins); got != tt.want {
			t.Errorf("%q of %v: %v", tt.origin, tt.origins, got)
		}
	}
}
