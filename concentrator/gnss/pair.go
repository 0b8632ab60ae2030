package gnss

import (
	"time"

	"lorawand/radio"
)

// Limits of a reference.
//
// Source: sx1302_hal 2.1.0, loragw_gps.c and lora_pkt_fwd.c.
const (
	// maxSlope is the greatest difference between a second of the counter and one of GPS, in
	// parts of a million: the TCXO of a board has 2.
	maxSlope = 10
	// resolution is by how much two pulses may seem to be off, because the counter has whole µs.
	resolution = 2 * time.Microsecond
	// maxBad is how many pairs in a row that do not fit replace the reference.
	maxBad = 3
	// lostAfter is how long after the last good pair the time is lost.
	lostAfter = 30 * time.Second
)

// reference relates the counter of a concentrator to GPS time, by the last pulse that fitted:
//
// A pair that comes more than lostAfter behind the last good one is a first one again: after an hour
// 36 ms would be within maxSlope.
//
//	none --(a pair)--> doubted --(a pair that fits)--> sure
//	        ▲                                       │ ▲  │
//	        └──────(the third in a row does not)────┘ └──┘ (a pair that fits)
type reference struct {
	known   bool // there is a pair
	sure    bool // a second one has fitted
	counter radio.ConcentratorTime
	gps     radio.GPSTime
	host    radio.HostTime // of the pulse
	rate    int64          // by which the counter is fast, ns in a second
	bad     int            // pairs in a row that did not fit
}

// begin takes a first pair, which is in doubt. How fast the counter is stays known.
func (r *reference) begin(counter radio.ConcentratorTime, gps radio.GPSTime, host radio.HostTime) {
	*r = reference{known: true, counter: counter, gps: gps, host: host, rate: r.rate}
}

// pair takes the counter's value at a pulse, and the time of that.
func (r *reference) pair(counter radio.ConcentratorTime, gps radio.GPSTime, host radio.HostTime) {
	if !r.known || counter.Sub(r.counter).Abs() > lostAfter {
		r.begin(counter, gps, host)
		return
	}
	passed := time.Duration(gps - r.gps)
	if passed == 0 && counter == r.counter {
		return // a second sentence of that time
	}
	off := counter.Sub(r.counter) - passed
	if passed <= 0 || off.Abs() > passed/1_000_000*maxSlope+resolution {
		if r.bad++; r.bad >= maxBad {
			r.begin(counter, gps, host)
		}
		return
	}
	const smooth = 16 // one pulse is known to a µs only
	r.rate += (int64(off)*int64(time.Second)/int64(passed) - r.rate) / smooth
	r.counter, r.gps, r.host, r.bad, r.sure = counter, gps, host, 0, true
}

// at returns the GPS time of a value of the counter, or 0 where it is not known.
func (r *reference) at(t radio.ConcentratorTime) radio.GPSTime {
	passed := t.Sub(r.counter)
	if !r.sure || passed.Abs() > lostAfter {
		return 0
	}
	return r.gps + radio.GPSTime(passed-time.Duration(int64(passed)/1_000_000*r.rate/1_000))
}

// atHost returns the GPS time at a time of the host, or 0.
func (r *reference) atHost(t radio.HostTime) radio.GPSTime {
	passed := t.Sub(r.host)
	if !r.sure || passed.Abs() > lostAfter {
		return 0
	}
	return r.gps + radio.GPSTime(passed)
}
