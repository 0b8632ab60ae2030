package broker

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/intake"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/packet"
)

// Read implements net.Conn. The library gets whole packets, and only such as
// MQTT allows: see package packet. It belongs to the connection's goroutine.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		if pace.IsClosed(c.done) { // what was sent before is not for us any more
			return 0, net.ErrClosed
		}
		if err := c.readPacket(); err != nil {
			return 0, c.refused(err)
		}
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil // empty, it would hold the packet
		if cap(c.packet) > intake.Long {
			c.packet = nil
		}
	}
	return n, nil
}

// readPacket reads a packet and checks it. The error is a refusal if MQTT forbids it.
func (c *conn) readPacket() error {
	c.room.Leave() // the packet before was carried out
	if c.floods {
		return c.b.endFlood(c, PublishRefused, tooManyRefused)
	}
	if !c.b.hurry.Packet(c.login.Application, c.weight, len(c.packet), &c.row, c.done) {
		return c.b.endFlood(c, PacketRefused, tooFast)
	}
	if c.in.Buffered() > 0 {
		runtime.Gosched() // else one whose packets wait already holds a processor for 10 ms at a time
	}
	first, err := c.in.ReadByte()
	if err != nil {
		return err
	}
	if connect := first>>4 == packets.Connect; !connect && c.level == 0 {
		return errNotConnect
	}
	c.packet = append(c.packet[:0], first)
	var n int
	var shortest bool
	if c.packet, n, shortest, err = packet.ReadLength(c.in, c.packet); err != nil {
		return err
	}
	head := len(c.packet)
	c.weight = packet.Weight(first, n)
	if head+n > c.b.limits.PacketSize {
		return packet.TooLarge
	}
	if c.weight > 1 && !c.b.hurry.Packet(c.login.Application, c.weight-1, 0, &c.row, c.done) { // before it costs that
		return c.b.endFlood(c, PacketRefused, tooFast)
	}
	c.weight = min(c.weight, 1)
	if !c.room.Enter(&c.b.intake, c.login.Application, head+n, func() { go c.b.unfinished(c) }, c.done) {
		return net.ErrClosed
	}
	c.packet = slices.Grow(c.packet, n)[:head+n]
	if _, err := io.ReadFull(c.in, c.packet[head:]); err != nil {
		return err
	}
	c.room.Complete()
	if f := c.checkPacket(first, c.packet[head:]); f != packet.Accepted {
		return f
	}
	c.spoke.Store(true)            // a CONNECT that is not complete costs whoever sends it nothing
	if c.level == 5 && !shortest { // MQTT 5.0, 1.5.5; MQTT 3 does not ask for it
		return packet.Malformed
	}
	c.unread = c.packet
	return nil
}

// unfinished ends a connection whose packet does not come to its end while others wait for its room.
func (b *Broker) unfinished(c *conn) {
	r := Refused{What: PacketRefused, Why: unfinishedPacket, Address: c.addr.String()}
	application := ""
	if c.client.Load() != nil { // else its own goroutine may be writing the rest
		application, r.Application, r.Client = c.login.Application, c.claims, clip(c.id)
	}
	b.refused(application, r)
	b.lines.Say(b.log, slog.LevelWarn,
		"an MQTT client does not finish a long packet while others wait: it is disconnected",
		slog.String("application", r.Application), slog.String("address", r.Address))
	b.exceeds(c, packets.ErrQuotaExceeded)
}

var errNotConnect = errors.New("the first packet is no CONNECT")

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
