package frame

import "lorawand/radio"

// Head is what an uplink says of its sender without a key. Anybody can read it, and
// anybody can write it: nothing of it is proved by a MIC.
type Head struct {
	Type       MType
	DevAddr    radio.DevAddr // of data frames
	DevEUI     radio.EUI64   // of join-requests and rejoin-requests
	JoinEUI    radio.EUI64   // of join-requests, and of rejoin-requests of type 1
	HasJoinEUI bool
}

// HeadOf reads the head of an uplink. ok is false for frames of other types, and for those
// that are too short to be one.
func HeadOf(phy []byte) (h Head, ok bool) {
	m, err := TypeOf(phy)
	if err != nil {
		return h, false
	}
	h.Type = m
	switch m {
	case UnconfirmedUp, ConfirmedUp:
		if len(phy) < minDataSize {
			return h, false
		}
		copyReversed(h.DevAddr[:], phy[1:1+len(h.DevAddr)])
		return h, true
	case TypeJoinRequest:
		if len(phy) != joinRequestSize {
			return h, false
		}
		h.HasJoinEUI = true
		copyReversed(h.JoinEUI[:], phy[1:9])
		copyReversed(h.DevEUI[:], phy[9:17])
		return h, true
	case TypeRejoinRequest:
		r, err := ParseRejoinRequest(phy)
		if err != nil {
			return h, false
		}
		h.DevEUI, h.JoinEUI, h.HasJoinEUI = r.DevEUI, r.JoinEUI, r.Type == Rejoin1
		return h, true
	}
	return h, false
}
