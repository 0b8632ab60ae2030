//go:build !small

package broker

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"lorawand/bridge/broker/pace"
)

// TLSConfig says how connections are encrypted.
type TLSConfig = tls.Config

// hasTLS says that this build can encrypt, and speaks WebSocket.
const hasTLS = true

// encrypt does the TLS handshake of a connection.
func (l *listener) encrypt(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	wait, ok := l.b.handshakes.Reserve(time.Now())
	if !ok {
		return nil, errHandshakes
	}
	select {
	case <-time.After(wait):
	case <-l.b.stop:
		return nil, net.ErrClosed
	}
	secure := tls.Server(nc, l.b.opts.TLSConfig)
	if err := secure.Handshake(); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	return secure, nc.SetDeadline(time.Time{})
}

var errHandshakes = errors.New("TLS handshake: too many others")

// typeHandshake is the first byte that a client of TLS sends (RFC 8446, 5.1); no
// HTTP request begins with it.
const typeHandshake = 0x16

// encryptIfAsked does the TLS handshake if the client begins one.
func (l *listener) encryptIfAsked(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	peeked := &peekedConn{Conn: nc, r: bufio.NewReaderSize(nc, readAhead)}
	first, err := peeked.r.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != typeHandshake {
		return peeked, nil
	}
	return l.encrypt(peeked)
}

// peekedConn is a connection of which something was read already.
type peekedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (p *peekedConn) Read(b []byte) (int, error) { return p.r.Read(b) }

// Paths and names of MQTT over WebSocket (MQTT 5.0, 6).
const (
	webSocketPath = "/mqtt"
	maxUpgrade    = 8 << 10 // bytes of the client's HTTP request
)

// webSocketProtocols are the subprotocols that are spoken, the newest first. The
// second one is what some clients call MQTT 3.1.
var webSocketProtocols = []string{"mqtt", "mqttv3.1"}

// upgrade does the WebSocket handshake of a connection.
func (l *listener) upgrade(nc net.Conn) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: nc, N: maxUpgrade}
	r := bufio.NewReaderSize(limited, readAhead)
	request, err := http.ReadRequest(r)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	limited.N = 1 << 62 // what follows has limits of its own
	w := &upgrading{conn: nc, rw: bufio.NewReadWriter(r, bufio.NewWriterSize(nc, readAhead)), header: http.Header{}}
	if problem, status := l.refusesUpgrade(request); problem != "" {
		http.Error(w, problem, status)
		return nil, fmt.Errorf("WebSocket handshake: %s", problem)
	}
	u := websocket.Upgrader{
		Subprotocols: webSocketProtocols, CheckOrigin: l.isFriend,
		ReadBufferSize: readAhead, WriteBufferSize: readAhead,
	}
	ws, err := u.Upgrade(w, request, nil)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	ws.SetReadLimit(int64(l.b.limits.PacketSize))
	return &webSocket{Conn: nc, ws: ws}, nc.SetDeadline(time.Time{})
}

// refusesUpgrade says why a request is none for MQTT, or returns "".
func (l *listener) refusesUpgrade(r *http.Request) (problem string, status int) {
	switch {
	case r.URL.Path != webSocketPath:
		return "MQTT is at " + webSocketPath, http.StatusNotFound
	case !slices.ContainsFunc(websocket.Subprotocols(r), func(p string) bool {
		return slices.Contains(webSocketProtocols, p)
	}):
		return "the subprotocol mqtt is not offered", http.StatusBadRequest
	}
	return "", 0
}

// isFriend reports whether a page may connect: one of this host, or of an origin
// that the configuration names. Programs that are no browsers name none.
func (l *listener) isFriend(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(l.b.opts.Origins, "*") {
		return true
	}
	_, host, _ := strings.Cut(origin, "://")
	return strings.EqualFold(host, r.Host) || slices.ContainsFunc(l.b.opts.Origins, func(o string) bool {
		return strings.EqualFold(o, origin)
	})
}

// upgrading is the answer to a request, as net/http would have it.
type upgrading struct {
	conn   net.Conn
	rw     *bufio.ReadWriter
	header http.Header
	status int
}

var _ http.Hijacker = (*upgrading)(nil)

func (u *upgrading) Header() http.Header { return u.header }

func (u *upgrading) WriteHeader(status int) { u.status = status }

func (u *upgrading) Write(p []byte) (int, error) {
	answer := http.Response{
		StatusCode: u.status, ProtoMajor: 1, ProtoMinor: 1, Header: u.header, Close: true,
		ContentLength: int64(len(p)), Body: io.NopCloser(bytes.NewReader(p)),
	}
	return len(p), answer.Write(u.conn)
}

// Hijack implements http.Hijacker.
func (u *upgrading) Hijack() (net.Conn, *bufio.ReadWriter, error) { return u.conn, u.rw, nil }

// webSocket is a connection whose bytes go in binary messages, however they are
// divided (MQTT 5.0, 6.0). The connection's deadlines are those of ws too.
type webSocket struct {
	net.Conn
	ws      *websocket.Conn
	message io.Reader // at hand; nil: none
}

var errText = errors.New("a WebSocket message of text: MQTT is binary")

// Read implements net.Conn.
func (w *webSocket) Read(p []byte) (int, error) {
	for {
		if w.message == nil {
			kind, r, err := w.ws.NextReader()
			switch {
			case websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway,
				websocket.CloseNoStatusReceived):
				return 0, io.EOF
			case err != nil:
				return 0, err
			case kind != websocket.BinaryMessage:
				why := websocket.FormatCloseMessage(websocket.CloseUnsupportedData, "")
				_ = w.ws.WriteControl(websocket.CloseMessage, why, time.Now().Add(time.Second))
				return 0, errText
			}
			w.message = r
		}
		n, err := w.message.Read(p)
		if err == io.EOF {
			w.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (w *webSocket) Write(p []byte) (int, error) {
	if err := w.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetReadDeadline implements net.Conn.
func (w *webSocket) SetReadDeadline(t time.Time) error { return w.ws.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (w *webSocket) SetWriteDeadline(t time.Time) error { return w.ws.SetWriteDeadline(t) }
