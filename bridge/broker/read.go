package broker

import (
	"errors"
	"io"
	"net"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/packet"
)

// Read implements net.Conn. The library gets whole packets, and only such as
// MQTT allows: see package packet. It belongs to the connection's goroutine.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		select {
		case <-c.done: // what was sent before is not for us any more
			return 0, net.ErrClosed
		default:
		}
		if err := c.readPacket(); err != nil {
			return 0, c.refused(err)
		}
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 && cap(c.packet) > keptPacket {
		c.packet = nil
	}
	return n, nil
}

// keptPacket is how long a buffer may be to be kept for the next packet, in bytes.
const keptPacket = 4 << 10

// readPacket reads a packet and checks it. The error is a refusal if MQTT forbids it.
func (c *conn) readPacket() error {
	first, err := c.in.ReadByte()
	if err != nil {
		return err
	}
	if connect := first>>4 == packets.Connect; !connect && c.level == 0 {
		return errNotConnect
	}
	c.packet = append(c.packet[:0], first)
	n, shortest, err := c.remainingLength()
	if err != nil {
		return err
	}
	head := len(c.packet)
	if head+n > c.b.limits.PacketSize {
		return packet.TooLarge
	}
	c.packet = slices.Grow(c.packet, n)[:head+n]
	if _, err := io.ReadFull(c.in, c.packet[head:]); err != nil {
		return err
	}
	if f := c.checkPacket(first, c.packet[head:]); f != packet.Accepted {
		return f
	}
	if !c.spoke.Load() { // a CONNECT that is not complete costs whoever sends it nothing
		c.spoke.Store(true)
	}
	if c.level == 5 && !shortest { // MQTT 5.0, 1.5.5; MQTT 3 does not ask for it
		return packet.Malformed
	}
	c.unread = c.packet
	return nil
}

var errNotConnect = errors.New("the first packet is no CONNECT")

// remainingLength reads the length of what follows, and whether it is written as
// short as it can be (MQTT 5.0, 2.1.4).
func (c *conn) remainingLength() (n int, shortest bool, err error) {
	for shift := 0; shift < 28; shift += 7 {
		b, err := c.in.ReadByte()
		if err != nil {
			return 0, false, err
		}
		c.packet = append(c.packet, b)
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, b != 0 || shift == 0, nil
		}
	}
	return 0, false, packet.Malformed
}

func (c *conn) checkPacket(first byte, rest []byte) (f packet.Refusal) {
	if first>>4 != packets.Connect {
		return packet.Check(c.level, first, rest)
	}
	if c.level != 0 {
		return packet.ProtocolError // MQTT 5.0, 3.1.0
	}
	c.level, f = packet.CheckConnect(first, rest)
	return f
}

// refused tells a client of MQTT 5 why its packet ends the connection, and the owner.
func (c *conn) refused(err error) error {
	f, ok := errors.AsType[packet.Refusal](err)
	switch {
	case errors.Is(err, errNotConnect):
		c.b.refuses(c, PacketRefused, notConnect, "")
	case ok:
		c.b.refuses(c, PacketRefused, f.Word(), "")
		c.b.log.Debug("a packet is refused", "address", c.addr.String(), "application", c.login.Application, "error", err)
	}
	if !ok || c.level != 5 {
		return err
	}
	cl := c.client.Load()
	if cl == nil {
		_, _ = c.Write([]byte{packets.Connack << 4, 3, 0, byte(f), 0})
		return err
	}
	cl.Lock() // as the library does when it writes
	defer cl.Unlock()
	_, _ = c.Write([]byte{packets.Disconnect << 4, 2, byte(f), 0})
	return err
}
