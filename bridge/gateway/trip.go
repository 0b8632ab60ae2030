package gateway

import (
	"slices"
	"time"
)

// How far ahead of its time a downlink is handed to a gateway.
const (
	localLead   = 150 * time.Millisecond // where no network lies in between
	networkLead = 300 * time.Millisecond // elsewhere, and half a round trip
	// localTrip is the longest round trip without a network in between. A
	// multiplexer of packet forwarders is on the loopback, and the gateways are
	// behind it.
	localTrip = 50 * time.Millisecond
	// blindLead is for a forwarder that has never sent a TX_ACK: it may be one
	// without a queue of its own, which sends what it gets when its time comes.
	blindLead = 800 * time.Millisecond

	// latest is the least time before its start at which a gateway still takes a
	// downlink: what the reference's queue wants (TX_START_DELAY 1.5 ms, TX_MARGIN_DELAY
	// 1 ms, TX_JIT_DELAY 40 ms; jitqueue.c of sx1302_hal 2.1.0), and one late
	// wake-up.
	latest = 75 * time.Millisecond
)

// roundTrips are the last 32 round trips, in a ring.
type roundTrips struct {
	ring [32]time.Duration
	n    int // all that were noted
}

func (r *roundTrips) add(d time.Duration) {
	r.ring[r.n%len(r.ring)] = d
	r.n++
}

// p90 returns the 90th percentile of the round trips; 0 before the first.
func (r *roundTrips) p90() time.Duration {
	sorted := r.ring
	s := sorted[:min(r.n, len(sorted))]
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[len(s)*9/10]
}

// Answered notes that the gateway has answered a downlink after a round trip.
func (g *Gateway) Answered(trip time.Duration) {
	g.Answers = true
	g.trips.add(max(trip, 0))
}

// RoundTrip returns the 90th percentile of the last round trips, or 0 where
// none is known.
func (g *Gateway) RoundTrip() time.Duration { return g.trips.p90() }

// near reports whether the gateway is on this host, and no round trip that was
// measured shows a network behind it.
func (g *Gateway) near() bool { return g.Local && g.trips.p90() <= localTrip }

// Lead returns how long before the begin of a downlink it is handed to the
// gateway; until then it can be changed.
func (g *Gateway) Lead() time.Duration {
	switch {
	case !g.Answers:
		return blindLead
	case g.near():
		return localLead
	}
	// The clock of the gateway is known by what comes from there: it seems to be as
	// late as the quickest datagram, so the way up counts too. Beyond some 500 ms
	// that is more than what stands above half of a round trip.
	trip := g.trips.p90()
	return max(networkLead+trip/2, latest+trip)
}

// Latest returns how long before its begin a downlink must be handed over at
// the very least.
func (g *Gateway) Latest() time.Duration {
	if g.near() {
		return latest
	}
	return latest + g.trips.p90()/2
}
