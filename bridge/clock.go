package bridge

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/core"
	"lorawand/radio"
)

// NotBefore is when this version was made: a calendar that shows an earlier
// time was never set.
var NotBefore = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Clock shows both times of the host. It may be used by several goroutines.
type Clock struct {
	start   time.Time
	quality func(time.Time) radio.TimeQuality
	kernel  bool // quality asks it
	gnss    func(radio.HostTime) (time.Time, bool)
	cached  atomic.Int64 // quality, and below it the HostTime in s when it was asked for
}

// NewClock returns a clock that begins now. quality says how far the calendar
// can be trusted; nil asks the kernel.
func NewClock(quality func(time.Time) radio.TimeQuality) *Clock {
	if quality == nil {
		return &Clock{start: time.Now(), quality: systemQuality, kernel: true}
	}
	return &Clock{start: time.Now(), quality: quality}
}

// Follow has the clock go by satellites: gnss returns the calendar at a time of the host while it
// knows that. Follow is called before anybody asks for the time.
func (c *Clock) Follow(gnss func(radio.HostTime) (time.Time, bool)) { c.gnss = gnss }

// bySatellites returns the calendar at a time of the host, if satellites tell it.
func (c *Clock) bySatellites(t radio.HostTime) (time.Time, bool) {
	if c.gnss == nil {
		return time.Time{}, false
	}
	return c.gnss(t)
}

// MaxError returns how far the calendar is off at most, by the account that the kernel
// keeps of what synchronises it; 0 is not known.
func (c *Clock) MaxError() time.Duration {
	if _, ok := c.bySatellites(c.Host()); ok {
		return gnssError
	}
	if !c.kernel {
		return 0
	}
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil || !synchronised(state, &tx) {
		return 0
	}
	return maxError(&tx)
}

// gnssError is how well the calendar is known by satellites: as well as the host knows when the
// counter of its concentrator had a value.
const gnssError = 2 * time.Millisecond

// Host returns the monotonic time since the clock began.
func (c *Clock) Host() radio.HostTime { return radio.HostTime(time.Since(c.start)) }

// Now returns both times.
func (c *Clock) Now() core.Now {
	t := time.Now()
	host := radio.HostTime(t.Sub(c.start))
	if calendar, ok := c.bySatellites(host); ok {
		return core.Now{Host: host, Wall: radio.WallTime{Time: calendar, Quality: radio.TimeGNSS}}
	}
	// Round takes the host's clock out of the calendar: whoever compares two times would compare that.
	return core.Now{Host: host, Wall: radio.WallTime{Time: t.Round(0).UTC(), Quality: c.qualityAt(t)}}
}

// Calendar returns the calendar time, or the zero time where it is not known.
func (c *Clock) Calendar() time.Time {
	if n := c.Now(); n.Wall.Known() {
		return n.Wall.Time
	}
	return time.Time{}
}

// qualityEvery is how often the kernel is asked, in s.
const qualityEvery = 8

// qualityAt asks the kernel now and then. A calendar that was just set, or
// lost, is taken for what it was for that long.
func (c *Clock) qualityAt(t time.Time) radio.TimeQuality {
	second := int64(t.Sub(c.start)/time.Second) + qualityEvery // 0 is never
	cached := c.cached.Load()
	if asked := cached >> 8; asked != 0 && second-asked < qualityEvery {
		return radio.TimeQuality(cached & 0xff)
	}
	q := c.quality(t)
	c.cached.Store(second<<8 | int64(q))
	return q
}

// systemQuality asks the kernel whether something keeps its clock right.
func systemQuality(t time.Time) radio.TimeQuality {
	if t.Before(NotBefore) {
		return radio.TimeNone
	}
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil && synchronised(state, &tx) {
		return radio.TimeNTP
	}
	return radio.TimeRTC
}

// Synchronised returns the calendar of the host, and whether something keeps that right.
func Synchronised() (time.Time, bool) {
	t := time.Now()
	return t, systemQuality(t) == radio.TimeNTP
}

// synchronised reports whether something keeps the kernel's clock right.
func synchronised(state int, tx *unix.Timex) bool {
	return state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0
}

// maxError is what the kernel holds possible: it grows by 0.5 ms a second from one
// correction to the next, and at 16 s the clock counts as not synchronised. It is in µs,
// at least 1.
func maxError(tx *unix.Timex) time.Duration {
	return max(time.Duration(tx.Maxerror), 1) * time.Microsecond
}
