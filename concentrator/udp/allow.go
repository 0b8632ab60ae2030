package udp

import (
	"net/netip"
	"slices"

	"lorawand/concentrator"
	"lorawand/radio"
)

// allows reports whether datagrams of an address are read. Those of this host are, whatever the
// networks: its programs are trusted.
func (d *Driver) allows(a netip.Addr) bool {
	a = a.WithZone("")
	return len(d.opts.Allow) == 0 || a.IsLoopback() ||
		slices.ContainsFunc(d.opts.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// notAllowed counts a datagram that is not read, and reports the first in a while: any number of
// addresses can be forged, so it does not report each of them.
func (d *Driver) notAllowed(from netip.AddrPort, now radio.HostTime, sink concentrator.Sink) {
	d.mu.Lock()
	d.stats.NotAllowed++
	due := d.told.note(notAllowed, now)
	d.mu.Unlock()
	if due {
		sink.GatewayEvent(radio.GatewayEvent{
			Kind: radio.GatewayDropped, At: now, Cause: notAllowed.String(), Address: from.String(),
			Fault: "it comes from a network that is not allowed; others may too, and are only counted for a while",
		})
	}
}
