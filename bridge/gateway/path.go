package gateway

import (
	"slices"

	"lorawand/radio"
)

// Path is a gateway that can reach a device.
type Path struct {
	Gateway *Gateway
	Start   Moment // the end of the uplink, heard on this path
	Signal  radio.Decibel
	SNR     radio.Decibel // very low where it is unknown, so that nothing relies on a margin
	Antenna uint8
	Lost    bool // the counter of the gateway has started again since, or the gateway was removed
}

// AppendPaths appends the paths on which a gateway has heard an uplink and can
// answer it: one for each antenna.
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
	for i := range paths { // there are a few
		for j := i; j > 0 && paths[j].Signal > paths[j-1].Signal; j-- {
			paths[j], paths[j-1] = paths[j-1], paths[j]
		}
	}
}

// Heard returns the best SNR of paths, of which there is one at least, and how many gateways
// they are of.
func Heard(paths []Path) (best radio.Decibel, gateways int) {
	best = paths[0].SNR
	for i := range paths {
		best = max(best, paths[i].SNR)
		if !slices.ContainsFunc(paths[:i], func(p Path) bool { return p.Gateway == paths[i].Gateway }) {
			gateways++
		}
	}
	return best, gateways
}
