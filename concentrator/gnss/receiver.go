package gnss

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lorawand/radio"
)

// Options configures a Receiver.
type Options struct {
	Device string // of the line, for messages
	// Open opens the line at a speed in baud. A Read of it returns 0, nil when nothing has come
	// for a moment, so that Run can end.
	Open func(baud int) (io.ReadWriteCloser, error)
	Now  func() radio.HostTime // the host's clock
	// NotBefore is a time that is past: receivers tell a week out of 1024, and old ones take the
	// wrong 1024. The zero time leaves what they tell.
	NotBefore time.Time
	// Calendar returns the time by something else that is right within half a second, and whether
	// there is such. nil: there is not.
	Calendar func() (time.Time, bool)
	Logger   *slog.Logger // default slog.Default()
}

// Receiver is a satellite receiver on a serial line. Run reads the line; the driver of the chip
// calls Restart, Pulse and GPS. Its methods may be called by several goroutines.
type Receiver struct {
	opts Options

	mu      sync.Mutex // guards the fields below
	scanner scanner
	ref     reference
	pulses  [2]pulse // the last one, and the one before
	marked  mark
	last    radio.HostTime // when something has come
	burst   radio.HostTime // when it began to come, behind a silence
	told    mark           // by a NAV-TIMEGPS
	leap    int64
	hasLeap bool
	state   State
	placed  *radio.Place // immutable
}

// pulse is one that the chip has seen.
type pulse struct {
	counter radio.ConcentratorTime
	host    radio.HostTime
	seen    bool
}

// mark is a time that was told, and when that began to come.
type mark struct {
	gps  radio.GPSTime // 0: none
	host radio.HostTime
}

// New returns a Receiver. Run does the work.
func New(o Options) *Receiver {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Receiver{opts: o}
}

const (
	// tryFor is how long a speed is tried: a receiver says something each second.
	tryFor = 3 * time.Second
	// deafAfter is how long after the last thing that could be read other speeds are tried: a
	// receiver that was switched off has lost its settings.
	deafAfter = 30 * time.Second
	// silence ends what a receiver says of a second.
	silence = 50 * time.Millisecond
	// minRetry and maxRetry are between two attempts to open the line.
	minRetry = time.Second
	maxRetry = time.Minute
)

// bauds are the speeds that receivers have when they are switched on, the usual one first.
var bauds = []int{9600, 115200, 38400, 4800, 57600}

var errSilent = errors.New("it says nothing that can be read")

// Run reads the line until ctx ends. A line that cannot be opened, or is gone, is tried again.
func (r *Receiver) Run(ctx context.Context) error {
	wait, speed := minRetry, 0
	for ctx.Err() == nil {
		understood, err := r.work(ctx, bauds[speed])
		if ctx.Err() != nil {
			return nil
		}
		if understood {
			wait = minRetry // the line is gone; its speed was right
		}
		if errors.Is(err, errSilent) {
			if speed = (speed + 1) % len(bauds); speed > 0 {
				continue
			}
		}
		r.fail(err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, maxRetry)
	}
	return nil
}

// fail notes why the line cannot be used, and logs it once.
func (r *Receiver) fail(err error) {
	r.mu.Lock()
	known := r.state.Err != nil && r.state.Err.Error() == err.Error()
	r.state.Err = err
	r.mu.Unlock()
	if !known {
		r.opts.Logger.Warn("the GNSS receiver cannot be used", "device", r.opts.Device, "error", err)
	}
}

