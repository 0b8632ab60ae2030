package v3

import (
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

// ULIDEntropy is how many random bytes a ULID takes.
const ULIDEntropy = 10

// CorrelationID returns the kind and a ULID made of a time, of which the ms
// count, and random bytes.
//
// Source: ULID specification, github.com/ulid/spec: 48 bits of Unix time in ms
// and 80 random bits in Crockford's base32, 26 characters.
func CorrelationID(kind string, t time.Time, entropy [ULIDEntropy]byte) string {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	ms := uint64(max(t.UnixMilli(), 0))
	b := make([]byte, len(kind), len(kind)+26)
	copy(b, kind)
	for shift := 45; shift >= 0; shift -= 5 {
		b = append(b, digits[ms>>shift&31])
	}
	var acc, bits uint
	for _, c := range entropy {
		acc = acc<<8 | uint(c)
		for bits += 8; bits >= 5; bits -= 5 {
			b = append(b, digits[acc>>(bits-5)&31])
		}
		acc &= 1<<bits - 1
	}
	return string(b)
}
