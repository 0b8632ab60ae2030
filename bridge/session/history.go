package session

import (
	"slices"

	"lorawand/radio"
)

// historyLength is how many uplinks a History looks back.
const historyLength = 20

// History is what is remembered of a device's last uplinks: which gateways
// hear it, and how many frames get lost.
type History struct {
	uplinks uint32 // since the start
	heardBy []heard
	fCnts   []uint32 // at the current data rate, at most historyLength
	rate    radio.DataRate
}

// heard is the last uplink, by number, that a gateway has heard.
type heard struct {
	gateway radio.EUI64
	uplink  uint32
}

// Uplink notes a new frame.
func (h *History) Uplink(fCnt uint32, rate radio.DataRate) {
	h.uplinks++
	if rate != h.rate || len(h.fCnts) > 0 && fCnt <= h.fCnts[len(h.fCnts)-1] {
		h.rate, h.fCnts = rate, h.fCnts[:0]
	}
	if len(h.fCnts) == historyLength {
		h.fCnts = slices.Delete(h.fCnts, 0, 1)
	}
	h.fCnts = append(h.fCnts, fCnt)
}

// Joined notes that frame counters begin anew.
func (h *History) Joined() { h.fCnts = h.fCnts[:0] }

// HeardBy notes that a gateway has heard the last frame. Gateways that have
// not heard the device lately are forgotten.
func (h *History) HeardBy(gateway radio.EUI64) {
	h.heardBy = slices.DeleteFunc(h.heardBy, func(x heard) bool {
		return x.gateway == gateway || h.uplinks-x.uplink >= historyLength
	})
	h.heardBy = append(h.heardBy, heard{gateway, h.uplinks})
}

// Hears reports whether a gateway has heard one of the last 20 uplinks.
func (h *History) Hears(gateway radio.EUI64) bool {
	for _, x := range h.heardBy {
		if x.gateway == gateway {
			return h.uplinks-x.uplink < historyLength
		}
	}
	return false
}

// New reports whether no uplink was heard since the start but the one at hand.
func (h *History) New() bool { return h.uplinks <= 1 }

// Lost returns how many frames were lost among how many, over the last
// uplinks at the current data rate.
func (h *History) Lost() (lost, of uint32) {
	if len(h.fCnts) < 2 {
		return 0, 0
	}
	of = h.fCnts[len(h.fCnts)-1] - h.fCnts[0] + 1
	return of - uint32(len(h.fCnts)), of
}
