package sx1302

import (
	"context"
	"time"

	"lorawand/concentrator"
	"lorawand/radio"
)

// listenWithin is how long it takes until a packet is armed that is listened
// for, on top of what arming takes without: nine commands with a pause before
// each, which kernels with coarse timers draw out, and the scan.
const listenWithin = 30 * time.Millisecond

// jitOptions are those of the queue.
func (c *Config) jitOptions() concentrator.JITOptions {
	if !c.LBT.Enabled {
		return concentrator.JITOptions{}
	}
	return concentrator.JITOptions{
		Lead: 40*time.Millisecond + listenWithin, MinLead: 15*time.Millisecond + listenWithin,
		MinArm: 3*time.Millisecond + listenWithin, Gap: 8*time.Millisecond + listenWithin, Later: true,
	}
}

// unsettled is a packet that is armed, but whose channel may turn out to be
// taken.
type unsettled struct {
	downlink radio.Downlink
	open     bool
}

// settle answers for packets whose channels have been found free or taken.
func (w *watch) settle() {
	for chain := range w.unsettled {
		if u := &w.unsettled[chain]; u.open {
			if r, decided := w.verdict(chain, u); decided {
				w.conclude(u, r)
			}
		}
	}
}

// verdict returns what has become of a packet. One of which the chip says
// nothing for too long is taken back.
func (w *watch) verdict(chain int, u *unsettled) (result radio.TxResult, decided bool) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	chip := w.driver.chip
	verdict, err := chip.Clearance(ctx, chain)
	switch {
	case verdict == ChannelFree:
		return radio.TxOK, true
	case verdict == ChannelTaken:
		w.driver.count(func(s *DriverStats) { s.Taken++ })
		w.driver.log.Info("downlink not sent, its channel was taken", "gateway", w.eui, "frequency", u.downlink.Frequency)
		return radio.TxChannelBusy, true
	case w.present() < u.downlink.Time.Add(lbtDecidedAfter):
		return 0, false
	}
	w.driver.log.Error("downlink taken back: the chip does not say whether its channel is free", "gateway", w.eui, "error", err)
	_ = w.free(chain) // an error ends the run
	return radio.TxUnknownError, true
}

// conclude gives a packet its answer.
func (w *watch) conclude(u *unsettled, r radio.TxResult) {
	u.open = false
	w.done(u.downlink, r)
}
