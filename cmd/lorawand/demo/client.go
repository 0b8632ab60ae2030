package demo

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Types of MQTT 3.1.1 packets, in the upper half of the first byte (2.2.1).
const (
	connect     = 1 << 4
	connack     = 2 << 4
	publish     = 3 << 4
	puback      = 4 << 4
	subscribe   = 8<<4 | 2 // with the flags that it must have
	suback      = 9 << 4
	pingreq     = 12 << 4
	disconnect  = 14 << 4
	packetType  = 0xf0
	qos1        = 1 << 1 // flag of a PUBLISH
	qosMask     = 3 << 1
	subRefused  = 0x80
	packetID    = 1 // id of the only packet with one
	keepalive   = 60
	pingEvery   = keepalive / 2 * time.Second
	largestBody = 1 << 20 // bytes; our messages are shorter
)

// Flags of CONNECT (3.1.2.3).
const (
	cleanSession = 1 << 1
	hasPassword  = 1 << 6
	hasUser      = 1 << 7
)

// Login has what an application needs to log in to the broker.
type Login struct {
	Broker         string // host:port
	User, Password string
}

// Watch logs in as an MQTT 3.1.1 client, subscribes to one filter with QoS 0 and
// calls f for each message, until ctx or the connection ends. It calls ready when
// the subscription is granted; ready may be nil.
func (l Login) Watch(ctx context.Context, filter string, ready func(), f func(topic string, payload []byte)) error {
	err := l.dial(ctx, func(c net.Conn) error { return l.watch(c, filter, ready, f) })
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("mqtt: watch: %w", err)
}

// Publish logs in, publishes one message with QoS 1, waits for the acknowledgement
// and disconnects.
func (l Login) Publish(ctx context.Context, topic string, payload []byte) error {
	if err := l.dial(ctx, func(c net.Conn) error { return l.publish(c, topic, payload) }); err != nil {
		return fmt.Errorf("mqtt: publish: %w", errors.Join(err, ctx.Err()))
	}
	return nil
}

// dial calls do with a connection. The end of ctx closes the connection.
func (l Login) dial(ctx context.Context, do func(net.Conn) error) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", l.Broker)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	return do(c)
}

func (l Login) publish(c net.Conn, topic string, payload []byte) error {
	body := appendText(nil, topic)
	body = binary.BigEndian.AppendUint16(body, packetID)
	b := appendPacket(l.connect(), publish|qos1, append(body, payload...))
	if _, err := c.Write(b); err != nil {
		return err
	}
	for r := bufio.NewReader(c); ; {
		first, body, err := readPacket(r)
		if err == nil && first&packetType == connack {
			err = accepted(body)
		}
		switch {
		case err != nil:
			return err
		case first&packetType == puback:
			_, err := c.Write(appendPacket(nil, disconnect, nil))
			return err
		}
	}
}

// watch reads until the connection ends, and returns the reason.
func (l Login) watch(c net.Conn, filter string, ready func(), f func(topic string, payload []byte)) error {
	body := binary.BigEndian.AppendUint16(nil, packetID)
	body = append(appendText(body, filter), 0) // QoS
	if _, err := c.Write(appendPacket(l.connect(), subscribe, body)); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	// The broker expects packets from the client, even while it sends some itself.
	for ping := time.Now().Add(pingEvery); ; {
		if now := time.Now(); !now.Before(ping) {
			if _, err := c.Write(appendPacket(nil, pingreq, nil)); err != nil {
				return err
			}
			ping = now.Add(pingEvery)
		}
		if err := c.SetReadDeadline(ping); err != nil {
			return err
		}
		if _, err := r.Peek(1); err != nil {
			if t, ok := err.(net.Error); ok && t.Timeout() {
				continue
			}
			return err
		}
		// The rest of a packet follows its first byte at once.
		if err := c.SetReadDeadline(time.Now().Add(pingEvery)); err != nil {
			return err
		}
		first, body, err := readPacket(r)
		if err != nil {
			return err
		}
		if err := received(first, body, filter, ready, f); err != nil {
			return err
		}
	}
}

// received handles a packet for a subscriber.
func received(first byte, body []byte, filter string, ready func(), f func(topic string, payload []byte)) error {
	switch first & packetType {
	case connack:
		return accepted(body)
	case suback:
		if len(body) != 3 || body[2] >= subRefused {
			return fmt.Errorf("subscription to %q refused", filter)
		}
		if ready != nil {
			ready()
		}
	case publish:
		topic, payload, ok := cutText(body)
		if !ok || first&qosMask != 0 {
			return errPacket
		}
		f(topic, payload)
	}
	return nil
}

// accepted returns an error for a CONNACK that refuses.
func accepted(body []byte) error {
	if len(body) < 2 {
		return errPacket
	}
	if body[1] != 0 {
		return fmt.Errorf("login refused with code %d", body[1])
	}
	return nil
}

// connect returns the CONNECT packet (3.1). The broker chooses the client id.
func (l Login) connect() []byte {
	body := append(appendText(nil, "MQTT"), 4, cleanSession|hasUser|hasPassword, 0, keepalive)
	for _, text := range []string{"", l.User, l.Password} {
		body = appendText(body, text)
	}
	return appendPacket(nil, connect, body)
}

var errPacket = errors.New("not a packet of MQTT 3.1.1")

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return "", nil, false
	}
	return string(b[:n]), b[n:], true
}

// appendPacket appends a packet. Its length has 7 bits in each byte, the lowest
// first (2.2.3), which is what encoding/binary calls a varint.
func appendPacket(b []byte, first byte, body []byte) []byte {
	return append(binary.AppendUvarint(append(b, first), uint64(len(body))), body...)
}

func readPacket(r *bufio.Reader) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	if n > largestBody {
		return 0, nil, fmt.Errorf("%w: %d bytes", errPacket, n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return first, body, err
}
