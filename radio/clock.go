package radio

import (
	"errors"
	"time"
)

// There are three clocks. They have different types, so that a time of one never
// stands for a time of another:
//
//   - ConcentratorTime, the counter of one gateway: receive windows and what
//     it transmits;
//   - HostTime, the monotonic clock of this process: timers, time-outs, ages;
//   - WallTime, the calendar: only what is shown to people and applications.

// ConcentratorTime is the counter of a gateway in µs, extended beyond the 32 bits
// that wrap every 71.6 minutes. Its low 32 bits are the counter itself. It never
// goes back, not even after a reset of the counter. The times of two gateways
// cannot be compared.
type ConcentratorTime int64

// Counter returns the 32-bit counter of the gateway.
func (t ConcentratorTime) Counter() uint32 { return uint32(t) }

// Add returns t+d, cut to whole µs.
func (t ConcentratorTime) Add(d time.Duration) ConcentratorTime {
	return t + ConcentratorTime(d/time.Microsecond)
}

// Sub returns t-u.
func (t ConcentratorTime) Sub(u ConcentratorTime) time.Duration {
	return time.Duration(t-u) * time.Microsecond
}

// HostTime is the monotonic clock of this process in ns since it started. It is
// independent of the calendar and does not jump when that is set.
type HostTime int64

// Add returns t+d.
func (t HostTime) Add(d time.Duration) HostTime { return t + HostTime(d) }

// Sub returns t-u.
func (t HostTime) Sub(u HostTime) time.Duration { return time.Duration(t - u) }

// Seconds returns a duration in s for JSON, to the µs. It is the number nearest to it, which
// is written with no more digits than it has: time.Duration.Seconds adds two fractions and
// makes 1.2349999999999999 of 1235 ms.
func Seconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e6 }

// TimeQuality says how far the calendar can be trusted.
type TimeQuality uint8

// Qualities, worst first.
const (
	TimeNone TimeQuality = iota // not set: a gateway without a battery boots in 1970
	TimeRTC                     // not before the year of the build, but nobody has checked the clock
	TimeNTP                     // synchronised, as the kernel says
	TimeGNSS                    // from a satellite receiver of this gateway
)

// String returns "none", "rtc", "ntp" or "gnss".
func (q TimeQuality) String() string {
	switch q {
	case TimeRTC:
		return "rtc"
	case TimeNTP:
		return "ntp"
	case TimeGNSS:
		return "gnss"
	}
	return "none"
}

// WallTime is a calendar time with its quality. With TimeNone the time must not be
// shown.
type WallTime struct {
	Time    time.Time // UTC
	Quality TimeQuality
}

// Known reports whether the time may be shown.
func (w WallTime) Known() bool { return w.Quality > TimeNone }

// GPSTime is the time since 6 January 1980 00:00 UTC without leap seconds. Zero
// stands for no time.
type GPSTime time.Duration

// gpsEpoch is the beginning of GPS time in Unix time.
const gpsEpoch = 315_964_800

// leapSeconds are the GPS times, in s, of the leap seconds. Source: IERS Bulletin
// C; none was added after 2016-12-31, and none is to be added before 2035 (CGPM
// 2022, resolution 4).
var leapSeconds = [...]int64{
	46828800, 78364801, 109900802, 173059203, 252028804, 315187205, 346723206, 393984007, 425520008,
	457056009, 504489610, 551750411, 599184012, 820108813, 914803214, 1025136015, 1119744016, 1167264017,
}

// UTC returns the calendar time.
func (g GPSTime) UTC() time.Time {
	s := int64(g / GPSTime(time.Second))
	leap := int64(0)
	for _, at := range leapSeconds {
		if s >= at {
			leap++
		}
	}
	return time.Unix(gpsEpoch+s-leap, int64(g%GPSTime(time.Second))).UTC()
}

// GPSTimeOf returns the GPS time of a calendar time, or 0 before 1980-01-06.
func GPSTimeOf(t time.Time) GPSTime {
	s := t.Unix() - gpsEpoch
	if s < 0 {
		return 0
	}
	leap := int64(0)
	for _, at := range leapSeconds {
		if s+leap >= at {
			leap++
		}
	}
	return GPSTime(time.Duration(s+leap)*time.Second + time.Duration(t.Nanosecond()))
}

// ErrNoClock is the reason when the counter of a gateway is not known yet.
var ErrNoClock = errors.New("the counter of the gateway is not known yet")

const (
	// clockDrift is the greatest drift between the clocks of gateway and host.
	clockDrift = 50 // ppm
	// earlyLimit: a datagram that is earlier than the earliest so far by more than
	// this shows that the counter has stepped forward.
	earlyLimit = 5 * time.Second
	// lateLimit is the longest delay that a network is expected to add. Later
	// datagrams mean that the counter has stepped back: lateRun of them in a row
	// that agree with one another, or a single one beyond lateSure.
	lateLimit = 5 * time.Second
	lateSure  = 60 * time.Second
	lateRun   = 3
	// suspectLimit replaces lateLimit if a restart is suspected.
	suspectLimit = 2 * time.Second
)

