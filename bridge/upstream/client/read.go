package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// reader reads packets from a server.
type reader struct {
	b       *bufio.Reader
	version byte
}

func newReader(from io.Reader, version byte) *reader {
	return &reader{bufio.NewReaderSize(from, 2048), version}
}

// packet reads a packet.
func (r *reader) packet() (p *packets.Packet, err error) {
	first, err := r.b.ReadByte()
	if err != nil {
		return nil, err
	}
	p = &packets.Packet{ProtocolVersion: r.version}
	if err := p.FixedHeader.Decode(first); err != nil {
		return nil, err
	}
	// A length is written as Go writes an unsigned varint (MQTT 5.0, 1.5.5).
	length, err := binary.ReadUvarint(r.b)
	if err != nil {
		return nil, err
	}
	if length > maxPacket {
		return nil, fmt.Errorf("a packet of %d bytes, at most %d", length, maxPacket)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r.b, body); err != nil {
		return nil, err
	}
	p.FixedHeader.Remaining = len(body)
	if r.version == V5 && p.FixedHeader.Type == packets.Connack && len(body) == 2 {
		return nil, ErrVersion // a CONNACK of 3.1.1 has no properties
	}
	return p, decode(p, body)
}

// decode reads the body of a packet. A server may send anything, and the library does
// not check everything.
func decode(p *packets.Packet, body []byte) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("malformed packet: %v", fault)
		}
	}()
	switch p.FixedHeader.Type {
	case packets.Connack:
		return p.ConnackDecode(body)
	case packets.Publish:
		return p.PublishDecode(body)
	case packets.Puback:
		return p.PubackDecode(body)
	case packets.Suback:
		return p.SubackDecode(body)
	case packets.Pingresp:
		return nil
	case packets.Disconnect:
		return p.DisconnectDecode(body)
	}
	return fmt.Errorf("a server may not send packet %d", p.FixedHeader.Type)
}

// encode returns the bytes of a packet.
func encode(p *packets.Packet) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(p.Payload) + 256)
	var err error
	switch p.FixedHeader.Type {
	case packets.Connect:
		err = p.ConnectEncode(&b)
	case packets.Publish:
		err = p.PublishEncode(&b)
	case packets.Puback:
		err = p.PubackEncode(&b)
	case packets.Subscribe:
		err = p.SubscribeEncode(&b)
	case packets.Pingreq:
		err = p.PingreqEncode(&b)
	case packets.Disconnect:
		err = p.DisconnectEncode(&b)
	}
	return b.Bytes(), err
}

// connectPacket returns the CONNECT.
func connectPacket(o *Options) *packets.Packet {
	p := &packets.Packet{
		ProtocolVersion: o.Version, FixedHeader: packets.FixedHeader{Type: packets.Connect},
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), ClientIdentifier: o.ClientID, Keepalive: uint16(o.KeepAlive / time.Second),
			Clean:    o.Expiry == 0,
			Username: []byte(o.UserName), UsernameFlag: o.UserName != "",
			Password: []byte(o.Password), PasswordFlag: o.Password != "",
		},
	}
	if w := o.Will; w != nil {
		p.Connect.WillFlag, p.Connect.WillQos, p.Connect.WillRetain = true, 1, w.Retain
		p.Connect.WillTopic, p.Connect.WillPayload = w.Topic, w.Payload
	}
	if o.Version == V5 {
		p.Properties = packets.Properties{
			ReceiveMaximum: received, MaximumPacketSize: maxPacket, SessionExpiryIntervalFlag: o.Expiry > 0,
			SessionExpiryInterval: uint32(o.Expiry / time.Second),
		}
	}
	return p
}

