//go:build !small

package ws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"lorawand/bridge/broker/overhead"
	"lorawand/bridge/broker/pace"
)

// Paths and names of MQTT over WebSocket (MQTT 5.0, 6), and limits in bytes.
const (
	path        = "/mqtt"
	maxUpgrade  = 8 << 10 // of the client's HTTP request
	bufferBytes = 1 << 10
	frameBytes  = 12 // of two of a client's shortest frames (RFC 6455, 5.2), which cost what a packet does
)

// protocols are the subprotocols that are spoken, the newest first. The second one is
// what some clients call MQTT 3.1.
var protocols = []string{"mqtt", "mqttv3.1"}

// Accept does the handshake of a connection, and returns the one whose bytes are those of
// MQTT. Pages of this host may connect, and of origins; "*" stands for all. A message of
// more than limit bytes ends the connection. Before each read framed is told as how many packets
// the bytes so far count that are not MQTT's; an error that it returns ends the connection too.
func Accept(nc net.Conn, origins []string, limit int, framed func(packets int) error) (net.Conn, error) {
	if err := nc.SetDeadline(time.Now().Add(pace.HandshakeTime)); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: nc, N: maxUpgrade}
	r := bufio.NewReaderSize(limited, bufferBytes)
	request, err := http.ReadRequest(r)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	limited.N = 1 << 62 // what follows has limits of its own
	in := overhead.New(nc, frameBytes, 0, framed)
	w := &upgrading{conn: in, rw: bufio.NewReadWriter(r, bufio.NewWriterSize(nc, bufferBytes)), header: http.Header{}}
	if problem, status := refuses(request); problem != "" {
		http.Error(w, problem, status)
		return nil, fmt.Errorf("WebSocket handshake: %s", problem)
	}
	u := websocket.Upgrader{
		Subprotocols: protocols, CheckOrigin: func(r *http.Request) bool { return isFriend(r, origins) },
		ReadBufferSize: bufferBytes, WriteBufferSize: bufferBytes,
	}
	ws, err := u.Upgrade(w, request, nil)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	ws.SetReadLimit(int64(limit))
	return &conn{Conn: nc, ws: ws, in: in}, nc.SetDeadline(time.Time{})
}

// refuses says why a request is none for MQTT, or returns "".
func refuses(r *http.Request) (problem string, status int) {
	switch {
	case r.URL.Path != path:
		return "MQTT is at " + path, http.StatusNotFound
	case !slices.ContainsFunc(websocket.Subprotocols(r), func(p string) bool {
		return slices.Contains(protocols, p)
	}):
		return "the subprotocol mqtt is not offered", http.StatusBadRequest
	}
	return "", 0
}

// isFriend reports whether a page may connect: one of this host, whatever its port, since
// pages are served on another port than this; or of an origin that the configuration names.
// Programs that are no browsers name none, and no browser names two (RFC 6454, 7.3).
func isFriend(r *http.Request, origins []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(origins, "*") {
		return true
	}
	if len(r.Header["Origin"]) > 1 {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	host = withoutPort(host)
	return host != "" && strings.EqualFold(host, withoutPort(r.Host)) || slices.ContainsFunc(origins, func(o string) bool {
		return strings.EqualFold(o, origin)
	})
}

// withoutPort returns the host of "host:port" or "host", an IPv6 address without brackets; ""
// for what is neither.
func withoutPort(host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return ""
	}
	return name
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

// Over returns a connection whose bytes go in binary messages, however they are divided
// (MQTT 5.0, 6.0). Its deadlines are those of c too.
func Over(c *websocket.Conn) net.Conn { return &conn{Conn: c.NetConn(), ws: c, in: &overhead.Conn{}} }

// conn is what Over returns.
type conn struct {
	net.Conn
	ws      *websocket.Conn
	in      *overhead.Conn // what ws reads, of a server
	message io.Reader      // at hand; nil: none
}

var errText = errors.New("a WebSocket message of text: MQTT is binary")

// Read implements net.Conn.
func (w *conn) Read(p []byte) (int, error) {
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
		w.in.GaveOut(n)
		if err == io.EOF {
			w.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (w *conn) Write(p []byte) (int, error) {
	if err := w.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetReadDeadline implements net.Conn.
func (w *conn) SetReadDeadline(t time.Time) error { return w.ws.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (w *conn) SetWriteDeadline(t time.Time) error { return w.ws.SetWriteDeadline(t) }
