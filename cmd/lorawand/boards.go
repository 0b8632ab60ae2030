package main

import (
	"slices"
	"sync/atomic"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
	"lorawand/radio"
)

// boards are the gateways with a concentrator on board. Those that look at them
// may do so while a reload exchanges some; all else is for one goroutine.
type boards struct {
	make  func(g *config.Gateway, until radio.EUI64) (*onboard, error)
	start func(o *onboard)

	list   atomic.Pointer[[]*onboard]
	stands int // stand-ins for EUIs that were given out
}

// all returns them, in the order of the configuration.
func (b *boards) all() []*onboard {
	if l := b.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (b *boards) set(list []*onboard) { b.list.Store(&list) }

// stop ends all of them.
func (b *boards) stop() {
	for _, o := range b.all() {
		o.stop()
	}
}

func isOnBoard(g config.Gateway) bool { return g.Driver == "sx1302" }

// plan returns the boards of a configuration, which was checked: those that are
// there already and whose chip works as it says, and new ones. Nothing begins or
// ends. A new one on the device of another is the same chip, and the same
// gateway if its EUI is the chip's.
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
		at := slices.IndexFunc(standing, func(s *onboard) bool { return s.chip.Board.Device == o.chip.Board.Device && !slices.Contains(out, s) })
		switch {
		case at < 0:
			b.stands++
		case standing[at].same(o):
			o = standing[at]
		case standing[at].named == o.named:
			o.until = standing[at].until
		default:
			b.stands++
		}
		out = append(out, o)
	}
	return out, nil
}

// exchange ends the boards that are not planned, calls change, and begins those
// that are new.
func (b *boards) exchange(planned []*onboard, sink concentrator.Sink, change func()) {
	before := b.all()
	for _, o := range before {
		if slices.Contains(planned, o) {
			continue
		}
		o.halt(sink)
		for _, n := range planned {
			if n.until == o.until && n.named.IsZero() {
				n.eui = o.eui // the chip has told it
			}
		}
	}
	b.set(planned)
	change()
	for _, o := range planned {
		if !slices.Contains(before, o) {
			b.start(o)
		}
	}
}

// withStandIns returns the gateways with an EUI each, or what stands in for it
// until the chip has told its own. on are their boards.
func withStandIns(gws []config.Gateway, on []*onboard) []config.Gateway {
	out := slices.Clone(gws)
	for i := range out {
		if !isOnBoard(out[i]) {
			continue
		}
		if out[i].EUI == "" {
			out[i].EUI = on[0].until.String()
		}
		on = on[1:]
	}
	return out
}
