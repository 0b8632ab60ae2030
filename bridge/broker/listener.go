package broker

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/intake"
	"lorawand/bridge/broker/linger"
	"lorawand/bridge/broker/nowait"
	"lorawand/bridge/broker/pace"
)

// conn is a client's connection. It has a deadline of its own for each write,
// so that a client that does not read is cut off.
type conn struct {
	net.Conn               // with TLS and WebSocket, once their handshakes are done
	raw       *linger.Conn // below these
	b         *Broker
	door      door
	addr      netip.Addr
	source    netip.Addr    // what limits of an address go by: see pace.SourceOf
	done      chan struct{} // closed with the connection
	over      chan struct{} // closed when the library has done with it
	gone      chan struct{} // closed when the broker and the gate have too
	closeOnce sync.Once

	// What is read; of the connection's goroutine.
	in     *bufio.Reader
	level  byte         // protocol level of the CONNECT; 0: there was none
	packet []byte       // at hand
	unread []byte       // of it, by the library
	room   intake.Place // of the packet, if it is long
	row    pace.Row     // of packets that come without a pause
	weight int          // it counts as so many packets; 0: it was waited for
	floods bool         // its application has published too much that is refused, and it has a part in that
	futile time.Time    // when its last publish was refused, or it has come

	// Of the CONNECT; set by the client's goroutine before others see them.
	version    byte
	id         string // as the client calls itself
	claims     string // the application, or before the login the begin of what the client says of it
	login      access.Login
	since      time.Time // when it has logged in
	persistent bool
	expiry     time.Duration // of the session, after the connection
	shortened  bool          // the client had asked for a longer one
	rounded    time.Duration // what the library leaves out of one and a half times the keep-alive
	window     int           // QoS 1 and 2 messages that the client takes at a time
	most       int           // the longest packet that the client takes, bytes; 0: no limit
	answered   bool          // the CONNECT was answered by us, whatever the library answers

	// Of the PUBLISH at hand.
	publishQoS byte
	publishID  uint16

	client atomic.Pointer[mqtt.Client] // set once the client has logged in
	spoke  atomic.Bool                 // it has sent a whole packet
	failed atomic.Bool                 // its login was refused
}

// readAhead is how much is read at once of a connection, in bytes; longer packets are read into their own place.
const readAhead = 1 << 10

func (b *Broker) newConn(nc net.Conn, d door) *conn {
	c := &conn{raw: &linger.Conn{Conn: nc}, b: b, door: d, futile: time.Now()}
	c.done, c.over, c.gone = make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.take(c.raw)
	if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.addr = ap.Addr().Unmap().WithZone("")
		c.source = pace.SourceOf(c.addr)
	}
	return c
}

// Write implements net.Conn. Some of what the library sends goes nowhere.
func (c *conn) Write(p []byte) (int, error) {
	if len(p) > 0 && c.isUnwanted(p[0]>>4) {
		return len(p), nil
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.b.limits.WriteDeadline)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	switch {
	case err != nil:
		_ = c.Close() // half a packet may be out: nothing sensible can follow
	case len(p) > 0 && p[0]>>4 == packets.Disconnect:
		c.raw.LastWord()
	}
	return n, err
}

// take reads and writes by a connection.
func (c *conn) take(nc net.Conn) { c.Conn, c.in = nc, bufio.NewReaderSize(nc, readAhead) }

// isUnwanted reports whether a packet must not be sent though the library does:
// a DISCONNECT to clients of MQTT 3, which know none from servers.
func (c *conn) isUnwanted(typ byte) bool {
	return typ == packets.Disconnect && c.version < 5 || typ == packets.Connack && c.answered
}

// SetDeadline implements net.Conn. The library sets it for the keep-alive, which is about what the client sends, to one
// and a half times as much, rounded down to a second.
func (c *conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t.Add(c.rounded)) }

// Close implements net.Conn.
func (c *conn) Close() error {
	c.closeOnce.Do(func() { close(c.done) })
	return c.raw.Close()
}

// cut closes the connection at once, and ends what waits for its end.
func (c *conn) cut() {
	_ = c.Close()
	c.raw.Cut()
}

// isOver reports whether the library has done with the connection.
func (c *conn) isOver() bool { return pace.IsClosed(c.over) }

