package udp

import (
	"slices"

	"lorawand/concentrator"
	"lorawand/radio"
)

// SetGateways changes which gateways are taken, and tells sink what ends for
// one that is not any more. With AcceptUnknown such a one stays while there is
// room. It may be called from any goroutine.
func (d *Driver) SetGateways(gateways []radio.EUI64, sink concentrator.Sink) {
	now := d.opts.Now()
	var acks []radio.TxAck
	var events []radio.GatewayEvent
	d.mu.Lock()
	was := d.opts.Gateways
	d.opts.Gateways = slices.Clone(gateways)
	for _, eui := range gateways {
		switch {
		case d.gateways[eui] == nil:
			d.gateways[eui] = newGateway(eui)
		case !slices.Contains(was, eui):
			d.accepted--
		}
		delete(d.unknown, eui)
	}
	for _, eui := range was {
		g := d.gateways[eui]
		switch {
		case slices.Contains(gateways, eui):
		case d.opts.AcceptUnknown && d.accepted < MaxUnknown:
			d.accepted++
		default:
			delete(d.gateways, eui)
			acks = append(acks, g.unanswered(func(unanswered) bool { return true }, now)...)
			if g.online {
				events = append(events, radio.GatewayEvent{Gateway: eui, Kind: radio.GatewayDisconnected, At: now})
			}
		}
	}
	d.mu.Unlock()
	for _, a := range acks {
		sink.TxAck(a)
	}
	for _, e := range events {
		sink.GatewayEvent(e)
	}
}
