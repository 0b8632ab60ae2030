// Package concentrator says what every driver of gateways promises, whether
// it talks to a chip, to packet forwarders on the network or to a simulated air.
package concentrator

import (
	"context"
	"errors"
	"math"

	"lorawand/radio"
)

// ErrGateway is the reason for a Downlink through a gateway that the driver
// does not have, or cannot send to at the moment.
var ErrGateway = errors.New("no such gateway, or it cannot be sent to")

// Driver hears and transmits through one gateway or many.
type Driver interface {
	// Run works until ctx ends or the driver cannot go on, and tells sink what
	// happens. It returns nil after ctx, and leaves no goroutine behind.
	Run(ctx context.Context, sink Sink) error

	// Transmit hands a frame over. nil means that a TxAck with the Downlink's
	// ID follows, once, whatever happens; an error, ErrGateway among others,
	// that none does. It may be called from any goroutine and does not wait
	// for the transmission.
	Transmit(d radio.Downlink) error
}

// Sink takes what drivers hear. Its methods return at once, whatever goes on
// behind them, and may be called by several drivers at the same time.
type Sink interface {
	Uplink(up radio.Uplink)
	TxAck(ack radio.TxAck)
	GatewayEvent(ev radio.GatewayEvent)
}

// ghostWindow is how far apart two receptions of one frame by one gateway can
// be. One concentrator has one clock, and a strong frame is also heard beside
// its own channel.
const ghostWindow = 20 // µs

// WithoutGhosts returns the uplinks of one gateway that came in one datagram,
// or in one reading of the chip, without ghosts: of equal payloads within
// ±20 µs the strongest stays. It works in place.
func WithoutGhosts(ups []radio.Uplink) []radio.Uplink {
	out := ups[:0]
next:
	for _, up := range ups {
		for i := range out {
			if IsGhost(&out[i], &up) {
				if strength(&up) > strength(&out[i]) {
					out[i] = up
				}
				continue next
			}
		}
		out = append(out, up)
	}
	return out
}

// IsGhost reports whether two receptions by one gateway are of one frame.
func IsGhost(a, b *radio.Uplink) bool {
	d := a.Time - b.Time
	return d >= -ghostWindow && d <= ghostWindow && string(a.PHYPayload) == string(b.PHYPayload)
}

// strength is the best Signal of the antennas.
func strength(up *radio.Uplink) radio.Decibel {
	best := radio.Decibel(math.MinInt32)
	for i := range up.Receptions {
		best = max(best, up.Receptions[i].Signal())
	}
	return best
}
