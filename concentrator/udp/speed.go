package udp

import (
	"time"

	"lorawand/radio"
)

// speed finds out whether a gateway's counter counts µs. There are forwarders that put another
// number into tmst, such as ms. What is to be sent "in 5 s" by such a counter would go out in
// hours, or at once.
type speed struct {
	counter uint32
	at      radio.HostTime
	known   bool
	run     int // looks in a row that found it too slow (below 0), or too fast
}

const (
	// speedSpan is the least time between two looks: a network's delay must not look like speed.
	speedSpan = 10 * time.Second
	// speedMost is the longest time over which the counter's difference can be told from one of
	// another turn: it wraps after 71 minutes.
	speedMost = 30 * time.Minute
	// wrongLooks in a row decide: a restart is one, frames that the forwarder has kept for long are
	// one of each kind.
	wrongLooks = 3
)

// look notes a value of the counter.
func (s *speed) look(counter uint32, now radio.HostTime) {
	passed := now.Sub(s.at)
	if s.known && passed < speedSpan {
		return
	}
	if s.known && passed <= speedMost {
		counted := time.Duration(counter-s.counter) * time.Microsecond
		switch {
		case counted < passed/2:
			s.run = min(s.run, 0) - 1
		case counted > 2*passed:
			s.run = max(s.run, 0) + 1
		default:
			s.run = 0
		}
	}
	s.counter, s.at, s.known = counter, now, true
}

// wrong returns why nothing can be sent by the counter, or "".
func (s *speed) wrong() string {
	switch {
	case s.run <= -wrongLooks:
		return "its counter (tmst) is far too slow for microseconds: nothing can be sent in time by it"
	case s.run >= wrongLooks:
		return "its counter (tmst) is far too fast for microseconds: nothing can be sent in time by it"
	}
	return ""
}
