// Package client is an MQTT client of one connection, for MQTT 5 and 3.1.1. It publishes
// with QoS 1, in order and with a bounded number on their way, and tells of each PUBACK.
// It remembers nothing beyond its connection: what is not acknowledged is its owner's.
//
// It uses the codec of the broker's library. Eclipse Paho would need two libraries for
// the two versions, of which that for MQTT 5 alone makes the program for MIPS 262 kB
// longer, more than there is room for; it tells of no PUBACK without one goroutine for
// each message, and then sends them in any order.
package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Versions of MQTT, as the protocol counts them.
const (
	V311 byte = 4
	V5   byte = 5
)

// Limits.
const (
	writeTimeout  = 10 * time.Second // of a packet
	answerTimeout = 30 * time.Second // for CONNACK, SUBACK and PUBACK
	leaveTimeout  = 500 * time.Millisecond
	maxPacket     = 256 << 10 // bytes of a packet from the server
	received      = 32        // downlinks that wait to be handled
)

// Reasons for the end of a connection, or for a message that was not taken.
var (
	ErrVersion = errors.New("the server does not speak this version of MQTT")
	ErrClosed  = errors.New("the server ends the connection without an answer")
	ErrLogin   = errors.New("the server refuses the login")
	ErrRefused = errors.New("the server refuses the message")
	ErrSilent  = errors.New("the server is silent")
	errQoS     = errors.New("the server takes no message with QoS 1")
)

// Property is a user property.
type Property = packets.UserProperty

// Message is a message to publish.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
	User    []Property // MQTT 5 only
	// Done is called at the PUBACK, with ErrRefused if that says that the server will
	// never take this message; not if the connection ends before. It must not block.
	Done func(error)
}

// Received is a message from the server.
type Received struct {
	Topic   string
	Payload []byte
	Again   bool // it was sent before, under the same ID
	ID      uint16
}

// Options configures a Conn.
type Options struct {
	Version     byte
	ClientID    string
	UserName    string // "": none
	Password    string // "": none
	KeepAlive   time.Duration
	Expiry      time.Duration // how long the server keeps the session; 0: it begins anew each time
	Will, Birth *Message      // Birth is published once connected; nil: none
	Filters     []string      // that are subscribed to with QoS 1
	Window      int           // messages on their way

	// Received handles a message; after an error it is not acknowledged, and the
	// connection ends.
	Received func(context.Context, Received) error
	// Unheard is told of a filter that the server does not let us subscribe to.
	Unheard func(filter string)
}

// Conn is a connection.
type Conn struct {
	o         Options
	nc        net.Conn
	keepAlive time.Duration
	largest   uint32 // packet that the server takes; 0: any
	retain    bool   // the server retains
	window    chan struct{}
	inbox     chan Received
	r         *reader

	writing chan struct{} // has one element while something is written to nc, so that IDs rise on the wire

	mu      sync.Mutex
	flying  map[uint16]*flight
	last    uint16    // ID that was used
	heard   time.Time // when the last packet came
	sent    time.Time // when the last was sent
	subID   uint16
	subscAt time.Time // when SUBSCRIBE was sent; zero: it is answered
}

// flight is a message without a PUBACK.
type flight struct {
	m  *Message
	at time.Time
}

// Connect logs in over a connection, which it closes if that fails.
func Connect(ctx context.Context, nc net.Conn, o Options) (*Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	c := &Conn{
		o: o, nc: nc, r: newReader(nc, o.Version), keepAlive: o.KeepAlive, retain: true, heard: time.Now(),
		inbox: make(chan Received, received), flying: map[uint16]*flight{}, writing: make(chan struct{}, 1),
	}
	window, err := c.login()
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	c.window = make(chan struct{}, window)
	return c, nil
}

// login sends CONNECT and reads CONNACK. It returns how many messages may be on their
// way.
func (c *Conn) login() (window int, err error) {
	p := connectPacket(&c.o)
	if err := c.write(p); err != nil {
		return 0, err
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(answerTimeout))
	ack, err := c.r.packet()
	_ = c.nc.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, ErrVersion):
		return 0, err
	case isTimeout(err):
		return 0, ErrSilent
	case err != nil:
		return 0, fmt.Errorf("%w: %w", ErrClosed, err)
	case ack.FixedHeader.Type != packets.Connack:
		return 0, fmt.Errorf("packet %d instead of CONNACK", ack.FixedHeader.Type)
	case ack.ReasonCode != 0:
		return 0, loginError(c.o.Version, ack)
	}
	window = c.o.Window
	if c.o.Version == V5 {
		pr := &ack.Properties
		if pr.MaximumQosFlag && pr.MaximumQos == 0 {
			return 0, errQoS
		}
		if pr.ReceiveMaximum > 0 {
			window = min(window, int(pr.ReceiveMaximum))
		}
		if pr.ServerKeepAliveFlag {
			c.keepAlive = time.Duration(pr.ServerKeepAlive) * time.Second
		}
		c.largest, c.retain = pr.MaximumPacketSize, !pr.RetainAvailableFlag || pr.RetainAvailable == 1
	}
	return window, nil
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// Run reads until the connection or ctx ends, and says why it has ended. At the end of
// ctx it takes leave, so that the server does not publish the will.
func (c *Conn) Run(asked context.Context) error {
	ctx, cancel := context.WithCancelCause(asked)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer c.nc.Close()
	wg.Go(func() { cancel(c.read(ctx)) })
	wg.Go(func() { cancel(c.handle(ctx)) })
	if err := c.greet(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	t := time.NewTicker(c.beat())
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			if asked.Err() == nil {
				return context.Cause(ctx)
			}
			c.leave()
			return nil
		case <-t.C:
			if err := c.check(); err != nil {
				return err
			}
		}
	}
}

