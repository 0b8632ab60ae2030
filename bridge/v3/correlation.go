package v3

import (
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Kinds of correlation ids.
const (
	GatewayConnection   = "gs:conn:"
	GatewayUplink       = "gs:uplink:"
	NetworkUplink       = "ns:uplink:"
	ApplicationUp       = "as:up:"
	ApplicationDownlink = "as:downlink:"
	Transmission        = "ns:transmission:"
	GatewayTxAck        = "gs:tx_ack:"
)

// ULIDEntropy is the number of random bytes in a ULID.
const ULIDEntropy = 10

// AppendCorrelationID appends the kind and a ULID, which is made of a time in ms
// and random bytes.
//
// Source: ULID specification, github.com/ulid/spec: 48 bits of Unix time in ms
// and 80 random bits in Crockford's base32, 26 characters.
func AppendCorrelationID(dst []byte, kind string, t time.Time, entropy [ULIDEntropy]byte) []byte {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ms := ulidTime(t)
	dst = append(dst, kind...)
	for shift := 45; shift >= 0; shift -= 5 {
		dst = append(dst, digits[ms>>shift&31])
	}
	var acc, bits uint
	for _, c := range entropy {
		acc = acc<<8 | uint(c)
		for bits += 8; bits >= 5; bits -= 5 {
			dst = append(dst, digits[acc>>(bits-5)&31])
		}
		acc &= 1<<bits - 1
	}
	return dst
}

// ULID returns a ULID as 16 bytes. A session_key_id is one.
func ULID(t time.Time, entropy [ULIDEntropy]byte) (id [16]byte) {
	ms := ulidTime(t)
	binary.BigEndian.PutUint16(id[:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	copy(id[6:], entropy[:])
	return id
}

// ulidTime returns Unix time in ms, or 0 for a time before 1970 and for the zero
// time.
func ulidTime(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// ErrorCorrelationID returns the CorrelationID of an Error: 32 hexadecimal
// digits, a random UUID (RFC 9562, 5.4) without its dashes.
func ErrorCorrelationID(entropy [16]byte) string {
	entropy[6] = entropy[6]&0x0f | 0x40
	entropy[8] = entropy[8]&0x3f | 0x80
	return hex.EncodeToString(entropy[:])
}
