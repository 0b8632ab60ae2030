//go:build !small

package broker

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/linger"
	"lorawand/bridge/broker/ws"
)

// certificate makes a certificate for 127.0.0.1, signed by itself.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Unix(0, 0),
		NotAfter:    time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// secured is a broker that listens over TLS and WebSocket too.
type secured struct {
	*bench
	tls, ws string // addresses
	client  *tls.Config
}

func startSecure(t *testing.T, change func(*Options)) *secured {
	t.Helper()
	cert, pool := certificate(t)
	s := startWith(t, func(o *Options) {
		o.TLSListen, o.WebSocketListen = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		if change != nil {
			change(o)
		}
	})
	addrs := s.Addrs()
	return &secured{s, addrs[1].String(), addrs[2].String(), &tls.Config{RootCAs: pool}}
}

// pending returns how many connections have not logged in.
func (s *secured) pending() int {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return len(s.gate.waiting)
}

// over makes a client of a connection.
func over(t *testing.T, c net.Conn, version byte) *raw {
	t.Cleanup(func() { _ = c.Close() })
	return &raw{T: t, Conn: c, r: bufio.NewReader(c), version: version}
}

// dialWS connects a WebSocket client.
func (s *secured) dialWS(scheme string, header http.Header, protocols ...string) (net.Conn, *http.Response, error) {
	d := websocket.Dialer{Subprotocols: protocols, TLSClientConfig: s.client, HandshakeTimeout: 2 * time.Second}
	c, answer, err := d.Dial(scheme+"://"+s.ws+"/mqtt", header)
	if err != nil {
		return nil, answer, err
	}
	return ws.Over(c), answer, nil
}

