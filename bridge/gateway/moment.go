package gateway

import "lorawand/radio"

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

// CounterAt returns the value of the counter at a time of the host.
func (m Moment) CounterAt(t radio.HostTime) radio.ConcentratorTime {
	return m.Counter.Add(t.Sub(m.Host))
}
