package session

import (
	"slices"

	"lorawand/radio"
)

// Nonces are what was used of a device's nonces. Its fields are those of Device.
type Nonces struct {
	UsedDevNonces      []uint16
	LastDevNonce       uint16
	LastJoinNonce      uint32
	DevNoncesForgotten bool
	NextRJCount1       uint32
}

// Nonces returns the nonces that were used.
func (d *Device) Nonces() Nonces {
	return Nonces{d.UsedDevNonces, d.LastDevNonce, d.LastJoinNonce, d.DevNoncesForgotten, d.NextRJCount1}
}

// Of returns a device with nothing but these nonces.
func (n Nonces) Of(e radio.EUI64) *Device {
	return &Device{
		DevEUI: e, UsedDevNonces: n.UsedDevNonces, LastDevNonce: n.LastDevNonce, LastJoinNonce: n.LastJoinNonce,
		DevNoncesForgotten: n.DevNoncesForgotten, NextRJCount1: n.NextRJCount1,
	}
}

// Used reports whether a join is known.
func (n Nonces) Used() bool {
	return len(n.UsedDevNonces) > 0 || n.LastDevNonce > 0 || n.LastJoinNonce > 0
}

// AddNonces adds to what was used: nonces that were remain so.
func (d *Device) AddNonces(before Nonces) {
	own := d.Nonces()
	d.LastJoinNonce = max(own.LastJoinNonce, before.LastJoinNonce)
	d.LastDevNonce = max(own.LastDevNonce, before.LastDevNonce)
	d.NextRJCount1 = max(own.NextRJCount1, before.NextRJCount1)
	switch {
	case d.LastDevNonce > 0:
		d.DevNoncesForgotten = false
	case before.Used():
		// A newer join, of which only the JoinNonce is told, had DevNonce 0.
		newer := own.LastJoinNonce > before.LastJoinNonce && !own.DevNoncesForgotten
		d.DevNoncesForgotten = before.DevNoncesForgotten && !newer
	}
	used := slices.Clone(before.UsedDevNonces)
	for _, n := range own.UsedDevNonces {
		if !slices.Contains(used, n) {
			used = append(used, n)
		}
	}
	d.UsedDevNonces = used[max(len(used)-MaxDevNonces, 0):]
}
