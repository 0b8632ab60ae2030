package sx1302

import (
	"time"

	"lorawand/radio"
)

// armed is a packet that was handed to the chip. It is open whether the packet is
// sent: LBT may find its channel busy, or the chip may miss its trigger.
type armed struct {
	downlink radio.Downlink
	waits    bool // its answer is open
}

// answerArmed answers packets that were sent or failed.
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

// answer answers a packet.
func (s *session) answer(p *armed, result radio.TxResult) {
	p.waits = false
	s.done(p.downlink, result)
}

// startedWithin is how long after the start of a packet the chip must have left its
// waiting state: as much as the counter and the host's clock drift apart between
// two readings, and some more.
const startedWithin = 3 * time.Millisecond

// triggerOutcome checks once whether the chip has started to send a packet. A chip
// that has missed the counter value waits until it comes round, 134 s later; then
// the packet is aborted. An error of the bus is left to poll.
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
