package foreign

import (
	"slices"

	"lorawand/radio"
	"lorawand/radio/frame"
)

// Selection says which frames a server gets. The zero value takes all frames that are not of our
// devices.
type Selection struct {
	// Own takes the frames of our devices too, and what is no LoRaWAN uplink. Without it the
	// frames of our devices never leave.
	Own bool
	// DevAddrs and JoinEUIs narrow the selection to frames that name one of them: data frames
	// by their DevAddr, join-requests by their JoinEUI. Both empty: all are taken.
	DevAddrs []radio.DevAddrPrefix
	JoinEUIs []radio.EUIPrefix
}

// Takes reports whether a frame is selected. own says that it is of a device of ours.
func (s *Selection) Takes(phy []byte, own bool) bool {
	if own && !s.Own {
		return false
	}
	narrow := len(s.DevAddrs)+len(s.JoinEUIs) > 0
	h, ok := frame.HeadOf(phy)
	switch {
	case !ok:
		return s.Own && !narrow
	case !narrow:
		return true
	case h.Type.Data():
		return slices.ContainsFunc(s.DevAddrs, func(p radio.DevAddrPrefix) bool { return p.Has(h.DevAddr) })
	}
	return h.HasJoinEUI && slices.ContainsFunc(s.JoinEUIs, func(p radio.EUIPrefix) bool { return p.Has(h.JoinEUI) })
}