// door is what is spoken below MQTT.
type door uint8

const doorTCP, doorTLS, doorWebSocket door = 0, 1, 2

// String returns "tcp", "tls" or "websocket".
func (d door) String() string { return [...]string{"tcp", "tls", "websocket"}[d] }

// listener is a listener of ours for the library.
type listener struct {
	id       string
	door     door
	b        *Broker
	listener net.Listener
	once     sync.Once
}

var _ listeners.Listener = (*listener)(nil)

// Init implements listeners.Listener; the socket is open already.
func (l *listener) Init(*slog.Logger) error { return nil }

// ID implements listeners.Listener.
func (l *listener) ID() string { return l.id }

// Address implements listeners.Listener.
func (l *listener) Address() string { return l.listener.Addr().String() }

// Protocol implements listeners.Listener.
func (l *listener) Protocol() string { return l.door.String() }

// Serve implements listeners.Listener. It accepts until Close.
func (l *listener) Serve(establish listeners.EstablishFn) {
	for {
		nc, err := l.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.b.log.Warn("cannot accept a connection", "error", err)
			select {
			case <-l.b.stopping.Done():
				return
			case <-time.After(100 * time.Millisecond): // such as no file descriptors left
			}
			continue
		}
		c := l.b.newConn(stream(nc), l.door)
		victim, ok := l.b.gate.enter(c)
		if !ok {
			_ = nc.Close()
			continue
		}
		if victim != nil {
			l.b.gaveWay(victim)
		}
		_ = c.SetReadDeadline(time.Now().Add(l.b.limits.ConnectTimeout))
		go l.serve(c, establish)
	}
}

// stream returns a connection whose writes seldom wait.
func stream(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	_ = tcp.SetWriteBuffer(sendBuffer)
	return nowait.New(tcp)
}

// serve runs one connection to its end. The library's decoder can be made to
// panic from outside; that costs the connection and nothing else.
func (l *listener) serve(c *conn, establish listeners.EstablishFn) {
	defer l.b.farewells.Drain(c.raw)
	defer close(c.gone)
	defer l.b.gate.leave(c)
	defer c.Close()
	defer l.b.detach(c)
	defer close(c.over)
	defer c.room.Leave()
	defer func() {
		if r := recover(); r != nil {
			l.b.panics.Add(1)
			l.b.log.Error("internal fault while serving an MQTT client, which is disconnected",
				"fault", r, "address", c.addr.String(), "stack", string(debug.Stack()))
		}
	}()
	err := l.admit(c)
	if err == nil {
		err = establish(l.id, c)
	}
	c.in, c.packet, c.unread = nil, nil, nil // the library keeps connections of sessions that are kept
	l.b.log.Debug("client gone", "address", c.addr.String(), "application", c.login.Application, "error", err)
}

// admit does the handshakes that come before MQTT.
func (l *listener) admit(c *conn) (err error) {
	nc := c.Conn
	if l.door == doorTLS || l.door == doorWebSocket && l.b.opts.TLSConfig != nil {
		nc, err = l.encrypt(c, l.door == doorWebSocket)
	}
	if err == nil && l.door == doorWebSocket {
		nc, err = l.upgrade(c, nc)
	}
	if err != nil && !errors.Is(err, io.EOF) { // who only looks whether the port is open is no client
		l.b.refuses(c, LoginRefused, noHandshake, "")
	}
	if err != nil || l.door == doorTCP {
		return err
	}
	c.take(nc)
	return c.SetReadDeadline(time.Now().Add(l.b.limits.ConnectTimeout))
}

// goodbyeTime is how long clients have to take notice of a stop.
const goodbyeTime = time.Second

// Close implements listeners.Listener: MQTT 5 clients are told, then every connection is closed. The library's own way
// to tell them is not used: it takes a read lock twice, and hangs for ever when a client leaves in between.
func (l *listener) Close(listeners.CloseFn) {
	l.once.Do(func() {
		_ = l.listener.Close()
		told := make(chan struct{})
		go func() {
			defer close(told)
			for _, cl := range l.b.gate.tellable() {
				_ = l.b.server.DisconnectClient(cl, packets.ErrServerShuttingDown)
			}
		}()
		select {
		case <-told:
		case <-time.After(goodbyeTime):
		}
		l.b.gate.close()
	})
}
