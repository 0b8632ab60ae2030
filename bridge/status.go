package bridge

import (
	"lorawand/bridge/event"
	"lorawand/bridge/v3"
)

// tellStatus publishes whether this program and its gateways are at work: nobody is
// connected before it begins, and after its end nobody is known to be.
func (b *Bridge) tellStatus(online bool) {
	if b.version == "" {
		return
	}
	for _, g := range b.core.Gateways().All() {
		b.outbox.Publish(v3.GatewayStatus(g.ID, g.EUI, false, b.clock.Calendar()))
	}
	b.outbox.Publish(v3.Status(online, b.version, b.clock.Calendar()))
}

// tellGateway publishes that a gateway comes or goes.
func (b *Bridge) tellGateway(e *event.Event) {
	if b.version == "" || e.Kind != event.GatewayConnected && e.Kind != event.GatewayDisconnected {
		return
	}
	for _, g := range b.core.Gateways().All() {
		if g.ID == e.Gateway {
			b.outbox.Publish(v3.GatewayStatus(g.ID, g.EUI, e.Kind == event.GatewayConnected, e.At))
		}
	}
}
