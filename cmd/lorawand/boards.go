package main

import (
	"slices"
	"sync/atomic"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/concentrator/sx1302"
	"lorawand/radio"
)

// boards are the gateways with a concentrator on this host. Other goroutines may
// read them while a reload replaces some; everything else is for one goroutine.
type boards struct {
	make  func(g *config.Gateway, until radio.EUI64) (*onboard, error)
	start func(o *onboard)

	now    atomic.Pointer[boardList]
	stands int // number of stand-ins for EUIs so far
}

// boardList is immutable.
type boardList struct {
	boards []*onboard
	past   sx1302.DriverStats // counts of boards that are gone
}

func (b *boards) current() boardList {
	if l := b.now.Load(); l != nil {
		return *l
	}
	return boardList{}
}

// all returns the boards in the order of the configuration.
func (b *boards) all() []*onboard { return b.current().boards }

// has reports whether a gateway has its concentrator on this host. Until the chip has told its EUI, that of a
// gateway without one in the configuration is not known.
func (b *boards) has(eui radio.EUI64) bool {
	return slices.ContainsFunc(b.all(), func(o *onboard) bool { return o.EUI() == eui })
}

func (b *boards) set(list []*onboard, past sx1302.DriverStats) { b.now.Store(&boardList{list, past}) }

// stats returns the counts of all boards, present and past, so that no count ever
// falls.
func (b *boards) stats() sx1302.DriverStats {
	l := b.current()
	for _, o := range l.boards {
		l.past = l.past.Plus(o.Stats())
	}
	return l.past
}

// noise returns the noise floor of each channel of the boards that measure it.
func (b *boards) noise() (out []concentrator.Metric) {
	for _, o := range b.all() {
		for _, n := range o.Noise() {
			out = append(out, n.Metric(o.EUI()))
		}
	}
	return out
}

// stop stops all boards.
func (b *boards) stop() {
	for _, o := range b.all() {
		o.stop()
	}
}

func isOnBoard(g config.Gateway) bool { return g.Driver == "sx1302" }

// plan returns the boards of a configuration, which was checked: existing boards
// whose chip keeps its settings, and new ones. It starts and stops nothing. A new
// board on the device of an existing one has the same chip, and is the same gateway
// if the chip provides the EUI.
func (b *boards) plan(gws []config.Gateway) ([]*onboard, error) {
	var out []*onboard
	standing := b.all()
	for i := range gws {
		if !isOnBoard(gws[i]) {
			continue
		}
		o, err := b.make(&gws[i], standIn(b.stands))
		if err != nil {
			return nil, err
		}
		at := slices.IndexFunc(standing, func(s *onboard) bool {
			return s.chip.Board.Device == o.chip.Board.Device && !slices.Contains(out, s)
		})
		switch {
		case at < 0:
			b.stands++
		case standing[at].same(o):
			standing[at].planned = o.planned
			o = standing[at]
		case standing[at].named == o.named:
			o.Continue(standing[at].Gateway, false)
		default:
			b.stands++
		}
		out = append(out, o)
	}
	return out, nil
}

// exchange stops the boards that are not planned, calls change, and starts the new
// ones.
func (b *boards) exchange(planned []*onboard, sink concentrator.Sink, change func()) {
	before := b.current()
	for _, o := range before.boards {
		if slices.Contains(planned, o) {
			continue
		}
		o.halt(sink)
		before.past = before.past.Plus(o.Stats())
		for _, n := range planned {
			if n.Until() == o.Until() && n.named.IsZero() {
				n.Continue(o.Gateway, true)
			}
		}
	}
	b.set(planned, before.past)
	change()
	for _, o := range planned {
		o.SetPowerReserve(o.planned)
		if !slices.Contains(before.boards, o) {
			b.start(o)
		}
	}
}

// withStandIns returns the gateways, each with its EUI or a stand-in for it until
// the chip has told its own. on are their boards.
func withStandIns(gws []config.Gateway, on []*onboard) []config.Gateway {
	out := slices.Clone(gws)
	for i := range out {
		if !isOnBoard(out[i]) {
			continue
		}
		if out[i].EUI == "" {
			out[i].EUI = on[0].Until().String()
		}
		on = on[1:]
	}
	return out
}
