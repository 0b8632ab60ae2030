package udp

import (
	"fmt"
	"net/netip"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// cause is why a datagram, or what stands in it, is dropped or cannot be
// answered.
type cause uint8

// Causes. Each is told on its own, of each gateway on its own: none hides another.
const (
	unknownGateway cause = iota // its EUI is not taken
	malformed                   // not of the protocol
	faulty                      // a frame, or the status
	secondAddress               // from another IP than the one that the gateway is pinned to
	noPullData                  // frames come, and no PULL_DATA
	tooMany                     // more came than could be read
	numCauses
)

var causeWords = [...]string{
	unknownGateway: "unknown_gateway", malformed: "malformed", faulty: "faulty", secondAddress: "second_address",
	noPullData: "no_pull_data", tooMany: "too_many",
}

// toldAgain is how long a cause that goes on is not told again.
const toldAgain = 10 * time.Minute

// told is when the causes of a gateway were told last.
type told [numCauses]struct {
	at    radio.HostTime
	known bool
}

// note reports whether a cause is to be told, and remembers it then.
func (t *told) note(c cause, now radio.HostTime) bool {
	if t[c].known && now.Sub(t[c].at) < toldAgain {
		return false
	}
	t[c].at, t[c].known = now, true
	return true
}

// dropped returns what is to be told of a datagram, if anything. eui is the gateway
// that it says to be of, zero where it says none. The lock is held.
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

// tellDropped is dropped for who does not hold the lock.
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

// elsewhere says why what comes from another address gets no answer.
func (g *gateway) elsewhere(from netip.AddrPort) string {
	return fmt.Sprintf("it comes from %v, and the gateway is pinned to %v, which is alive", from.Addr(), g.path.Addr())
}

// pathError is why nothing can be sent to a gateway, for people too. It is a
// concentrator.ErrGateway.
type pathError string

func (e pathError) Error() string { return string(e) }

// Is implements what errors.Is asks for.
func (e pathError) Is(target error) bool { return target == concentrator.ErrGateway }

// pullGrace is how long after its first datagram a gateway may be without a
// PULL_DATA: forwarders send one every 5 to 10 s.
const pullGrace = 30 * time.Second

// noPath says why nothing can be sent to the gateway; "" means that it can.
func (g *gateway) noPath(now radio.HostTime, timeout time.Duration) string {
	switch silent := now.Sub(g.pulled); {
	case !g.path.IsValid():
		return "it has sent no PULL_DATA yet"
	case silent > timeout:
		return fmt.Sprintf("its last PULL_DATA was %v ago", silent.Round(time.Second))
	}
	return ""
}
