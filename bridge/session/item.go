package session

import (
	"time"

	"lorawand/radio"
)

// Item is a downlink that an application has asked for.
type Item struct {
	Seq        uint64 // orders the items of a device, and names this one in the store
	FPort      uint8  // 1 to 223
	FRMPayload []byte // plain
	Decoded    []byte `json:"-"` // decoded_payload, JSON with its keys sorted, until it is queued; nil: none
	// DecodedWarnings are those of the formatter that has made FRMPayload of Decoded.
	DecodedWarnings []string `json:"-"`
	Confirmed       bool
	Priority        radio.Priority
	// CorrelationIDs are the application's own and one of ours
	// ("as:downlink:…"), sorted.
	CorrelationIDs []string
	PushedAt       time.Time // zero: the calendar was not known
	// Arrived is when the item came, by the host's clock; 0: before the start.
	Arrived radio.HostTime `json:"-"`

	// Retry is how often a confirmed item is sent. MaxAttempts 0: the
	// application did not say. Attempt counts as The Things Stack does: from 1,
	// or from 0 where the application gave a confirmed_retry without one.
	MaxAttempts uint32
	Attempt     uint32
	// Sent says that a confirmed item was sent, with the FCntDown SentFCnt, and is not acknowledged yet. Records
	// of before have SentFCnt alone, where it is not 0.
	Sent     bool `json:",omitempty"`
	SentFCnt uint32

	// ClassBC asks for gateways or a time; such an item is not for Class A.
	ClassBC *ClassBC

	// What only applications that do their own cryptography use; echoed when
	// the item is queued, and of no effect.
	SessionKeyID []byte
	FCnt         uint32
}

// ClassBC is how an item for Class B or C is to be sent.
type ClassBC struct {
	Gateways     []GatewayAntenna
	AbsoluteTime time.Time // zero: none
}

// GatewayAntenna is one way out.
type GatewayAntenna struct {
	GatewayID string
	EUI       radio.EUI64
	Antenna   uint32
	Group     uint32
}
