package udp

import (
	"fmt"
	"net/netip"
	"slices"

	"lorawand/radio"
)

// refusals has the last reports about gateways that are not served, oldest first:
// refusals, and other causes for dropping their datagrams. Anybody who reaches the
// port can claim any number of EUIs. So each report is repeated only after a while,
// and their number is limited, in total and for each host, so that one host cannot
// hide the owner's new gateway.
type refusals []refusal

type refusal struct {
	eui   radio.EUI64
	cause cause
	host  netip.Prefix
	at    radio.HostTime
}

const (
	maxRefused     = 128 // reports within toldAgain
	maxRefusedHost = 16  // reports about one host
)

// note reports whether a cause is to be reported now. If so, it records that. A
// datagram without an EUI counts for its host.
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

// forget makes the next refusal of a gateway be reported.
func (r *refusals) forget(eui radio.EUI64) {
	*r = slices.DeleteFunc(*r, func(old refusal) bool { return old.eui == eui })
}

// hostOf returns the prefix that stands for one host. With IPv6 a host has a whole
// /64.
func hostOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	host, _ := a.Prefix(bits) // an invalid address has an invalid prefix, which counts as one host
	return host
}

// refuse counts a datagram of a gateway that is not served, and returns the events
// to report. The caller holds the lock.
func (d *Driver) refuse(eui radio.EUI64, from netip.AddrPort, now radio.HostTime) []radio.GatewayEvent {
	d.stats.UnknownGateway++
	if !d.refusals.note(eui, unknownGateway, from.Addr(), now) {
		return nil
	}
	why := "not in the configuration"
	if d.opts.AcceptUnknown {
		why = fmt.Sprintf("not in the configuration, and %d such gateways are served already", MaxUnknown)
	}
	return []radio.GatewayEvent{{Gateway: eui, Kind: radio.GatewayRefused, At: now, Address: from.String(), Fault: why}}
}
