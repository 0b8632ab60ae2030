package gateway

import "lorawand/radio"

// Told takes what an event says of the gateway itself.
func (g *Gateway) Told(e *radio.GatewayEvent) {
	switch e.Kind {
	case radio.GatewayConnected:
		g.Fault = ""
	case radio.GatewayFailed:
		g.Fault = e.Fault
	case radio.GatewayCounterReset:
		g.ForgetPowers()
	case radio.GatewayStatus:
		g.Status = e.Status
	case radio.GatewayClock:
		g.Clock, g.HasClock, g.GPS = Moment{Counter: e.Counter, Host: e.At}, true, e.GPS
		g.isAt(e.Place)
	}
	if e.Address != "" {
		g.Address = e.Address
	}
}

// isAt takes the place that the gateway's receiver tells. What the owner has said goes before it.
func (g *Gateway) isAt(p *radio.Place) {
	if p == nil || g.Location != nil && !g.Location.GPS {
		return
	}
	at := Location{Latitude: p.Latitude, Longitude: p.Longitude, Altitude: p.Altitude, GPS: true}
	if g.Location == nil || *g.Location != at {
		g.Location = &at
	}
}
