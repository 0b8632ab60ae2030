package udp

import (
	"hash/maphash"
	"net/netip"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// gateway is what the driver knows of one packet forwarder. The driver's lock
// guards it.
type gateway struct {
	eui      radio.EUI64
	clock    radio.Clock
	accepted bool // with AcceptUnknown
	odd      bool // it was said that it sends fields that cannot be read

	online bool
	since  radio.HostTime // of online
	told   told
	heard  radio.HostTime // last datagram from its own address

	// path is where downlinks go: its address is the pin, its port the one of
	// the last PULL_DATA. Not valid before the first of these.
	path    netip.AddrPort
	pulled  radio.HostTime // last PULL_DATA from there
	version uint8          // of the protocol

	pending map[uint16]unanswered // by token
	echoes  bool                  // a TX_ACK had the token of its PULL_RESP

	recent [64]uint64 // fingerprints of the last frames
	next   int
}

// unanswered is a downlink that waits for its TX_ACK.
type unanswered struct {
	id uint64
	at radio.HostTime
}

func newGateway(eui radio.EUI64) *gateway {
	return &gateway{eui: eui, pending: map[uint16]unanswered{}}
}

// answered takes the downlink that a TX_ACK is about. Version 1 has no token in
// its PULL_RESP: a forwarder that has never sent one back means the only downlink
// that waits.
func (g *gateway) answered(p *gwmp.Packet) (q unanswered, ok bool) {
	token := p.Token
	if q, ok = g.pending[token]; ok {
		g.echoes = true
	} else if p.Version == gwmp.Version1 && !g.echoes && len(g.pending) == 1 {
		for token, q = range g.pending {
			ok = true
		}
	}
	delete(g.pending, token)
	return q, ok
}

// foreign reports whether a datagram comes from another IP than the one that
// the gateway is pinned to, and that one is alive.
func (g *gateway) foreign(from netip.AddrPort, now radio.HostTime, timeout time.Duration) bool {
	return g.path.IsValid() && from.Addr() != g.path.Addr() && now.Sub(g.pulled) < timeout
}

// pull takes a PULL_DATA: the downlink path goes there. It returns false, and
// changes nothing, where the path is pinned to another IP. A new port of the
// same IP is taken at once; another IP only when the old one has been silent;
// but the loopback beats any other, since what runs on this machine is ours.
func (g *gateway) pull(from netip.AddrPort, version uint8, now radio.HostTime, timeout time.Duration) bool {
	closer := from.Addr().IsLoopback() && !g.path.Addr().IsLoopback()
	if g.foreign(from, now, timeout) && !closer {
		return false
	}
	if g.path.IsValid() && g.path != from {
		g.clock.Suspect() // a forwarder that was started anew has another port
	}
	g.path, g.pulled, g.version = from, now, version
	return true
}

// seen notes that the gateway is alive. A foreign address proves nothing.
func (g *gateway) seen(from netip.AddrPort, now radio.HostTime, foreign bool) []radio.GatewayEvent {
	if foreign {
		return nil
	}
	g.heard = now
	if g.online {
		return nil
	}
	g.online, g.since, g.told = true, now, told{}
	return []radio.GatewayEvent{{
		Gateway: g.eui, Kind: radio.GatewayConnected, At: now, Address: from.String(),
		Local: from.Addr().IsLoopback(),
	}}
}

// uplinks completes frames: duplicates and ghosts go, times and tokens come.
// reset says that the gateway's counter has begun anew. What comes from a
// foreign address teaches the clock nothing and cannot be answered.
func (g *gateway) uplinks(ups []radio.Uplink, from netip.AddrPort, now radio.HostTime, foreign bool,
	stats *Stats,
) (out []radio.Uplink, reset bool) {
	noPath := ""
	if foreign && len(ups) > 0 {
		noPath = g.elsewhere(from)
	}
	out = ups[:0]
	for _, up := range ups {
		if !foreign && g.repeated(&up) {
			stats.Duplicates++
			continue
		}
		counter := up.Time.Counter()
		if foreign {
			if t, err := g.clock.Extend(counter, now); err == nil {
				up.Time = t
			}
		} else {
			t, stepped := g.clock.Observe(counter, now)
			up.Time, reset = t, reset || stepped
		}
		up.Gateway, up.Received, up.Ended, up.NoPath = g.eui, now, now, noPath
		if t, err := g.clock.HostTime(up.Time, now); err == nil {
			up.Ended = min(t, now)
		}
		for i := range up.Receptions {
			r := &up.Receptions[i]
			r.NoDownlink = r.NoDownlink || foreign
			r.Token = radio.UplinkToken{Gateway: g.eui, Antenna: r.Antenna, Time: up.Time, Host: now, GPS: up.GPS}
		}
		out = append(out, up)
	}
	return concentrator.WithoutGhosts(out), reset
}

// fingerprintSeed makes fingerprints that nobody outside can aim at.
var fingerprintSeed = maphash.MakeSeed()

// repeated reports whether the gateway has sent the very same frame before: a
// datagram came twice.
func (g *gateway) repeated(up *radio.Uplink) bool {
	var h maphash.Hash
	h.SetSeed(fingerprintSeed)
	_, _ = h.Write(up.PHYPayload)
	maphash.WriteComparable(&h, up.Time)
	maphash.WriteComparable(&h, up.Frequency)
	maphash.WriteComparable(&h, up.DataRate)
	sum := h.Sum64()
	for _, s := range g.recent {
		if s == sum {
			return true
		}
	}
	g.recent[g.next] = sum
	g.next = (g.next + 1) % len(g.recent)
	return false
}

// unanswered ends the downlinks that done says, without an answer.
func (g *gateway) unanswered(done func(unanswered) bool, now radio.HostTime) (acks []radio.TxAck) {
	for token, q := range g.pending {
		if done(q) {
			delete(g.pending, token)
			acks = append(acks, radio.TxAck{ID: q.id, Gateway: g.eui, Result: radio.TxNoAck, RoundTrip: now.Sub(q.at), At: now})
		}
	}
	return acks
}
