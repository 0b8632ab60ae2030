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
// messages of up to 1000 bytes and tells framed of what is not MQTT's, and the client's.
func connect(t *testing.T, framed func(int) error) (server net.Conn, client *websocket.Conn) {
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
			server, err = Accept(nc, nil, 1000, framed)
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

func unframed(int) error { return nil }

// The bytes of MQTT come as they were sent, however they are divided into messages, and go
// out in binary messages.
func TestBytes(t *testing.T) {
	server, client := connect(t, unframed)
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
		server, client := connect(t, unframed)
		if err := client.WriteMessage(tt.kind, tt.data); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, server); tt.want == io.EOF && err != nil ||
			tt.want != io.EOF && !errors.Is(err, tt.want) || n > 1000 {
			t.Errorf("%s: %d bytes, %v; want %v", tt.name, n, err, tt.want)
		}
	}
	server, client := connect(t, unframed)
	_ = client.NetConn().Close() // without a word
	if _, err := io.Copy(io.Discard, server); err == nil {
		t.Error("a connection that breaks ends as one that is closed")
	}
}

// Frames of each kind count by what they take beside the bytes of MQTT: two of the shortest as a packet. An error ends
// the connection.
func TestFrames(t *testing.T) {
	const many = 2000
	nothing := []byte{0x80, 0, 0, 0, 0} // no payload, and its mask
	tests := []struct {
		name        string
		begin       []byte
		frame       []byte
		least, most int
	}{
		{"PING", nil, append([]byte{0x89}, nothing...), many / 2, many / 2},
		{"PONG", nil, append([]byte{0x8a}, nothing...), many / 2, many / 2},
		{"a long PING", nil, append([]byte{0x89, 0xfd}, make([]byte, 4+125)...), 10 * many, 11 * many},
		{"empty messages", nil, append([]byte{0x82}, nothing...), many / 2, many / 2},
		{"empty parts of a message", append([]byte{0x02}, nothing...), append([]byte{0x00}, nothing...), many / 2, many / 2},
		{"messages of a byte", nil, []byte{0x82, 0x81, 0, 0, 0, 0, 'x'}, many / 2, many / 2},
		{
			"messages of 1000 bytes", nil, append([]byte{0x82, 0xfe, 1000 >> 8, 1000 & 0xff}, make([]byte, 4+1000)...),
			many / 2, 2 * many / 3,
		},
	}
	tooMany := errors.New("too many")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, answer := range []error{nil, tooMany} {
				told := 0
				server, client := connect(t, func(n int) error { told += n; return answer })
				go func() { _, _ = io.Copy(io.Discard, client.NetConn()) }()
				go func() {
					_, _ = client.NetConn().Write(append(tt.begin, bytes.Repeat(tt.frame, many)...))
					_ = client.NetConn().(*net.TCPConn).CloseWrite()
				}()
				_, err := io.Copy(io.Discard, server)
				const begin, each = 1, bufferBytes/frameBytes + 1 // of one frame, and of a read
				switch {
				case answer != nil && (!errors.Is(err, answer) || told > each):
					t.Errorf("told of %d packets, and ends with %v", told, err)
				case answer == nil && (told < tt.least || told > tt.most+begin):
					t.Errorf("told of %d packets, want %d to %d", told, tt.least, tt.most)
				}
			}
		})
	}
}

// A page of the same host may connect, from whatever port it comes; another one only if the
// list has its origin, which has a scheme and a port.
func TestOrigins(t *testing.T) {
	list := []string{"https://flows.example", "http://flows.example:1880"}
	tests := []struct {
		name, origin, host string
		want               bool
	}{
		{"no browser", "", "gateway:8083", true},
		{"same host and port", "http://gateway:8083", "gateway:8083", true},
		{"same host, another port", "http://gateway:8080", "gateway:8083", true},
		{"same host, port of the scheme", "http://gateway", "gateway:8083", true},
		{"same host, no port here", "https://gateway:8443", "gateway", true},
		{"in capitals", "http://Gateway", "gateway:8083", true},
		{"an address", "http://192.0.2.7:8080", "192.0.2.7:8083", true},
		{"another address", "http://192.0.2.8:8083", "192.0.2.7:8083", false},
		{"an IPv6 address", "http://[2001:db8::1]:8080", "[2001:db8::1]:8083", true},
		{"an IPv6 address without a port", "http://[2001:db8::1]", "[2001:db8::1]:8083", true},
		{"another IPv6 address", "http://[2001:db8::2]", "[2001:db8::1]:8083", false},
		{"another host", "http://evil.example", "gateway:8083", false},
		{"the host as a part", "http://gateway.evil.example", "gateway:8083", false},
		{"the host behind", "http://evil.example.gateway", "gateway:8083", false},
		{"the host before a port that is none", "http://gateway:8083.evil.example", "gateway:8083", false},
		{"the host as a user", "http://gateway:8083@evil.example", "gateway:8083", false},
		{"two, of which one may connect", "http://gateway:8083 http://evil.example", "gateway:8083", false},
		{"no origin to tell", "null", "gateway:8083", false},
		{"neither of them", "null", "", false},
		{"a file", "file://", "", false},
		{"of the list", "https://flows.example", "gateway:8083", true},
		{"of the list, in capitals", "HTTPS://Flows.Example", "gateway:8083", true},
		{"of the list with a port", "http://flows.example:1880", "gateway:8083", true},
		{"of the list, another scheme", "http://flows.example", "gateway:8083", false},
		{"of the list, another port", "https://flows.example:8443", "gateway:8083", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Host: tt.host, Header: http.Header{}}
			for origin := range strings.FieldsSeq(tt.origin) {
				r.Header.Add("Origin", origin)
			}
			if got := isFriend(r, list); got != tt.want {
				t.Errorf("%s at %s: %v, want %v", tt.origin, tt.host, got, tt.want)
			}
			if !isFriend(r, []string{"*"}) {
				t.Error("all may connect, and it may not")
			}
		})
	}
}