// Clock relates the 32-bit counter of one gateway to the host's clock.
//
// Each datagram gives a sample: its arrival minus its counter. That is the true
// offset plus the delay of the network, which is never negative, so the smallest
// sample is the best one. The best sample rises by 50 ppm, because the clocks may
// drift apart. With the offset the counter can be extended even after a long
// silence.
//
// A sample that is some seconds late may come from a slow network, or from a
// counter that has started again. Until that is decided, its time belongs to a new
// counting. Its low 32 bits are right in both cases, and because its HostTime is in
// the future, a frame with it counts as heard when it came: it can be answered if
// the counter has started again; if not, no answer would be in time anyway.
//
// The zero value is ready. A Clock is not safe for use by several goroutines.
type Clock struct {
	valid   bool
	now     counting
	anew    counting // the counting that late samples would begin; valid while late > 0
	late    int      // samples in a row that came later than lateLimit
	suspect bool
	last    ConcentratorTime
}

// counting is a run of a counter since its start.
type counting struct {
	offset time.Duration // arrival minus counter, of the best sample
	at     HostTime      // arrival of the best sample
	first  ConcentratorTime
}

// Observe takes a sample: a counter value and its arrival. It returns the extended
// time. It also reports whether the counter was found to have stepped, as after a
// restart of the forwarder: nothing can then be transmitted at times before Since.
func (c *Clock) Observe(counter uint32, arrival HostTime) (t ConcentratorTime, stepped bool) {
	if !c.valid {
		return c.begin(counter, arrival), false
	}
	t, delay := c.now.sample(counter, arrival)
	// After a long silence the estimate is less certain, on both sides.
	slack := 2 * drift(arrival.Sub(c.now.at))
	switch {
	case delay < -earlyLimit-slack, delay > lateSure+slack, c.suspect && delay > suspectLimit+slack:
		return c.begin(counter, arrival), true
	case delay > lateLimit+slack:
		return c.doubt(counter, arrival)
	}
	c.late, c.suspect = 0, false
	c.now.learn(t, delay, arrival)
	c.last = max(c.last, t)
	return t, false
}

// doubt handles a sample that is late, or of a counter that has started again.
func (c *Clock) doubt(counter uint32, arrival HostTime) (t ConcentratorTime, stepped bool) {
	t, delay := c.anew.sample(counter, arrival)
	if c.late == 0 || delay < -earlyLimit || delay > lateLimit {
		c.anew, c.late = c.start(counter, arrival), 1
		return c.anew.first, false
	}
	c.anew.learn(t, delay, arrival)
	c.last = max(c.last, t)
	if c.late++; c.late < lateRun {
		return t, false
	}
	c.now, c.late, c.suspect = c.anew, 0, false
	return t, true
}

// Suspect says that the counter may have started again, because something else
// indicates a restart of the gateway.
func (c *Clock) Suspect() { c.suspect = c.valid }

// Since returns the first time since the last start of the counter.
func (c *Clock) Since() ConcentratorTime { return c.now.first }

// Extend returns the extended time of a counter value, but does not use it as a
// sample: for datagrams from an untrusted source.
func (c *Clock) Extend(counter uint32, arrival HostTime) (ConcentratorTime, error) {
	if !c.valid {
		return 0, ErrNoClock
	}
	t, _ := c.now.sample(counter, arrival)
	return t, nil
}

// HostTime returns the host time at which the gateway's counter is t, as estimated
// at now.
func (c *Clock) HostTime(t ConcentratorTime, now HostTime) (HostTime, error) {
	if !c.valid {
		return 0, ErrNoClock
	}
	return HostTime(time.Duration(t)*time.Microsecond + c.now.relaxed(now)), nil
}

// Now returns the gateway's counter at now.
func (c *Clock) Now(now HostTime) (ConcentratorTime, error) {
	if !c.valid {
		return 0, ErrNoClock
	}
	return c.now.expected(now), nil
}

// Reset forgets the offset, because the counter is known to start again. Times
// continue after the last one.
func (c *Clock) Reset() { c.valid = false }

// begin starts with one sample.
func (c *Clock) begin(counter uint32, arrival HostTime) ConcentratorTime {
	c.now = c.start(counter, arrival)
	c.valid, c.late, c.suspect = true, 0, false
	return c.now.first
}

// start returns a counting that begins with one sample. Its times are after all
// earlier times; if a counter was known, they are also after all times that may be
// planned on it.
func (c *Clock) start(counter uint32, arrival HostTime) counting {
	const wrap = 1 << 32
	last := c.last
	if c.valid {
		last = max(last, c.now.expected(arrival)) + wrap
	}
	t := last&^(wrap-1) | ConcentratorTime(counter)
	if t <= last {
		t += wrap
	}
	c.last = t
	return counting{offset: offsetOf(t, arrival), at: arrival, first: t}
}

// sample returns the time with these low 32 bits that is closest to the expected
// counter, and how late it is.
func (c *counting) sample(counter uint32, arrival HostTime) (t ConcentratorTime, delay time.Duration) {
	expected := c.expected(arrival)
	t = expected + ConcentratorTime(int32(counter-expected.Counter()))
	return t, offsetOf(t, arrival) - c.relaxed(arrival)
}

// expected returns the expected counter.
func (c *counting) expected(now HostTime) ConcentratorTime {
	return ConcentratorTime((time.Duration(now) - c.relaxed(now)) / time.Microsecond)
}

// learn replaces the best sample by a better one.
func (c *counting) learn(t ConcentratorTime, delay time.Duration, arrival HostTime) {
	if delay <= 0 {
		c.offset, c.at = offsetOf(t, arrival), arrival
	}
}

func (c *counting) relaxed(now HostTime) time.Duration {
	return c.offset + drift(max(now.Sub(c.at), 0))
}

func offsetOf(t ConcentratorTime, arrival HostTime) time.Duration {
	return time.Duration(arrival) - time.Duration(t)*time.Microsecond
}

func drift(d time.Duration) time.Duration { return d / 1_000_000 * clockDrift }
