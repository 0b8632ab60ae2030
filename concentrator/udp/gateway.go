package udp

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// gateway is the state of one packet forwarder. The driver's lock guards it.
type gateway struct {
	eui      radio.EUI64
	clock    radio.Clock
	speed    speed // of the counter
	accepted bool  // served because of AcceptUnknown
	remote   bool  // not on this host, though its address may be the loopback: that of a tunnel
	odd      bool  // unreadable fields were already logged

	online bool
	since  radio.HostTime // when online last changed
	told   told
	heard  radio.HostTime // time of the last datagram from its own address

	// path is the address for downlinks: its IP is the pin, its port that of the
	// last PULL_DATA. It is not valid before the first PULL_DATA.
	path    netip.AddrPort
	pulled  radio.HostTime // time of the last PULL_DATA from path
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

func (d *Driver) newGateway(eui radio.EUI64) *gateway {
	return &gateway{eui: eui, remote: d.opts.Socket != nil, pending: map[uint16]unanswered{}}
}

// answered removes and returns the downlink that a TX_ACK answers. In version 1 it
// has no token: if the forwarder has never sent one back, it answers the only
// waiting downlink.
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

// foreign reports whether a datagram comes from another IP than the pinned one,
// while the pinned one is alive.
func (g *gateway) foreign(from netip.AddrPort, now radio.HostTime, timeout time.Duration) bool {
	return g.path.IsValid() && from.Addr() != g.path.Addr() && now.Sub(g.pulled) < timeout
}

// pull handles a PULL_DATA: it sets the downlink path to the sender. It returns
// false, and changes nothing, if the path is pinned to another IP. A new port of
// the same IP is accepted at once; another IP only after silence of the old one.
// The loopback wins over any other address, because programs on this machine are
// trusted.
func (g *gateway) pull(from netip.AddrPort, version uint8, now radio.HostTime, timeout time.Duration) bool {
	closer := g.isLocal(from) && !g.path.Addr().IsLoopback()
	if g.foreign(from, now, timeout) && !closer {
		return false
	}
	if g.path.IsValid() && g.path != from {
		g.clock.Suspect() // a restarted forwarder has another port
	}
	g.path, g.pulled, g.version = from, now, version
	return true
}

// movesTo returns what to tell of a PULL_DATA that takes the downlink path to another IP; "": it
// does not. That may be theft.
func (g *gateway) movesTo(from netip.AddrPort, now radio.HostTime) string {
	if !g.path.IsValid() || g.path.Addr() == from.Addr() {
		return ""
	}
	return fmt.Sprintf("its downlinks go to %v now; %v, to which they went, has sent no PULL_DATA for %v", from.Addr(),
		g.path.Addr(), now.Sub(g.pulled).Round(time.Second))
}

// seen records that the gateway is alive. A datagram from a foreign address does
// not prove that.
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
		Local: g.isLocal(from),
	}}
}

// isLocal reports whether an address shows that the gateway is on this host.
func (g *gateway) isLocal(from netip.AddrPort) bool { return !g.remote && from.Addr().IsLoopback() }

// uplinks removes duplicates and ghosts from frames, and adds times and tokens.
// reset says that the gateway's counter has started again. Frames from a foreign
// address do not adjust the clock and cannot be answered; nor can those of a gateway
// whose counter is none.
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
			g.speed.look(counter, now)
			noPath = g.speed.wrong()
		}
		up.Gateway, up.Received, up.Ended, up.NoPath = g.eui, now, now, noPath
		if t, err := g.clock.HostTime(up.Time, now); err == nil {
			up.Ended = min(t, now)
		}
		for i := range up.Receptions {
			r := &up.Receptions[i]
			r.NoDownlink = r.NoDownlink || noPath != ""
			r.Token = radio.UplinkToken{Gateway: g.eui, Antenna: r.Antenna, Time: up.Time, Host: now, GPS: up.GPS}
		}
		out = append(out, up)
	}
	return concentrator.WithoutGhosts(out), reset
}

// fingerprintSeed makes the fingerprints unpredictable, so that nobody can craft
// frames with equal ones.
var fingerprintSeed = maphash.MakeSeed()

// repeated reports whether the gateway has sent exactly this frame before, because
// a datagram came twice.
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

// unanswered removes the downlinks that done selects, without an answer.
func (g *gateway) unanswered(done func(unanswered) bool, now radio.HostTime) (acks []radio.TxAck) {
	for token, q := range g.pending {
		if done(q) {
			delete(g.pending, token)
			acks = append(acks, radio.TxAck{ID: q.id, Gateway: g.eui, Result: radio.TxNoAck, RoundTrip: now.Sub(q.at), At: now})
		}
	}
	return acks
}
