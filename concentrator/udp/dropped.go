package udp

import (
	"fmt"
	"net/netip"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// cause is the reason for dropping a datagram or a part of it, or for not being
// able to answer it.
type cause uint8

// Causes. Each is reported separately for each gateway, so that none hides another.
const (
	unknownGateway cause = iota // its EUI is not served
	malformed                   // not a datagram of the protocol
	faulty                      // a frame or a status is faulty
	secondAddress               // it comes from another IP than the one that the gateway is pinned to
	noPullData                  // frames come, but no PULL_DATA
	tooMany                     // more datagrams came than could be read
	wrongCounter                // its counter does not count µs, so it cannot be answered
	notAllowed                  // it comes from a network that is not allowed
	pathMoved                   // another IP gets the downlinks of the gateway from now on
	numCauses
)

var causeWords = [...]string{
	unknownGateway: "unknown_gateway", malformed: "malformed", faulty: "faulty", secondAddress: "second_address",
	noPullData: "no_pull_data", tooMany: "too_many", wrongCounter: "wrong_counter",
	notAllowed: "not_allowed", pathMoved: "path_moved",
}

// toldAgain is the shortest time between two reports of one cause.
const toldAgain = 10 * time.Minute

// told has the time when each cause of a gateway was last reported.
type told [numCauses]struct {
	at    radio.HostTime
	known bool
}

// note reports whether a cause is to be reported now. If so, it records that.
func (t *told) note(c cause, now radio.HostTime) bool {
	if t[c].known && now.Sub(t[c].at) < toldAgain {
		return false
	}
	t[c].at, t[c].known = now, true
	return true
}

// dropped returns the events about a dropped datagram. eui is the gateway that the
// datagram names, zero if it names none. The caller holds the lock.
func (d *Driver) dropped(eui radio.EUI64, from netip.AddrPort, now radio.HostTime, c cause,
	why string,
) []radio.GatewayEvent {
	if g := d.gateways[eui]; g != nil {
		if !g.told.note(c, now) {
			return nil
		}
	} else if !d.refusals.note(eui, c, from.Addr(), now) {
		return nil
	}
	e := radio.GatewayEvent{Gateway: eui, Kind: radio.GatewayDropped, At: now, Cause: c.String(), Fault: why}
	if from.IsValid() {
		e.Address = from.String()
	}
	return []radio.GatewayEvent{e}
}

// String returns the cause as a word.
func (c cause) String() string { return causeWords[c] }

// tellDropped is dropped for callers that do not hold the lock.
func (d *Driver) tellDropped(eui radio.EUI64, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink, c cause,
	why string,
) {
	d.mu.Lock()
	events := d.dropped(eui, from, now, c, why)
	d.mu.Unlock()
	tell(sink, events)
}

func (d *Driver) malformed(eui radio.EUI64, from netip.AddrPort, now radio.HostTime, sink concentrator.Sink,
	err error,
) {
	d.count(func(s *Stats) { s.Malformed++ })
	d.tellDropped(eui, from, now, sink, malformed, err.Error())
}

// elsewhere returns why a datagram from another address is not answered.
func (g *gateway) elsewhere(from netip.AddrPort) string {
	return fmt.Sprintf("it comes from %v, and the gateway is pinned to %v, which is alive", from.Addr(), g.path.Addr())
}

// pathError is the reason why nothing can be sent to a gateway, written for people.
// It is a concentrator.ErrGateway.
type pathError string

func (e pathError) Error() string { return string(e) }

// Is reports whether the target is concentrator.ErrGateway.
func (e pathError) Is(target error) bool { return target == concentrator.ErrGateway }

// pullGrace is how long after its first datagram a gateway may be without a
// PULL_DATA: forwarders send one every 5 to 10 s.
const pullGrace = 30 * time.Second

// noPath returns why nothing can be sent to the gateway, or "" if it can be
// reached.
func (g *gateway) noPath(now radio.HostTime, timeout time.Duration) string {
	switch silent := now.Sub(g.pulled); {
	case !g.path.IsValid():
		return "it has sent no PULL_DATA yet"
	case silent > timeout:
		return fmt.Sprintf("its last PULL_DATA was %v ago", silent.Round(time.Second))
	}
	return g.speed.wrong()
}
