package pace

import "net/netip"

// SourceOf returns what stands for an address where connections or logins of one
// address are counted: who has an IPv6 address has a /64 of them.
func SourceOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