// work reads the line at a speed until ctx ends, it is gone, or nothing can be read at that
// speed, or not any more. It reports whether anything could be.
func (r *Receiver) work(ctx context.Context, baud int) (understood bool, err error) {
	line, err := r.opts.Open(baud)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, line.Close()) }()
	if _, err := line.Write(slices.Clone(askForTime)); err != nil {
		return false, fmt.Errorf("%s: %w", r.opts.Device, err)
	}
	heard, patience := r.opts.Now(), tryFor
	b := make([]byte, 256)
	for ctx.Err() == nil {
		n, err := line.Read(b)
		if r.take(b[:n]) {
			if !understood {
				r.opts.Logger.Info("the GNSS receiver is heard", "device", r.opts.Device, "baud", baud)
			}
			understood, heard, patience = true, r.opts.Now(), deafAfter
		}
		switch {
		case err != nil:
			return understood, fmt.Errorf("%s: %w", r.opts.Device, err)
		case r.opts.Now().Sub(heard) > patience:
			return understood, fmt.Errorf("%s: %w", r.opts.Device, errSilent)
		}
	}
	return understood, nil
}

// take takes what was read. It reports whether a sentence or frame was in it.
func (r *Receiver) take(b []byte) (understood bool) {
	now := r.opts.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(b) > 0 {
		if now.Sub(r.last) >= silence {
			r.burst = now
		}
		r.last = now
	}
	for _, x := range b {
		switch kind, text := r.scanner.take(x); kind {
		case sentence:
			r.sentence(text, now)
		case timeFrame:
			if t, ok := parseTime(text); ok {
				r.leap, r.hasLeap = t.leap, t.known
				r.told = mark{t.gps, now}
				r.timeIs(t.gps, now)
			}
		default:
			continue
		}
		understood = true
		r.state.Heard, r.state.Err = now, nil
	}
	return understood
}

// sentence takes one of NMEA. Its name is that of the satellites, two letters, and three of its own.
func (r *Receiver) sentence(text []byte, now radio.HostTime) {
	f := fields{text}
	name := f.next()
	if len(name) != 5 {
		return
	}
	switch string(name[2:]) {
	case "RMC":
		// A NAV-TIMEGPS knows the leap seconds, which RMC has counted in.
		if c, ok := parseRMC(f); ok && c.whole && (r.told.gps == 0 || now.Sub(r.told.host) > recent) {
			r.timeIs(r.gpsOf(c), now)
		}
	case "GGA":
		if p, ok := parseGGA(f); ok {
			r.state.Fix, r.state.Satellites = now, int(p.satellites)
			r.placeIs(p)
		}
	}
}

// gpsOf returns the GPS time of a calendar time.
func (r *Receiver) gpsOf(c calendar) radio.GPSTime {
	at := time.Unix(c.day*86400+min(c.second, 86399), 0)
	for at.Before(r.opts.NotBefore) {
		at = at.Add(1024 * week)
	}
	gps := radio.GPSTimeOf(at)
	if r.hasLeap { // may know of a leap second that radio does not
		gps = radio.GPSTime(time.Duration(at.Unix()-gpsEpoch+r.leap) * time.Second)
	}
	return gps + radio.GPSTime(time.Duration(c.second-min(c.second, 86399))*time.Second)
}

// gpsEpoch is the beginning of GPS time in Unix time.
const gpsEpoch = 315_964_800

// maxFraction is how far a time may be off a pulse, which comes with whole seconds.
const maxFraction = 10 * time.Millisecond

// timeIs takes a time that was told.
func (r *Receiver) timeIs(gps radio.GPSTime, now radio.HostTime) {
	whole := time.Duration(gps).Round(time.Second)
	if (time.Duration(gps) - whole).Abs() > maxFraction {
		return // between two pulses
	}
	if !r.opts.NotBefore.IsZero() {
		for least := radio.GPSTimeOf(r.opts.NotBefore); radio.GPSTime(whole) < least; {
			whole += 1024 * week
		}
	}
	r.state.Time = now
	if now.Sub(r.burst) >= time.Second {
		r.state.Endless = now // it may be of any second
		return
	}
	r.marked = mark{radio.GPSTime(whole), r.burst}
	r.match()
}

// Restart says that the counter of the chip begins anew.
func (r *Receiver) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulses, r.ref = [2]pulse{}, reference{rate: r.ref.rate}
}

// Pulse takes the counter's value at a pulse, and when that was by the host's clock.
func (r *Receiver) Pulse(counter radio.ConcentratorTime, host radio.HostTime) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulses = [2]pulse{{counter, host, true}, r.pulses[0]}
	r.state.Pulse = host
	r.match()
}

