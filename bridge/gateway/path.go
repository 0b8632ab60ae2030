package gateway

import (
	"cmp"
	"slices"

	"lorawand/radio"
)

// Path is a gateway through which a device can be reached.
type Path struct {
	Gateway *Gateway
	Start   Moment // the end of the uplink that was heard by this path
	Signal  radio.Decibel
	SNR     radio.Decibel // very low where it is not known: no margin may be promised by it
	Antenna uint8
	Lost    bool // the gateway's counter has begun anew since, or the gateway was taken out
}

// AppendPaths appends the paths by which a gateway has heard an uplink and can
// answer: one for each antenna.
func AppendPaths(dst []Path, g *Gateway, up *radio.Uplink) []Path {
	const noSNR = radio.Decibel(-1_000_00)
	for i := range up.Receptions {
		r := &up.Receptions[i]
		if r.NoDownlink {
			continue
		}
		p := Path{Gateway: g, Start: Moment{up.Time, up.Ended}, Signal: r.Signal(), SNR: noSNR, Antenna: r.Antenna}
		if r.Knows(radio.FieldSNR) {
			p.SNR = r.SNR
		}
		dst = append(dst, p)
	}
	return dst
}

// SortPaths sorts paths by their signals, the strongest first.
func SortPaths(paths []Path) {
	slices.SortStableFunc(paths, func(a, b Path) int { return cmp.Compare(b.Signal, a.Signal) })
}
