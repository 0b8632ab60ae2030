package udp

import (
	"net/netip"
	"slices"

	"lorawand/concentrator"
	"lorawand/radio"
)

// SetGateways replaces the configured gateways. Gateways that stay keep their
// state; so do gateways accepted because of AcceptUnknown that belong to no other driver.
// sink is told what ends with the removed gateways: every Transmit is answered.
func (d *Driver) SetGateways(euis []radio.EUI64, sink concentrator.Sink) {
	acks, events := d.setGateways(euis, d.opts.Now())
	for _, a := range acks {
		sink.TxAck(a)
	}
	tell(sink, events)
}

func (d *Driver) setGateways(euis []radio.EUI64, now radio.HostTime) (acks []radio.TxAck, events []radio.GatewayEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for eui, g := range d.gateways {
		if slices.Contains(euis, eui) {
			continue
		}
		if g.accepted {
			if !d.isElsewhere(eui) {
				continue
			}
			d.accepted--
		}
		delete(d.gateways, eui)
		acks = append(acks, g.unanswered(func(unanswered) bool { return true }, now)...)
		if g.online {
			events = append(events, radio.GatewayEvent{Gateway: eui, Kind: radio.GatewayDisconnected, At: now})
		}
	}
	for _, eui := range euis {
		g := d.gateways[eui]
		if g == nil {
			g = d.newGateway(eui)
			d.gateways[eui] = g
		} else if g.accepted {
			d.accepted--
			if _, there := d.opts.Elsewhere(eui); there {
				g.online = false // the other driver is about to tell that it has gone
			}
		}
		g.accepted = false
		d.refusals.forget(eui)
	}
	return acks, events
}

// isElsewhere reports whether a gateway that is not configured here belongs to another driver.
func (d *Driver) isElsewhere(eui radio.EUI64) bool {
	other, _ := d.opts.Elsewhere(eui)
	return other
}

// lookup returns a gateway that is served, or nil and the events to report. The
// caller holds the lock.
func (d *Driver) lookup(eui radio.EUI64, from netip.AddrPort, now radio.HostTime) (*gateway, []radio.GatewayEvent) {
	g := d.gateways[eui]
	if g != nil && !g.accepted {
		return g, nil
	}
	if d.isElsewhere(eui) {
		d.stats.ForeignAddress++
		return nil, d.dropped(eui, from, now, secondAddress, "the gateway belongs to another driver: it is an extender, "+
			"or the configuration has it with another driver")
	}
	if g != nil {
		return g, nil
	}
	if d.opts.AcceptUnknown && d.accepted < MaxUnknown {
		d.accepted++
		g = d.newGateway(eui)
		g.accepted = true
		d.gateways[eui] = g
		d.log.Info("serving a gateway that is not in the configuration", "gateway_eui", eui, "address", from.String())
		return g, nil
	}
	return nil, d.refuse(eui, from, now)
}