// loginError says why a login was refused.
func loginError(version byte, ack *packets.Packet) error {
	code := ack.ReasonCode
	if version == V311 {
		// Return codes 1 to 5 (MQTT 3.1.1, 3.2.2.3) as those of MQTT 5.
		code = [...]byte{0, 0x84, 0x85, 0x88, 0x86, 0x87}[min(code, 5)]
	}
	switch code {
	case 0x84:
		return ErrVersion
	case 0x85:
		return fmt.Errorf("%w: the client id is not valid", ErrLogin)
	case 0x86:
		return fmt.Errorf("%w: wrong user name or password", ErrLogin)
	case 0x87, 0x8a, 0x8c:
		return fmt.Errorf("%w: not authorized", ErrLogin)
	case 0x88, 0x89:
		return errors.New("the server is not available or busy")
	case 0x9a, 0x9b:
		return errors.New("the server takes no retained messages, or no QoS 1: set notifications to false")
	}
	return fmt.Errorf("%w: reason 0x%02x %.100q", ErrLogin, code, ack.Properties.ReasonString)
}

// read handles packets until the connection ends.
func (c *Conn) read(ctx context.Context) error {
	for {
		p, err := c.r.packet()
		if err != nil {
			return fmt.Errorf("the connection has ended: %w", err)
		}
		c.mu.Lock()
		c.heard = time.Now()
		c.mu.Unlock()
		switch p.FixedHeader.Type {
		case packets.Puback:
			err = c.puback(p)
		case packets.Suback:
			c.suback(p)
		case packets.Publish:
			err = c.deliver(ctx, p)
		case packets.Disconnect:
			err = fmt.Errorf("the server ends the connection: %s", disconnectText(p))
		}
		if err != nil {
			return err
		}
	}
}

func disconnectText(p *packets.Packet) string {
	switch p.ReasonCode {
	case 0x8e:
		return "another client has logged in with the same client id"
	case 0x8b:
		return "it stops"
	}
	return fmt.Sprintf("reason 0x%02x %.100q", p.ReasonCode, p.Properties.ReasonString)
}

// puback handles a PUBACK. Reasons that say nothing of the message itself, such as
// missing rights or a full server, end the connection: the message is kept.
func (c *Conn) puback(p *packets.Packet) error {
	switch code := p.ReasonCode; {
	case code < 0x80:
		c.acknowledged(p.PacketID, nil)
	case code == 0x90 || code == 0x95 || code == 0x99: // topic, size, payload
		c.acknowledged(p.PacketID, fmt.Errorf("%w: reason 0x%02x", ErrRefused, code))
	case code == 0x87:
		return errors.New("the server does not let us publish: not authorized")
	default:
		return fmt.Errorf("the server cannot take a message now: reason 0x%02x", code)
	}
	return nil
}

func (c *Conn) suback(p *packets.Packet) {
	c.mu.Lock()
	ours := p.PacketID == c.subID
	if ours {
		c.subscAt = time.Time{}
	}
	c.mu.Unlock()
	if !ours || c.o.Unheard == nil {
		return
	}
	for i, code := range p.ReasonCodes {
		if code >= 0x80 && i < len(c.o.Filters) {
			c.o.Unheard(c.o.Filters[i])
		}
	}
}

// deliver passes a message on. If too many wait the server must wait too.
func (c *Conn) deliver(ctx context.Context, p *packets.Packet) error {
	if p.FixedHeader.Qos == 2 {
		return errors.New("a message with QoS 2, and 1 was subscribed to")
	}
	m := Received{Topic: p.TopicName, Payload: p.Payload, Again: p.FixedHeader.Dup, ID: p.PacketID}
	select {
	case c.inbox <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handle handles the messages of the server one by one, and acknowledges them.
func (c *Conn) handle(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-c.inbox:
			if c.o.Received == nil {
				continue
			}
			if err := c.o.Received(ctx, m); err != nil {
				return fmt.Errorf("a message of the server cannot be handled now: %w", err)
			}
			if m.ID == 0 {
				continue
			}
			if err := c.write(&packets.Packet{
				ProtocolVersion: c.o.Version, FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: m.ID,
			}); err != nil {
				return err
			}
		}
	}
}
