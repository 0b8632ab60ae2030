// Package concentrator defines what every driver of gateways promises, whether it
// drives a chip, packet forwarders on the network or a simulated air.
package concentrator

import (
	"context"
	"errors"

	"lorawand/radio"
)

// ErrGateway is the reason for refusing a Downlink through an unknown gateway, or
// through one that cannot send now.
var ErrGateway = errors.New("no such gateway, or it cannot be sent to")

// Driver hears and transmits through one gateway or many.
type Driver interface {
	// Run works until ctx ends or the driver cannot go on, and tells sink what
	// happens. It returns nil after ctx has ended, and leaves no goroutine behind.
	Run(ctx context.Context, sink Sink) error

	// Transmit hands a frame to a gateway. After nil exactly one TxAck with the ID
	// of the Downlink follows; after an error, such as ErrGateway, none follows.
	// Any goroutine may call it. It does not wait for the transmission.
	Transmit(d radio.Downlink) error
}

// Sink receives what drivers hear. Its methods return at once, and several drivers
// may call them at the same time.
type Sink interface {
	Uplink(up radio.Uplink)
	TxAck(ack radio.TxAck)
	GatewayEvent(ev radio.GatewayEvent)
}

// ghostWindow is the greatest distance between two receptions of one frame by one
// gateway. A concentrator has one clock, and it also hears a strong frame on
// channels beside the frame's own.
const ghostWindow = 20 // µs

// WithoutGhosts removes the ghosts from uplinks of one gateway that came in one
// datagram or in one reading of the chip: of equal payloads within ±20 µs the
// strongest stays. It works in place.
func WithoutGhosts(ups []radio.Uplink) []radio.Uplink {
	out := ups[:0]
next:
	for _, up := range ups {
		for i := range out {
			if IsGhost(&out[i], &up) {
				if up.Signal() > out[i].Signal() {
					out[i] = up
				}
				continue next
			}
		}
		out = append(out, up)
	}
	return out
}

// IsGhost reports whether two receptions of one gateway are the same frame.
func IsGhost(a, b *radio.Uplink) bool {
	d := a.Time - b.Time
	return d >= -ghostWindow && d <= ghostWindow && string(a.PHYPayload) == string(b.PHYPayload)
}
