package gateway

import (
	"time"

	"lorawand/radio"
)

// Source: LoRaWAN L2 1.0.4, 12.
const (
	beaconPeriod   = 128 * time.Second
	beaconReserved = 2120 * time.Millisecond // from the begin of a beacon until ping slots begin
)

// sendsBeacons reports whether the gateway sends beacons now.
func (g *Gateway) sendsBeacons() bool { return g.Beacons && g.HasClock && g.GPS != 0 }

// NextBeacon returns when the gateway sends its next beacon. ok is false while it sends none.
func (g *Gateway) NextBeacon() (at radio.GPSTime, m Moment, ok bool) {
	if !g.sendsBeacons() {
		return 0, m, false
	}
	at = g.GPS - g.GPS%radio.GPSTime(beaconPeriod) + radio.GPSTime(beaconPeriod)
	m, ok = g.AtGPS(at)
	return at, m, ok
}

// BeaconWait returns how much later than planned an emission can begin, because it would meet a
// beacon of the gateway, or the time that is kept free behind one. 0: it meets none.
func (g *Gateway) BeaconWait(start radio.ConcentratorTime, airtime time.Duration) time.Duration {
	if !g.sendsBeacons() {
		return 0
	}
	since := (time.Duration(g.GPS) + start.Sub(g.Clock.Counter)) % beaconPeriod
	switch {
	case since < beaconReserved:
		return beaconReserved - since
	case since+airtime > beaconPeriod:
		return beaconPeriod + beaconReserved - since
	}
	return 0
}
