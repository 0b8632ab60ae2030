package gateway

import (
	"time"

	"lorawand/radio"
)

// Source: LoRaWAN L2 1.0.4, 12.
const (
	beaconPeriod   = 128 * time.Second
	beaconReserved = 2120 * time.Millisecond // from the begin of a beacon until ping slots begin
	beaconDelay    = 1500 * time.Microsecond // from its second until a beacon is on the air
	// beaconEdge is how much too early the first ping slot may seem to be: the counter has whole µs,
	// and each pulse tells anew how fast it is.
	beaconEdge = time.Millisecond
)

// beaconAirtime returns how long a beacon of the gateway takes, or 0 where its band has none.
func (g *Gateway) beaconAirtime() time.Duration {
	b, err := g.Plan.Beacon(0) // all beacons of a band are as long
	if err != nil {
		return 0
	}
	rate, err := g.Plan.DataRate(b.DataRate)
	if err != nil {
		return 0
	}
	d := radio.Downlink{DataRate: rate, Beacon: true}
	p := d.Packet()
	p.Size = b.Size()
	airtime, err := radio.TimeOnAir(p)
	if err != nil {
		return 0
	}
	return airtime
}

// sendsBeacons reports whether the gateway sends beacons now, and how long each is on the air.
func (g *Gateway) sendsBeacons() (airtime time.Duration, ok bool) {
	if !g.Beacons || !g.HasClock || g.GPS == 0 {
		return 0, false
	}
	airtime = g.beaconAirtime()
	return airtime, airtime > 0
}

// NextBeacon returns when the gateway sends its next beacon. ok is false while it sends none.
func (g *Gateway) NextBeacon() (at radio.GPSTime, m Moment, ok bool) {
	if _, ok := g.sendsBeacons(); !ok {
		return 0, m, false
	}
	at = g.GPS - g.GPS%radio.GPSTime(beaconPeriod) + radio.GPSTime(beaconPeriod)
	m, ok = g.AtGPS(at)
	return at, m, ok
}

// BeaconWait returns how much later than planned an emission can begin because of a beacon of the
// gateway, in whole µs; 0: it meets none. gap is the pause that the gateway needs between two
// emissions. Only an answer, for which a device listens at no other time, may use the time that is
// kept free behind a beacon:
//
//	          beacon                        ping slots
//	    ──────██████──────────────────────▒▒▒▒▒▒▒▒▒▒▒▒▒▒──
//	answer  no      |gap| yes
//	others  no                            | yes
func (g *Gateway) BeaconWait(start radio.ConcentratorTime, airtime, gap time.Duration, answer bool) time.Duration {
	onAir, ok := g.sendsBeacons()
	if !ok {
		return 0
	}
	free, edge := beaconReserved, beaconEdge
	if answer {
		free, edge = beaconDelay+onAir+gap, 0
	}
	since := (time.Duration(g.GPS) + start.Sub(g.Clock.Counter)) % beaconPeriod
	switch {
	case since < free-edge:
		return wholeMicroseconds(free - since)
	case since+airtime+gap > beaconPeriod:
		return wholeMicroseconds(beaconPeriod + free - since)
	}
	return 0
}

// wholeMicroseconds returns d rounded up.
func wholeMicroseconds(d time.Duration) time.Duration {
	return (d + time.Microsecond - 1).Truncate(time.Microsecond)
}
