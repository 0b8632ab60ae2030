package sx1302

import (
	"time"

	"lorawand/radio"
)

// GNSS is a satellite receiver whose pulse each second goes to the chip. The loop of a Driver calls
// it.
type GNSS interface {
	// Restart says that the counter begins anew.
	Restart()

	// Pulse takes the counter at a pulse, and when that was by the host's clock.
	Pulse(counter radio.ConcentratorTime, host radio.HostTime)

	// GPS returns the time at a value of the counter, or 0 where it is not known.
	GPS(counter radio.ConcentratorTime) radio.GPSTime

	// Place returns where the receiver is, or nil. What it points to does not change.
	Place() *radio.Place
}

// sky is what a session remembers of the GNSS receiver.
type sky struct {
	pulse uint32         // the last one, ticks
	seen  bool           // pulse is one of this session
	told  radio.HostTime // when the sink was told the time; 0: never
	known bool           // it was told a time of GPS
}

// skyEvery is how often the sink is told the time.
const skyEvery = time.Second

// watchSky tells the receiver of a new pulse, and the sink what the counter shows.
func (s *session) watchSky(r reading) {
	g := s.driver.opts.GNSS
	if g == nil {
		return
	}
	last := &s.clock.last
	// A pulse that is older than two seconds was there before; it would look new again later.
	if age := r.running - r.pulse; age <= 2*nominalSecond && (!s.sky.seen || r.pulse != s.sky.pulse) {
		s.sky.pulse, s.sky.seen = r.pulse, true
		past := time.Duration(age) * time.Microsecond / ticksPerMicrosecond
		g.Pulse(last.extended-radio.ConcentratorTime(age/ticksPerMicrosecond), last.notAfter.Add(-past))
	}
	if s.eui.IsZero() || s.sky.told != 0 && last.notAfter.Sub(s.sky.told) < skyEvery {
		return
	}
	gps := g.GPS(last.extended)
	if gps == 0 && !s.sky.known {
		return
	}
	s.sky.told, s.sky.known = last.notAfter, gps != 0
	s.sink.GatewayEvent(radio.GatewayEvent{
		Gateway: s.eui, Kind: radio.GatewayClock, At: last.notAfter, Counter: last.extended, GPS: gps, Place: g.Place(),
	})
}
