// Package gwmp is the codec of the Semtech UDP protocol ("gateway message
// protocol") between a packet forwarder and a server, versions 1 and 2, both
// directions and both sides. It opens no sockets and keeps no state.
//
// Source: PROTOCOL.md of Semtech's packet_forwarder (protocol 1 and 2) and of
// sx1302_hal (2, JSON version 1.6); fields of the fine timestamps as the
// Kerlink and Semtech reference 2 forwarders write them.
package gwmp

import (
	"encoding/binary"
	"errors"
	"fmt"

	"lorawand/radio"
)

// ErrPacket is the reason for refusing a datagram that does not follow the
// protocol.
var ErrPacket = errors.New("malformed datagram")

// MaxSize is the longest datagram that is read, in bytes: the largest in IPv4.
const MaxSize = 65507

// Versions of the protocol. By its specification version 1 has no TX_ACK, but some
// forwarders send one. A datagram with another version is read like these and
// answered in its own version, as in The Things Stack.
const (
	Version1 = 1
	Version2 = 2
)

// Type is the kind of a datagram.
type Type uint8

// Kinds of datagrams.
const (
	PushData Type = iota // gateway: frames and status
	PushAck              // server: received it
	PullData             // gateway: downlinks may be sent to this address
	PullResp             // server: a frame to be sent
	PullAck              // server: received the PULL_DATA
	TxAck                // gateway: result of the frame
)

// String returns the name of the specification.
func (t Type) String() string {
	switch t {
	case PushData:
		return "PUSH_DATA"
	case PushAck:
		return "PUSH_ACK"
	case PullData:
		return "PULL_DATA"
	case PullResp:
		return "PULL_RESP"
	case PullAck:
		return "PULL_ACK"
	case TxAck:
		return "TX_ACK"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Packet is a datagram. Gateways send their EUI, servers do not.
type Packet struct {
	Version uint8
	Token   uint16 // an answer has the token of its question
	Type    Type
	EUI     radio.EUI64 // zero in datagrams of servers
	Body    []byte      // JSON, or empty
}

// fromGateway reports whether the type carries a gateway's EUI.
func (t Type) fromGateway() bool { return t == PushData || t == PullData || t == TxAck }

// ParsePacket reads the head of a datagram, or returns ErrPacket. Body is a part of
// b.
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < 4 {
		return Packet{}, fmt.Errorf("%w: %d bytes, want at least 4", ErrPacket, len(b))
	}
	p := Packet{Version: b[0], Token: binary.BigEndian.Uint16(b[1:]), Type: Type(b[3])}
	if p.Type > TxAck {
		return Packet{}, fmt.Errorf("%w: %v in version %d", ErrPacket, p.Type, p.Version)
	}
	b = b[4:]
	if p.Type.fromGateway() {
		if len(b) < 8 {
			return Packet{}, fmt.Errorf("%w: a %v of %d bytes has no room for an EUI", ErrPacket, p.Type, len(b)+4)
		}
		p.EUI = radio.EUI64(b[:8])
		b = b[8:]
	}
	p.Body = b
	return p, nil
}

// Append appends the datagram.
func (p Packet) Append(dst []byte) []byte {
	dst = append(dst, p.Version, byte(p.Token>>8), byte(p.Token), byte(p.Type))
	if p.Type.fromGateway() {
		dst = append(dst, p.EUI[:]...)
	}
	return append(dst, p.Body...)
}
