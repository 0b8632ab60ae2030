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
		MinArm: 3*time.Millisecond + listenWithin, Gap: 8*time.Millisecond + listenWithin,
	}
}

// unsettled is a packet that is armed, and of which it is not known yet whether it
// was sent: its channel may turn out to be taken, or the chip miss its trigger.
type unsettled struct {
	downlink radio.Downlink
	open     bool
}

// settle answers for packets that were sent, or turned out not to be.
func (w *watch) settle() {
	for chain := range w.unsettled {
		if u := &w.unsettled[chain]; u.open {
			decide := w.started
			if w.driver.chip.config.LBT.Enabled {
				decide = w.verdict
			}
			if r, decided := decide(chain, u); decided {
				w.conclude(u, r)
			}
		}
	}
}

// startedWithin is how long after the begin of a packet the chip has surely left
// the state of waiting for it: as much as the counter and the host's clock run apart
// between two readings, and some.
const startedWithin = 3 * time.Millisecond

// started looks, once, whether the chip has begun to send a packet. A chip that has
// missed the value of the counter waits until it comes round, 134 s later, so the
// packet is aborted then. An error of the bus is left to poll.
func (w *watch) started(chain int, u *unsettled) (result radio.TxResult, decided bool) {
	if w.doubts > 0 || w.present() < u.downlink.Time.Add(startedWithin) {
		return 0, false
	}
	switch state, err := w.driver.chip.TxStatus(chain); {
	case err != nil:
		return 0, false
	case state != TxScheduled:
		return radio.TxOK, true
	}
	w.miss(chain, u, "the chip has missed its trigger")
	return radio.TxUnknownError, true
}

// miss takes back a packet that was not sent at its time.
func (w *watch) miss(chain int, u *unsettled, why string) {
	w.driver.count(func(s *DriverStats) { s.Missed++ })
	w.driver.log.Error("downlink not sent at its time", "gateway", w.eui, "frequency", u.downlink.Frequency, "reason", why)
	_ = w.free(chain) // an error ends the run
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
	why := "the chip does not say whether its channel is free"
	if err != nil {
		why = err.Error()
	}
	w.miss(chain, u, why)
	return radio.TxUnknownError, true
}

// conclude gives a packet its answer.
func (w *watch) conclude(u *unsettled, r radio.TxResult) {
	u.open = false
	w.done(u.downlink, r)
}
