package hearing

import (
	"slices"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// Gathering is what a frame is published with.
type Gathering struct {
	Data     frame.Data // parts of the PHYPayload of the first copy
	IDs      []string   // correlation ids
	Copies   []radio.Uplink
	Expected []radio.EUI64 // gateways that have not reported yet

	one [1]radio.Uplink // room for Copies
}

// Begin takes the first copy.
func (g *Gathering) Begin(up *radio.Uplink) { g.Copies = append(g.one[:0], *up) }

// Add takes another copy, and reports whether no further one is expected.
func (g *Gathering) Add(up *radio.Uplink) (complete bool) {
	g.Copies = append(g.Copies, *up)
	g.Expected = slices.DeleteFunc(g.Expected, func(e radio.EUI64) bool { return e == up.Gateway })
	return len(g.Expected) == 0
}

// Replace takes a copy in place of the one from the same source.
func (g *Gathering) Replace(up *radio.Uplink) {
	of := session.SourceOf(up)
	g.Copies[slices.IndexFunc(g.Copies, func(c radio.Uplink) bool { return session.SourceOf(&c) == of })] = *up
}

// Pool keeps a Gathering for the next frame: every frame needs one, and nearly always for one step. The
// zero value is ready for use.
type Pool struct{ spare *Gathering }

// Get returns an empty Gathering, which Take takes out of the pool.
func (p *Pool) Get() *Gathering {
	if p.spare == nil {
		p.spare = new(Gathering)
	}
	return p.spare
}

// Take says that the Gathering of Get is kept.
func (p *Pool) Take() { p.spare = nil }

// Release gives a Gathering back.
func (p *Pool) Release(g *Gathering) {
	*g = Gathering{}
	p.spare = g
}
