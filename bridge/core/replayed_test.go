package core

import (
	"maps"
	"testing"
	"time"

	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// taken counts what was taken of frames: those that were published, and joins that were answered.
func (w *weather) taken() (n int) {
	w.Helper()
	w.pass(20 * time.Second) // until joins are answered
	for i := range w.ups {
		if w.ups[i].Suffix == v3.Up {
			n++
		}
	}
	for i := range w.sent {
		if m, err := frame.TypeOf(w.sent[i].PHYPayload); err == nil && m == frame.TypeJoinAccept {
			n++
		}
	}
	return n
}

// Every frame of a trace comes again, data and joins, of sessions that live and that have ended: through the
// gateway that has heard it and through another one, soon, a day later, and after a restart. None is taken
// twice. After a power cut those are, once, whose counters were not stored yet.
func TestTraceComesAgain(t *testing.T) {
	const unstored = 25
	w := newWeather(t, 5)
	w.calm = true
	var trace [][]byte
	length := fewer(1000)
	for len(trace) < length {
		n := w.nodes[w.rnd.Intn(len(w.nodes))]
		before := len(n.phys)
		w.send(n)
		trace = append(trace, n.phys[before:]...)
		if w.pass(time.Duration(1+w.rnd.Intn(9)) * time.Second); len(trace) == length-unstored {
			w.disk.firm = maps.Clone(w.disk.soft) // the commit interval is over
		}
	}
	first := w.taken()
	again := func(how string, g radio.EUI64, most int) (n int) {
		t.Helper()
		before := w.taken()
		for _, phy := range trace {
			w.hear(g, phy)
			w.pass(100 * ms)
		}
		if n = w.taken() - before; n > most {
			t.Errorf("%s: %d of %d frames are taken again, at most %d may be", how, n, len(trace), most)
		}
		return n
	}
	again("the same gateway", gwA, 0)
	again("another gateway", gwC, 0)
	w.pass(24 * time.Hour)
	again("a day later", gwB, 0)
	firm := w.disk.firm
	w.step(Stopping{})
	w.restart(w.disk.soft)
	w.gateways()
	again("after a restart", gwA, 0)
	w.restart(firm)
	w.gateways()
	cut := again("after a power cut", gwA, unstored)
	again("after a power cut, once more", gwC, 0)
	t.Logf("%d frames, %d of them taken; each came six times more: taken again 0, and of the %d whose counters were "+
		"not stored at a power cut %d", len(trace), first, unstored, cut)
	if first < length*9/10 || cut == 0 {
		t.Errorf("%d of %d frames were taken, %d after the power cut: that tests little", first, length, cut)
	}
}
