package udp

import (
	"fmt"
	"net/netip"
	"slices"

	"lorawand/radio"
)

// refusals are what was told lately of gateways that are not taken, the oldest
// first: that they are refused, and other causes for dropping what comes. Whoever
// reaches the port can claim any number of EUIs, so each is told once in a while only,
// and the number of them is limited, also for one host, so that a single host cannot hide
// the owner's new gateway.
type refusals []refusal

type refusal struct {
	eui   radio.EUI64
	cause cause
	host  netip.Prefix
	at    radio.HostTime
}

const (
	maxRefused     = 128 // that are told within toldAgain
	maxRefusedHost = 16  // of these, from one host
)

// note reports whether a cause is to be told, and remembers it then. A datagram
// without an EUI is one of its host.
func (r *refusals) note(eui radio.EUI64, c cause, from netip.Addr, now radio.HostTime) bool {
	for len(*r) > 0 && now.Sub((*r)[0].at) >= toldAgain {
		*r = (*r)[1:]
	}
	host, n := hostOf(from), 0
	for i := range *r {
		old := &(*r)[i]
		if old.eui == eui && old.cause == c && (!eui.IsZero() || old.host == host) {
			return false
		}
		if old.host == host {
			n++
		}
	}
	if len(*r) >= maxRefused || n >= maxRefusedHost {
		return false
	}
	*r = append(*r, refusal{eui, c, host, now})
	return true
}

// forget has a gateway's next refusal told.
func (r *refusals) forget(eui radio.EUI64) {
	*r = slices.DeleteFunc(*r, func(old refusal) bool { return old.eui == eui })
}

// hostOf returns what stands for one host: with IPv6 it has a whole /64.
func hostOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	host, _ := a.Prefix(bits) // not valid for an address that is not, which counts as one host
	return host
}

// refuse counts what came from a gateway that is not taken, and returns what is
// to be told of it, if anything. The lock is held.
func (d *Driver) refuse(eui radio.EUI64, from netip.AddrPort, now radio.HostTime) []radio.GatewayEvent {
	d.stats.UnknownGateway++
	if !d.refusals.note(eui, unknownGateway, from.Addr(), now) {
		return nil
	}
	why := "not in the configuration"
	if d.opts.AcceptUnknown {
		why = fmt.Sprintf("not in the configuration, and %d such gateways are taken already", MaxUnknown)
	}
	return []radio.GatewayEvent{{Gateway: eui, Kind: radio.GatewayRefused, At: now, Address: from.String(), Fault: why}}
}
