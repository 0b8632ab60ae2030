package gateway

import "lorawand/radio"

// Moment is one moment as two clocks show it: the concentrator counter of a
// gateway, by which it sends, and the clock of the host, by which the host waits.
// Both go at the same speed for as long as a downlink is planned ahead.
//
//	counter  ----|---------------|--------->
//	          Counter        CounterAt(t)
//	host     ----|---------------|--------->
//	           Host              t
type Moment struct {
	Counter radio.ConcentratorTime
	Host    radio.HostTime
}

// CounterAt returns what the counter shows at a time of the host.
func (m Moment) CounterAt(t radio.HostTime) radio.ConcentratorTime {
	return m.Counter.Add(t.Sub(m.Host))
}