// Over each door a client logs in, subscribes, gets a message, and pushes a long one.
func TestDoors(t *testing.T) {
	s := startSecure(t, nil)
	doors := map[string]func() (net.Conn, error){
		"tcp": func() (net.Conn, error) { return net.Dial("tcp", s.addr) },
		"tls 1.2": func() (net.Conn, error) {
			c := s.client.Clone()
			c.MaxVersion = tls.VersionTLS12
			return tls.Dial("tcp", s.tls, c)
		},
		"tls 1.3": func() (net.Conn, error) { return tls.Dial("tcp", s.tls, s.client) },
		"ws":      func() (net.Conn, error) { c, _, err := s.dialWS("ws", nil, "mqtt"); return c, err },
		"wss":     func() (net.Conn, error) { c, _, err := s.dialWS("wss", nil, "mqtt"); return c, err },
	}
	for name, dial := range doors {
		for _, version := range []byte{4, 5} {
			t.Run(name, func(t *testing.T) {
				c, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				r := over(t, c, version)
				r.send(connectPacket("dev", "app1", s.key1))
				if ack := r.want(packets.Connack); ack.ReasonCode != 0 {
					t.Fatalf("CONNACK 0x%02x", ack.ReasonCode)
				}
				r.subscribe(1, "#")
				long := strings.Repeat("x", 50_000)
				s.up(long)
				r.send(ackFor(r.gets(upTopic, long, 1)))
				r.send(publishPacket(1, 1, pushTopic, long))
				r.want(packets.Puback)
				if p := <-s.pushes; string(p.Payload) != long {
					t.Errorf("a push of %d bytes", len(p.Payload))
				}
				r.send(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}})
				if err := r.closed(patience); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// After its DISCONNECT a client may still end TLS and WebSocket in their own ways, and is not answered with a reset.
func TestGoodbyeBelow(t *testing.T) {
	s := startSecure(t, nil)
	for name, dial := range map[string]func() (net.Conn, error){
		"tls": func() (net.Conn, error) { return tls.Dial("tcp", s.tls, s.client) },
		"ws":  func() (net.Conn, error) { c, _, err := s.dialWS("ws", nil, "mqtt"); return c, err },
		"wss": func() (net.Conn, error) { c, _, err := s.dialWS("wss", nil, "mqtt"); return c, err },
	} {
		t.Run(name, func(t *testing.T) {
			for end := time.Now().Add(patience); ; {
				c, err := dial()
				if err != nil {
					t.Fatal(err)
				}
				r := over(t, c, 4)
				r.send(connectPacket("dev", "app1", s.key1))
				r.want(packets.Connack)
				began := time.Now()
				r.bytes(packets.Disconnect<<4, 0)
				_, _ = r.r.ReadByte() // it is closed
				for i := range 5 {
					time.Sleep(time.Duration(i) * time.Millisecond)
					if _, err = c.Write([]byte{0}); err != nil {
						break
					}
				}
				_ = c.Close()
				late := time.Since(began) > linger.Time/2 // the broker does not wait for ever
				switch {
				case err == nil:
					return
				case !late || time.Now().After(end):
					t.Fatal(err)
				}
			}
		})
	}
}

// A packet may be divided among WebSocket messages, and a message hold several.
func TestWebSocketMessages(t *testing.T) {
	s := startSecure(t, nil)
	d := websocket.Dialer{Subprotocols: []string{"mqtt"}}
	ws, answer, err := d.Dial("ws://"+s.ws+"/mqtt", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if got := answer.Header.Get("Sec-WebSocket-Protocol"); got != "mqtt" {
		t.Errorf("subprotocol %q", got)
	}
	var b bytes.Buffer
	pk := connectPacket("dev", "app1", s.key1)
	pk.ProtocolVersion, pk.Connect.ProtocolName = 4, []byte("MQTT")
	if err := pk.ConnectEncode(&b); err != nil {
		t.Fatal(err)
	}
	b.Write([]byte{0xc0, 0, 0xc0, 0}) // two pings
	for _, part := range [][]byte{b.Bytes()[:1], nil, b.Bytes()[1:9], b.Bytes()[9:]} {
		if err := ws.WriteMessage(websocket.BinaryMessage, part); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for len(got) < 8 {
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		kind, p, err := ws.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatalf("message of kind %d, %v", kind, err)
		}
		got = append(got, p...)
	}
	if !bytes.Equal(got, []byte{0x20, 2, 0, 0, 0xd0, 0, 0xd0, 0}) {
		t.Errorf("got %x", got)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseUnsupportedData) {
		t.Errorf("a message of text: %v", err)
	}
}

// WebSocket has frames that bring no byte of MQTT. A client that sends them without a pause is slowed down, and is
// disconnected when that goes on, as one whose packets come so.
func TestHurriedFrames(t *testing.T) {
	nothing := string([]byte{0x80, 0, 0, 0, 0}) // no payload, and its mask
	const bye = "\x82\x82\x00\x00\x00\x00\xe0\x00"
	for _, tt := range []struct{ name, begin, frame, bye string }{
		{"PING", "", "\x89" + nothing, bye},
		{"empty messages", "", "\x82" + nothing, bye},
		{"empty parts of a message", "\x02" + nothing, "\x00" + nothing, "\x80" + bye[1:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := startSecure(t, nil)
			d := websocket.Dialer{Subprotocols: []string{"mqtt"}}
			client, _, err := d.Dial("ws://"+s.ws+"/mqtt", nil)
			if err != nil {
				t.Fatal(err)
			}
			r := over(t, ws.Over(client), 5)
			r.send(connectPacket("dev", "app1", s.key1))
			r.want(packets.Connack)
			_, _ = client.NetConn().Write([]byte(tt.begin))
			r.hurries(client.NetConn(), []byte(tt.frame), []byte(tt.bye))
		})
	}
}

// A client that does not speak MQTT over WebSocket gets an answer of HTTP, or none.
func TestWebSocketRefuses(t *testing.T) {
	s := startSecure(t, func(o *Options) { o.Origins = []string{"https://flows.example"} })
	tests := []struct {
		name      string
		origin    string
		protocols []string
		status    int // 0: taken
	}{
		{"no browser", "", []string{"mqtt"}, 0},
		{"MQTT 3.1", "", []string{"mqttv3.1"}, 0},
		{"one of two protocols", "", []string{"chat", "mqtt"}, 0},
		{"a page of this host", "http://" + s.ws, []string{"mqtt"}, 0},
		{"a page of another port of this host", "http://127.0.0.1:8080", []string{"mqtt"}, 0},
		{"a page of the list", "https://flows.example", []string{"mqtt"}, 0},
		{"a page of elsewhere", "https://evil.example", []string{"mqtt"}, http.StatusForbidden},
		{"a page without an origin", "null", []string{"mqtt"}, http.StatusForbidden},
		{"no protocol", "", nil, http.StatusBadRequest},
		{"another protocol", "", []string{"chat"}, http.StatusBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.origin != "" {
				h.Set("Origin", tt.origin)
			}
			c, answer, err := s.dialWS("ws", h, tt.protocols...)
			if c != nil {
				defer c.Close()
			}
			if (err == nil) != (tt.status == 0) || err != nil && (answer == nil || answer.StatusCode != tt.status) {
				t.Errorf("answer %v, %v; want status %d", answer, err, tt.status)
			}
		})
	}
	for name, tt := range map[string]struct{ send, want string }{
		"another path": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
		"no upgrade":   {"GET /mqtt HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", "HTTP/1.1 400"},
		"no HTTP":      {"\x10\x00", ""},
		"too long":     {"GET /mqtt HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20_000) + "\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", s.ws)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { _, _ = c.Write([]byte(tt.send + "\r\n\r\n")) }()
			_ = c.SetReadDeadline(time.Now().Add(patience))
			got, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(got), tt.want) || tt.want == "" && len(got) > 0 {
				t.Errorf("got %.60q, want %q", got, tt.want)
			}
		})
	}
}

// Garbage where TLS is spoken ends in nothing, and costs a good client nothing.
func TestTLSGarbage(t *testing.T) {
	s := startSecure(t, nil)
	for _, garbage := range []string{"\x10\x00", "\x16\x03\x01\xff\xff", "GET / HTTP/1.1\r\n\r\n", ""} {
		c, err := net.Dial("tcp", s.tls)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(garbage))
		_ = c.Close()
	}
	c, err := tls.Dial("tcp", s.tls, s.client)
	if err != nil {
		t.Fatal(err)
	}
	r := over(t, c, 4)
	r.send(connectPacket("dev", "app1", s.key1))
	r.want(packets.Connack)
	s.eventually("only the good client", func() bool { return s.Stats().Clients == 1 && s.pending() == 0 })
}

// Who only connects, or says one byte of a handshake, takes no turn of others: a good login
// of another address does not wait for him.
func TestTLSIsNotLockedOut(t *testing.T) {
	for name, begin := range map[string]string{"nothing": "", "a byte": "\x16"} {
		t.Run(name, func(t *testing.T) {
			s := startSecure(t, nil)
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 9, 1)}}
			for range 300 {
				c, err := d.Dial("tcp", s.tls)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_, _ = c.Write([]byte(begin))
			}
			began := time.Now()
			c, err := tls.Dial("tcp", s.tls, s.client)
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			r := over(t, c, 4)
			r.send(connectPacket("dev", "app1", s.key1))
			r.want(packets.Connack)
			if took := time.Since(began); took > 5*time.Second { // 300 turns take 13 s
				t.Errorf("a good login takes %v", took)
			}
		})
	}
}

func TestNewRefusesTLS(t *testing.T) {
	if _, err := New(Options{Keys: access.NewRegistry(""), TLSListen: []string{"127.0.0.1:0"}}); err == nil {
		t.Error("TLS without a certificate is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b, err := New(Options{Keys: access.NewRegistry(""), WebSocketListen: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(ctx); err != nil {
		t.Error(err)
	}
}
