package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/packet"
	"lorawand/bridge/v3"
)

// The library gets every PUBLISH as one of QoS 0, and no PUBREL: it would note the packet id of a publish before it is
// known whether that can be carried out, keep 900 bytes for each that is unfinished, and answer a PUBREL that comes
// again with an error. So what is acknowledged to a client is up to us.

// noTopic begins no topic of a client (MQTT 3.1.1, 1.5.3).
const noTopic = "\x00"

// publish takes notice of a PUBLISH, and returns what the library is to make of it.
func (h *hook) publish(c *conn, cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if pk.FixedHeader.Qos == 2 {
		switch again, full := h.b.session(cl.ID).received.Takes(pk.PacketID); {
		case again:
			// It was taken the first time, so the answer is success (MQTT 5.0, 4.3.3).
			_ = cl.WritePacket(packet.Success(packets.Pubrec, pk.PacketID))
			return packet.Nothing(pk), nil
		case full:
			h.b.refuses(c, PublishRefused, tooManyUnfinished, pk.TopicName)
			h.b.lines.Say(h.b.log, slog.LevelWarn,
				"an MQTT client does not release its publishes of QoS 2: it is disconnected", slog.String("client", cl.ID))
			return pk, h.b.server.DisconnectClient(cl, packets.ErrReceiveMaximum)
		}
	}
	c.publishQoS, c.publishID = pk.FixedHeader.Qos, pk.PacketID
	pk.FixedHeader.Qos, pk.FixedHeader.Dup, pk.PacketID = 0, false, 0
	if strings.HasPrefix(pk.TopicName, "$") { // some of these the library throws away
		pk.TopicName = noTopic + pk.TopicName
	}
	return pk, nil
}

// OnPublish implements mqtt.Hook. Whatever a client publishes is acknowledged and goes to no subscriber; a push is
// handed on first, and a push that cannot be stored ends the connection, so that the client knows and sends it again.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	pk.TopicName = strings.TrimPrefix(pk.TopicName, noTopic)
	refused, err := h.b.carryOut(c, &pk)
	if err != nil {
		cl.Stop(err)
		return pk, packets.ErrRejectPacket
	}
	switch c.publishQoS {
	case 1:
		_ = cl.WritePacket(packet.Success(packets.Puback, c.publishID))
	case 2:
		h.b.session(cl.ID).received.Add(c.publishID)
		_ = cl.WritePacket(packet.Success(packets.Pubrec, c.publishID))
	}
	c.floods = refused && h.b.futile.Floods(c.login.Application, &c.futile, pk.FixedHeader.Remaining, time.Now())
	return pk, packets.ErrRejectPacket // the library has nothing to do with it
}

// endFlood ends the connection of a client that sends too much, if it has not ended.
func (b *Broker) endFlood(c *conn, what Refusal, why string) error {
	if pace.IsClosed(c.done) {
		return net.ErrClosed
	}
	b.refuses(c, what, why, "")
	b.lines.Say(b.log, slog.LevelWarn, "an MQTT client sends too much: it is disconnected",
		slog.String("application", c.login.Application), slog.String("client", clip(c.id)),
		slog.String("address", c.addr.String()), slog.String("reason", why))
	c.packet = nil
	b.exceeds(c, packets.ErrMessageRateTooHigh)
	pace.Pause(b.stopping.Done())
	return net.ErrClosed
}

// carryOut does what a client's publish asks for, unless it is refused.
func (b *Broker) carryOut(c *conn, pk *packets.Packet) (refused bool, err error) {
	if b.isBirth(c, pk) {
		return false, nil
	}
	device, suffix, ok := b.checkPush(c, pk.TopicName)
	if !ok || b.opts.Push == nil {
		return !ok, nil
	}
	ctx, cancel := context.WithTimeout(b.stopping, b.limits.PushTimeout)
	defer cancel()
	err = b.opts.Push(ctx, Push{Login: c.login, Device: device, Replace: suffix == v3.DownReplace, Payload: pk.Payload})
	if errors.Is(err, ErrRefused) {
		return true, nil
	}
	if err != nil {
		b.log.Warn("a push could not be stored; its client is disconnected", "application", c.login.Application,
			"device_id", clip(device), "error", err)
	}
	return false, err
}

// released answers a PUBREL. It is a success also where the exchange is over already: a client that has not seen
// its PUBCOMP sends PUBREL once more when it comes back. A client of MQTT 5 can have as many of these as its
// receive maximum, so the last so many are remembered; MQTT 3 has no other answer.
func (b *Broker) released(cl *mqtt.Client, id uint16) {
	answer := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubcomp}, PacketID: id}
	if !b.session(cl.ID).received.Release(id) {
		answer.ReasonCode = packets.ErrPacketIdentifierNotFound.Code
	}
	_ = cl.WritePacket(answer)
}
