package joins

import (
	"io"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// addressTries is how often an address is drawn until one is free.
const addressTries = 64

// NewDevAddr draws an address that no session has, from one of the prefixes. ok is
// false if none was found.
func NewDevAddr(
	devices *session.Registry, entropy io.Reader, prefixes []radio.DevAddrPrefix,
) (a radio.DevAddr, ok bool) {
	for range addressTries {
		var b [5]byte
		_, _ = io.ReadFull(entropy, b[:])
		a := prefixes[int(b[4])%len(prefixes)].Address([4]byte(b[:4]))
		if !devices.InUse(a) {
			return a, true
		}
	}
	return radio.DevAddr{}, false
}
