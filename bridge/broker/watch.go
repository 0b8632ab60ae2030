package broker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Watch logs in to a broker as an MQTT 3.1.1 client, subscribes to one filter
// with QoS 0 and calls f for each message, until ctx ends or the connection
// does. ready, which may be nil, is called once the subscription is granted.
//
// With Publish it is all that the demonstration needs of a client.
func Watch(ctx context.Context, addr, user, password, filter string, ready func(), f func(topic string, payload []byte)) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("mqtt: watch: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	err = watch(c, user, password, filter, ready, f)
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("mqtt: watch: %w", err)
}

// Publish logs in to a broker as an MQTT 3.1.1 client, publishes one message
// with QoS 1, waits for its acknowledgement and leaves.
func Publish(ctx context.Context, addr, user, password, topic string, payload []byte) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("mqtt: publish: %w", err)
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := publish(c, user, password, topic, payload); err != nil {
		return fmt.Errorf("mqtt: publish: %w", errors.Join(err, ctx.Err()))
	}
	return nil
}

func publish(c net.Conn, user, password, topic string, payload []byte) error {
	connect := loginPacket(user, password)
	pk := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1}, ProtocolVersion: 4, PacketID: 1, TopicName: topic, Payload: payload,
	}
	bye := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ProtocolVersion: 4}
	var b bytes.Buffer
	if err := errors.Join(connect.ConnectEncode(&b), pk.PublishEncode(&b), bye.DisconnectEncode(&b)); err != nil {
		return err
	}
	byeBytes := b.Bytes()[b.Len()-2:]
	if _, err := c.Write(b.Bytes()[:b.Len()-2]); err != nil {
		return err
	}
	for r := bufio.NewReader(c); ; {
		pk, err := readPacket(r)
		switch {
		case err != nil:
			return err
		case pk.FixedHeader.Type == packets.Connack && pk.ReasonCode != 0:
			return loginRefused(pk.ReasonCode)
		case pk.FixedHeader.Type == packets.Puback:
			_, err := c.Write(byeBytes)
			return err
		}
	}
}

func loginRefused(code byte) error { return fmt.Errorf("login refused with code %d", code) }

func loginPacket(user, password string) packets.Packet {
	return packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 4,
		Connect: packets.ConnectParams{
			ProtocolName: []byte("MQTT"), Clean: true, Keepalive: watchKeepalive,
			UsernameFlag: true, Username: []byte(user), PasswordFlag: true, Password: []byte(password),
		},
	}
}

const (
	watchKeepalive = 60 // s
	watchPing      = watchKeepalive / 2 * time.Second
)

// watch reads until the connection ends, and returns why.
func watch(c net.Conn, user, password, filter string, ready func(), f func(topic string, payload []byte)) error {
	connect := loginPacket(user, password)
	subscribe := packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, ProtocolVersion: 4, PacketID: 1,
		Filters: packets.Subscriptions{{Filter: filter}},
	}
	ping := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}}
	var b bytes.Buffer
	if err := errors.Join(connect.ConnectEncode(&b), subscribe.SubscribeEncode(&b), ping.PingreqEncode(&b)); err != nil {
		return err
	}
	pingBytes := b.Bytes()[b.Len()-2:]
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	// The broker counts what it hears from the client; that it sends a lot does
	// not matter.
	for ping := time.Now().Add(watchPing); ; {
		if now := time.Now(); !now.Before(ping) {
			if _, err := c.Write(pingBytes); err != nil {
				return err
			}
			ping = now.Add(watchPing)
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
		// What has begun to arrive arrives whole.
		if err := c.SetReadDeadline(time.Now().Add(watchPing)); err != nil {
			return err
		}
		pk, err := readPacket(r)
		if err != nil {
			return err
		}
		switch pk.FixedHeader.Type {
		case packets.Connack:
			if pk.ReasonCode != 0 {
				return loginRefused(pk.ReasonCode)
			}
		case packets.Suback:
			if len(pk.ReasonCodes) != 1 || pk.ReasonCodes[0] > 2 {
				return fmt.Errorf("subscription to %q refused", filter)
			}
			if ready != nil {
				ready()
			}
		case packets.Publish:
			f(pk.TopicName, pk.Payload)
		}
	}
}

func readPacket(r *bufio.Reader) (packets.Packet, error) {
	var pk packets.Packet
	first, err := r.ReadByte()
	if err != nil {
		return pk, err
	}
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	if pk.FixedHeader.Remaining, _, err = packets.DecodeLength(r); err != nil {
		return pk, err
	}
	pk.ProtocolVersion = 4
	body := make([]byte, pk.FixedHeader.Remaining)
	if _, err := io.ReadFull(r, body); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(body)
	case packets.Suback:
		err = pk.SubackDecode(body)
	case packets.Publish:
		err = pk.PublishDecode(body)
	}
	return pk, err
}
