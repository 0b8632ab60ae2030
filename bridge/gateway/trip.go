package gateway

import (
	"slices"
	"time"
)

// The lead is how long before its start a downlink is handed to a gateway.
const (
	localLead   = 150 * time.Millisecond // where no network lies in between
	networkLead = 300 * time.Millisecond // otherwise; half a round trip is added
	// localTrip is the longest round trip without a network in between. A
	// multiplexer of packet forwarders may run on the loopback while its gateways
	// are in the network.
	localTrip = 50 * time.Millisecond
	// blindLead is for a forwarder that has never sent a TX_ACK. It may have no
	// queue of its own, and send each frame when it receives it.
	blindLead = 800 * time.Millisecond

	// latest is the shortest lead with which a gateway still accepts a downlink:
	// the time that the reference's queue needs (TX_START_DELAY 1.5 ms,
	// TX_MARGIN_DELAY 1 ms, TX_JIT_DELAY 40 ms; jitqueue.c of sx1302_hal 2.1.0),
	// plus one late wake-up.
	latest = 75 * time.Millisecond
)

// roundTrips are the last 32 round trips, in a ring.
type roundTrips struct {
	ring [32]time.Duration
	n    int // number of all round trips so far
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

// Answered records the round trip of a downlink that the gateway has answered.
func (g *Gateway) Answered(trip time.Duration) {
	g.Answers = true
	g.trips.add(max(trip, 0))
}

// RoundTrip returns the 90th percentile of the last round trips, or 0 where
// none is known.
func (g *Gateway) RoundTrip() time.Duration { return g.trips.p90() }

// near reports whether the gateway is on this host and none of its round trips
// shows a network in between.
func (g *Gateway) near() bool { return g.Local && g.trips.p90() <= localTrip }

// Lead returns how long before its start a downlink is handed to the gateway. Until
// then the downlink can be changed.
func (g *Gateway) Lead() time.Duration {
	switch {
	case !g.Answers:
		return blindLead
	case g.near():
		return localLead
	}
	// The estimate of the gateway's clock comes from its datagrams, and is late by
	// the transit time of the quickest one. So the way up counts too. With round
	// trips above some 500 ms that is more than networkLead has to spare.
	trip := g.trips.p90()
	return max(networkLead+trip/2, latest+trip)
}

// Latest returns the shortest time before its start at which a downlink must be
// handed over.
func (g *Gateway) Latest() time.Duration {
	if g.near() {
		return latest
	}
	return latest + g.trips.p90()/2
}
