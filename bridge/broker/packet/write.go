package packet

import (
	"encoding/binary"
	"slices"

	"github.com/mochi-mqtt/server/v2/packets"

	"lorawand/bridge/v3"
)

// What goes out is put together here and not by the library, whose packets are
// copied and allocated several times on their way.

// Publish is a message on its way to a client.
type Publish struct {
	Message  *v3.Message
	UID      string // how its topic calls the application
	QoS      byte
	IDs      []int // subscription identifiers
	Retained bool
	Version  byte // level of the client's protocol
	PacketID uint16
	Again    bool // it was sent before
}

const (
	flagRetain             = 1    // of the first byte of a PUBLISH: it was retained
	subscriptionIdentifier = 0x0b // property (MQTT 5.0, 2.2.2.2)
)

// Append appends a PUBLISH (MQTT 3.1.1 and 5.0, 3.3).
func (m *Publish) Append(dst []byte) []byte {
	// Room for what comes first, so that nothing of it is allocated.
	var topicRoom [160]byte
	var propertiesRoom [64]byte
	topic := m.Message.AppendTopic(topicRoom[:0], m.UID)
	properties := propertiesRoom[:0]
	length := 2 + len(topic) + len(m.Message.Payload)
	if m.QoS > 0 {
		length += 2
	}
	if m.Version >= 5 {
		properties = appendProperties(properties, m.IDs)
		length += len(properties)
	}
	first := packets.Publish<<4 | m.QoS<<1
	if m.Again {
		first |= flagDup
	}
	if m.Retained {
		first |= flagRetain
	}
	// A length is written as Go writes an unsigned varint (MQTT 5.0, 1.5.5).
	dst = binary.AppendUvarint(append(slices.Grow(dst, length+5), first), uint64(length))
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(topic))), topic...)
	if m.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, m.PacketID)
	}
	return append(append(dst, properties...), m.Message.Payload...)
}

// appendProperties appends the properties of a PUBLISH with their length.
func appendProperties(dst []byte, ids []int) []byte {
	var room [64]byte
	p := room[:0]
	for _, id := range ids {
		p = binary.AppendUvarint(append(p, subscriptionIdentifier), uint64(id))
	}
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

// AppendPubrel appends a PUBREL without a reason code: success.
func AppendPubrel(dst []byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, packets.Pubrel<<4|2, 2), id)
}

// Pubrel returns a PUBREL.
func Pubrel(id uint16) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pubrel, Qos: 1}, PacketID: id}
}

// Success returns an acknowledgement of a type.
func Success(typ byte, id uint16) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: typ}, PacketID: id}
}

// Nothing takes the place of a packet that the library is not to act on: it has no effect.
func Nothing(pk packets.Packet) packets.Packet {
	return packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, ProtocolVersion: pk.ProtocolVersion}
}
