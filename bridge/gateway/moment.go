package gateway

import (
	"time"

	"lorawand/radio"
)

// Moment is one moment on two clocks: on the concentrator counter of a gateway, by
// which the gateway sends, and on the clock of the host, by which the host waits.
// Over the short time between planning and sending a downlink both run at the same
// speed.
//
//	counter  ----|---------------|--------->
//	          Counter        CounterAt(t)
//	host     ----|---------------|--------->
//	           Host              t
type Moment struct {
	Counter radio.ConcentratorTime
	Host    radio.HostTime
}

// AtGPS returns the moment of a GPS time, by the gateway's last uplink. ok is false where the
// gateway has not told GPS time with it.
func (g *Gateway) AtGPS(t radio.GPSTime) (m Moment, ok bool) {
	if !g.HasClock || g.GPS == 0 {
		return m, false
	}
	later := time.Duration(t - g.GPS)
	return Moment{g.Clock.Counter.Add(later), g.Clock.Host.Add(later)}, true
}

// CounterAt returns the value of the counter at a time of the host.
func (m Moment) CounterAt(t radio.HostTime) radio.ConcentratorTime {
	return m.Counter.Add(t.Sub(m.Host))
}
