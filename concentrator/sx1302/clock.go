package sx1302

import (
	"time"

	"lorawand/radio"
)

// counterReading is a reading of the chip's counter. The counter had this value at
// some time between two times of the host's clock:
//
//	host     ──┬──────────────────────┬──────▶
//	       notBefore              notAfter
//	     the chip is asked      its answer is here
//	chip     ──────┬──────────────────────────▶
//	            counter
type counterReading struct {
	counter   uint32                 // µs
	extended  radio.ConcentratorTime // the same, without wraps
	notBefore radio.HostTime
	notAfter  radio.HostTime
}

// counterClock extrapolates the counter from the last good reading and the host's
// clock: in the 10 ms until the next reading the two hardly drift apart. The zero
// value accepts any first reading.
type counterClock struct {
	last    counterReading
	doubts  int    // number of bad readings in a row
	doubted uint32 // the last of them, µs
}

// at returns the value of the counter at a time.
func (c *counterClock) at(now radio.HostTime) radio.ConcentratorTime {
	return c.last.extended.Add(now.Sub(c.last.notAfter))
}

// fits reports whether the counter has advanced as far as the host's clock, from
// some time in the last reading to some time in this one.
//
//	            last                     this one
//	──┬────────────────┬──────────┬────────────────┬──▶ host
//	notBefore      notAfter   notBefore        notAfter
//	                   ├─ least ──┤
//	  ├───────────────────── most ─────────────────┤
func (c *counterClock) fits(counter uint32, notBefore, notAfter radio.HostTime) bool {
	if c.last.notBefore == 0 {
		return true
	}
	moved := time.Duration(counter-c.last.counter) * time.Microsecond
	least, most := notBefore.Sub(c.last.notAfter), notAfter.Sub(c.last.notBefore)
	slack := maxSkew + most/1000
	return moved >= least-slack && moved <= most+slack
}

// take accepts a good reading.
func (c *counterClock) take(r counterReading) { c.last, c.doubts = r, 0 }

// doubt counts a bad reading. enough says that there were too many of them in a
// row, stands that the counter has not moved since the one before.
func (c *counterClock) doubt(counter uint32) (enough, stands bool) {
	stands = c.doubts > 0 && counter == c.doubted
	c.doubted = counter
	c.doubts++
	return c.doubts >= maxDoubts, stands
}

// assume continues by the host's clock alone.
func (c *counterClock) assume(now radio.HostTime) {
	present := c.at(now)
	c.last = counterReading{counter: present.Counter(), extended: present, notBefore: now, notAfter: now}
}