// match pairs a pulse with the time of which the receiver began to tell within the second behind it.
// Whichever of the two is known first waits for the other. What it says of a second may take so long
// that the next pulse has come.
func (r *Receiver) match() {
	if r.marked.gps == 0 {
		return
	}
	for _, p := range r.pulses {
		if behind := r.marked.host.Sub(p.host); p.seen && behind >= 0 && behind < time.Second {
			r.pair(p)
			r.marked = mark{}
			return
		}
	}
}

// pair takes a pulse whose time was told. Until GPS time is known, another calendar may say that the
// receiver tells of another pulse.
func (r *Receiver) pair(p pulse) {
	if !r.ref.sure {
		was := r.state.Off
		if r.state.Off = r.offCalendar(p.host); r.state.Off != 0 {
			if was == 0 {
				r.opts.Logger.Warn("the time of the GNSS receiver is not used: it is off the clock of this host, which is "+
					"synchronised", "device", r.opts.Device, "by", r.state.Off)
			}
			return
		}
	}
	was := r.ref.sure
	r.ref.pair(p.counter, r.marked.gps, p.host)
	if r.ref.sure && !was {
		r.opts.Logger.Info("GPS time is known", "device", r.opts.Device, "time", r.ref.gps.UTC())
	}
}

// A receiver that tells of another pulse than the last one is off by a second. By how much more
// it is off is no fault of that kind: then the calendar may be wrong.
const (
	leastOff = 500 * time.Millisecond
	mostOff  = 1500 * time.Millisecond
)

// offCalendar returns by how much the time that was told is off the calendar, if that is a second, or 0.
// host is that of the pulse.
func (r *Receiver) offCalendar(host radio.HostTime) time.Duration {
	if r.opts.Calendar == nil {
		return 0
	}
	now, ok := r.opts.Calendar()
	if !ok {
		return 0
	}
	at := now.Add(-r.opts.Now().Sub(host))
	off := r.utc(r.marked.gps).Sub(at).Round(time.Millisecond)
	if off.Abs() < leastOff || off.Abs() > mostOff {
		return 0
	}
	return off
}

// utc returns the calendar time of a GPS time.
func (r *Receiver) utc(gps radio.GPSTime) time.Time {
	if !r.hasLeap {
		return gps.UTC()
	}
	return time.Unix(0, int64(gps)).Add((gpsEpoch - time.Duration(r.leap)) * time.Second).UTC()
}

// GPS returns the GPS time at a value of the counter, or 0 where it is not known.
func (r *Receiver) GPS(t radio.ConcentratorTime) radio.GPSTime {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ref.at(t)
}

// Calendar returns the calendar time at a time of the host, and whether it is known.
func (r *Receiver) Calendar(t radio.HostTime) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gps := r.ref.atHost(t)
	if gps == 0 {
		return time.Time{}, false
	}
	return r.utc(gps), true
}

// Place returns where the receiver is, or nil. It stays the same for as long as the receiver does
// not move by more than a receiver's error.
func (r *Receiver) Place() *radio.Place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.placed
}

// A place that is that close to the one before is the same one: what a receiver tells wanders.
const (
	samePlace    = 1_000 // 1e-7 of a degree, 11 m
	sameAltitude = 20    // m
)

// placeIs takes a place that was told.
func (r *Receiver) placeIs(p place) {
	is := radio.Place{
		Latitude: float64(p.latitude) / 1e7, Longitude: float64(p.longitude) / 1e7, Altitude: int32(p.altitude / 10),
	}
	near := func(a, b float64) bool { return a-b < samePlace/1e7 && b-a < samePlace/1e7 }
	if was := r.placed; was != nil && near(was.Latitude, is.Latitude) && near(was.Longitude, is.Longitude) &&
		max(was.Altitude-is.Altitude, is.Altitude-was.Altitude) < sameAltitude {
		return
	}
	told := is
	r.placed = &told
}