// beat returns how often the connection is looked at. A ping is sent at the latest after
// three quarters of the keep-alive time.
func (c *Conn) beat() time.Duration {
	if c.keepAlive <= 0 {
		return answerTimeout / 2
	}
	return min(c.keepAlive/4, answerTimeout/2)
}

// greet subscribes, and publishes that we are there.
func (c *Conn) greet(ctx context.Context) error {
	if len(c.o.Filters) > 0 {
		if err := c.subscribe(); err != nil {
			return err
		}
	}
	if c.o.Birth == nil || !c.retain && c.o.Birth.Retain {
		return nil
	}
	return c.Publish(ctx, c.o.Birth)
}

// check ends a connection whose other end does not answer, and pings.
func (c *Conn) check() error {
	c.mu.Lock()
	now := time.Now()
	silent := now.Sub(c.heard) > c.keepAlive+answerTimeout && c.keepAlive > 0
	late := !c.subscAt.IsZero() && now.Sub(c.subscAt) > answerTimeout
	for _, f := range c.flying {
		late = late || now.Sub(f.at) > answerTimeout
	}
	ping := c.keepAlive > 0 && now.Sub(c.sent) >= c.keepAlive/2
	c.mu.Unlock()
	if silent || late {
		return ErrSilent
	}
	if !ping {
		return nil
	}
	return c.write(&packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
}

// Publish sends a message. It waits while as many are on their way as may be. Only one
// goroutine may call it if the order matters.
func (c *Conn) Publish(ctx context.Context, m *Message) error {
	select {
	case c.window <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	p := &packets.Packet{
		ProtocolVersion: c.o.Version, TopicName: m.Topic, Payload: m.Payload,
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: m.Retain},
		Properties:  packets.Properties{User: m.User},
	}
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	p.PacketID = c.use(&flight{m, time.Now()})
	data, err := encode(p)
	if err == nil && c.largest > 0 && uint64(len(data)) > uint64(c.largest) {
		c.acknowledged(p.PacketID, fmt.Errorf("%w: it has %d bytes, at most %d", ErrRefused, len(data), c.largest))
		return nil
	}
	if err == nil {
		err = c.send(data)
	}
	return err
}

// use returns an ID that is not in use, for f; nil: for a SUBSCRIBE.
func (c *Conn) use(f *flight) uint16 {
	c.mu.Lock()
	for {
		c.last++
		if _, used := c.flying[c.last]; !used && c.last != 0 && c.last != c.subID {
			break
		}
	}
	if f != nil {
		c.flying[c.last] = f
	}
	id := c.last
	c.mu.Unlock()
	return id
}

// acknowledged ends the flight of a message. Other IDs, as of a PUBACK that comes twice,
// are ignored.
func (c *Conn) acknowledged(id uint16, err error) {
	c.mu.Lock()
	f := c.flying[id]
	delete(c.flying, id)
	c.mu.Unlock()
	if f == nil {
		return
	}
	<-c.window
	if f.m.Done != nil {
		f.m.Done(err)
	}
}

func (c *Conn) subscribe() error {
	p := &packets.Packet{
		ProtocolVersion: c.o.Version, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
	}
	for _, filter := range c.o.Filters {
		// What we publish ourselves does not come back (MQTT 5.0, 3.8.3.1).
		p.Filters = append(p.Filters, packets.Subscription{Filter: filter, Qos: 1, NoLocal: true})
	}
	p.PacketID = c.use(nil)
	c.mu.Lock()
	c.subID, c.subscAt = p.PacketID, time.Now()
	c.mu.Unlock()
	return c.write(p)
}

// leave says that the connection ends as it should. It does not wait for a network that
// takes nothing.
func (c *Conn) leave() {
	timer := time.AfterFunc(leaveTimeout, c.Close)
	defer timer.Stop()
	_ = c.write(&packets.Packet{
		ProtocolVersion: c.o.Version, FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
	})
}

func (c *Conn) write(p *packets.Packet) error {
	data, err := encode(p)
	if err != nil {
		return err
	}
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	return c.send(data)
}

// send writes a packet. writing has an element.
func (c *Conn) send(data []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	c.mu.Lock()
	c.sent = time.Now()
	c.mu.Unlock()
	_, err := c.nc.Write(data)
	return err
}

// Flying returns how many messages have no PUBACK.
func (c *Conn) Flying() int {
	c.mu.Lock()
	n := len(c.flying)
	c.mu.Unlock()
	return n
}

// Close ends the connection without leave.
func (c *Conn) Close() { _ = c.nc.Close() }
