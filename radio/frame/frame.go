// Package frame parses and builds PHYPayloads: headers, MIC, encryption, frame
// counters. It knows the bytes of LoRaWAN, but no devices or sessions.
//
// Data frames are handled by our own code on crypto/aes, because they are on the
// path of every uplink: a Cipher keeps the key schedules of a session and allocates
// nothing. Joins are rare and use brocaar/lorawan; tests compare our code with that
// library. Its surprises stay inside this package: it never changes the caller's
// bytes, and its decoder, which writes to the global log, never gets MAC commands.
// No input makes this package panic.
package frame

import (
	"errors"
	"fmt"
	"math"
)

// Reasons for refusing a frame.
var (
	ErrFrame = errors.New("malformed frame") // not a LoRaWAN frame
	ErrMIC   = errors.New("wrong MIC")       // made with another key, or for another device
)

// MaxSize is the largest PHYPayload of the physical layer, bytes.
const MaxSize = 255

// MType is the message type: the upper three bits of the first byte.
// Source: LoRaWAN L2 1.0.4, 4.2.1.
type MType uint8

// Message types. What the joins carry has the plain names.
const (
	TypeJoinRequest MType = iota
	TypeJoinAccept
	UnconfirmedUp
	UnconfirmedDown
	ConfirmedUp
	ConfirmedDown
	TypeRejoinRequest
	Proprietary
)

// String returns the name of the specification in snake case.
func (m MType) String() string {
	switch m {
	case TypeJoinRequest:
		return "join_request"
	case TypeJoinAccept:
		return "join_accept"
	case UnconfirmedUp:
		return "unconfirmed_up"
	case UnconfirmedDown:
		return "unconfirmed_down"
	case ConfirmedUp:
		return "confirmed_up"
	case ConfirmedDown:
		return "confirmed_down"
	case TypeRejoinRequest:
		return "rejoin_request"
	}
	return "proprietary"
}

// Uplink reports whether end devices send this type.
func (m MType) Uplink() bool {
	return m == TypeJoinRequest || m == UnconfirmedUp || m == ConfirmedUp || m == TypeRejoinRequest
}

// Data reports whether this is a data frame, in either direction.
func (m MType) Data() bool { return m >= UnconfirmedUp && m <= ConfirmedDown }

// TypeOf returns the type of a PHYPayload. It returns ErrFrame if the first byte is
// not that of LoRaWAN R1, or if the size is impossible.
func TypeOf(phy []byte) (MType, error) {
	if len(phy) == 0 || len(phy) > MaxSize {
		return 0, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrFrame, len(phy), MaxSize)
	}
	m := MType(phy[0] >> 5)
	if phy[0]&0x1f != 0 && m != Proprietary {
		return 0, fmt.Errorf("%w: MHDR 0x%02x is not of LoRaWAN R1", ErrFrame, phy[0])
	}
	return m, nil
}

// NextFCnt returns the smallest full frame counter that is at least least and whose
// low 16 bits are low. ok is false beyond 2^32-1, where a session is used up.
func NextFCnt(least uint32, low uint16) (fCnt uint32, ok bool) {
	full := uint64(least&^0xffff) | uint64(low)
	if full < uint64(least) {
		full += 1 << 16
	}
	return uint32(full), full <= math.MaxUint32
}
