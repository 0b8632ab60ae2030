package udp

import (
	"net/netip"

	"lorawand/radio"
)

// Link is the connection of a gateway at a moment.
type Link struct {
	Path    netip.AddrPort // the address for downlinks; not valid before the first PULL_DATA
	Pulled  radio.HostTime // time of the last PULL_DATA from there
	Version uint8          // of the protocol
}

// Online reports whether a gateway is on line here.
func (d *Driver) Online(eui radio.EUI64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gateways[eui]
	return g != nil && g.online
}

// Links returns the links of the gateways that have sent a PULL_DATA.
func (d *Driver) Links() map[radio.EUI64]Link {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[radio.EUI64]Link{}
	for eui, g := range d.gateways {
		if g.path.IsValid() {
			out[eui] = Link{g.path, g.pulled, g.version}
		}
	}
	return out
}
