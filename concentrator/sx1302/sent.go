package sx1302

import (
	"time"

	"lorawand/radio"
)

// armed is a packet that the chip has, and of which it is not known yet whether it was
// sent: LBT may find its channel busy, or the chip miss its trigger.
type armed struct {
	downlink radio.Downlink
	waits    bool // for its answer
}

// answerArmed answers for packets that were sent, or turned out not to be.
func (s *session) answerArmed() {
	outcome := s.triggerOutcome
	if s.driver.chip.config.LBT.Enabled {
		outcome = s.lbtOutcome
	}
	for chain := range s.armed {
		if p := &s.armed[chain]; p.waits {
			if result, known := outcome(chain, p); known {
				s.answer(p, result)
			}
		}
	}
}

// answer gives a packet its answer.
func (s *session) answer(p *armed, result radio.TxResult) {
	p.waits = false
	s.done(p.downlink, result)
}

// startedWithin is how long after the begin of a packet the chip has surely left the
// state of waiting for it: as much as the counter and the host's clock run apart between
// two readings, and some.
const startedWithin = 3 * time.Millisecond

// triggerOutcome looks, once, whether the chip has begun to send a packet. A chip that
// has missed the value of the counter waits until it comes round, 134 s later, so the
// packet is aborted then. An error of the bus is left to poll.
func (s *session) triggerOutcome(chain int, p *armed) (result radio.TxResult, known bool) {
	if s.clock.doubts > 0 || s.clock.at(s.driver.opts.Now()) < p.downlink.Time.Add(startedWithin) {
		return 0, false
	}
	switch state, err := s.driver.chip.TxStatus(chain); {
	case err != nil:
		return 0, false
	case state != TxScheduled:
		return radio.TxOK, true
	}
	s.miss(chain, p, "the chip has missed its trigger")
	return radio.TxUnknownError, true
}

// miss aborts a packet that was not sent at its time.
func (s *session) miss(chain int, p *armed, why string) {
	s.driver.count(func(s *DriverStats) { s.Missed++ })
	s.driver.log.Error("downlink not sent at its time", "gateway", s.eui, "frequency", p.downlink.Frequency, "reason", why)
	_ = s.free(chain) // an error ends the session
}
