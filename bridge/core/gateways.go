package core

import (
	"errors"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// gateway returns a gateway. One that its driver takes without a configuration gets the default plan.
func (c *Core) gateway(eui radio.EUI64) *gateway.Gateway {
	return c.opts.Gateways.Taken(eui, c.opts.DefaultPlan)
}

// gatewayChanged takes a change in what is known of a gateway.
func (c *Core) gatewayChanged(e radio.GatewayEvent) {
	if e.Kind == radio.GatewayRefused || e.Kind == radio.GatewayDropped {
		c.report(event.OfGateway(&e, c.opts.Gateways.Gateway(e.Gateway)))
		return
	}
	ok, err := c.opts.Gateways.Admit(&e, c.leaves)
	if !ok {
		return
	}
	if err != nil {
		c.report(event.Event{
			Kind: event.GatewayFailed, Gateway: gateway.DefaultID(e.Was), Err: err, Hint: event.HintTwoGatewaysOneEUI,
		})
	}
	g := c.gateway(e.Gateway)
	switch e.Kind {
	case radio.GatewayConnected:
		c.online(g, true, e)
	case radio.GatewayFailed:
		c.report(event.Event{Kind: event.GatewayFailed, Gateway: g.ID, Address: e.Address, Err: errors.New(e.Fault)})
	case radio.GatewayDisconnected:
		c.online(g, false, e)
	case radio.GatewayCounterReset:
		c.report(event.Event{Kind: event.GatewayCounterReset, Gateway: g.ID})
		c.counterReset(g, e.Since)
	}
	g.Told(&e)
	b, err := c.beacons.Next(c.schedule, g, c.now.Host, c.opts.Encoder.NetID)
	c.beaconRefused(g, err)
	if b != nil {
		c.airtimePlanned(g, b.End)
		c.do(Transmit{b.Downlink, b.End})
	}
}

// beaconRefused reports why a gateway sends no beacon, if there is something to be told.
func (c *Core) beaconRefused(g *gateway.Gateway, why error) {
	if why != nil {
		c.report(event.Event{Kind: event.BeaconRefused, Gateway: g.ID, Err: why, Hint: event.HintBeaconRefused})
	}
}

// online notes that a gateway is connected, or is not any more.
func (c *Core) online(g *gateway.Gateway, online bool, e radio.GatewayEvent) {
	g.Local = e.Local || !online && g.Local
	if !c.opts.Gateways.SetOnline(g, online, e.At) {
		return
	}
	kind := event.GatewayDisconnected
	if online {
		kind = event.GatewayConnected
		g.Connection = c.correlationID(v3.GatewayConnection)
		g.ForgetPowers()
	}
	c.report(event.Event{Kind: kind, Gateway: g.ID, Address: e.Address})
}

// counterReset cancels what was planned on a gateway's counter before a time, or
// everything where that is 0.
func (c *Core) counterReset(g *gateway.Gateway, since radio.ConcentratorTime) {
	if since == 0 {
		since = endOfTime
	}
	g.HeardSince, g.HasClock = 0, false
	c.schedule.Forget(g, since)
	c.losePaths(g, since, func(a *attempt) bool { return a.slot.Start < since && a.slot.HostStart > c.now.Host })
}

// Reconfigured is a new configuration of the gateways. It gets an Answer.
type Reconfigured struct {
	Ticket   uint64
	Gateways []*gateway.Gateway // belong to the core from then on
}

func (Reconfigured) input() {}

// reconfigured makes the gateways those of a new configuration. What a gateway has
// got is sent, whatever becomes of the gateway. What it has not got yet is planned
// anew if the gateway is removed or gets another frequency plan.
func (c *Core) reconfigured(r Reconfigured) {
	err := c.opts.Gateways.Reconfigure(r.Gateways, c.leaves, c.cancelOn)
	c.do(Answer{Ticket: r.Ticket, Err: err})
}

// leaves takes that a gateway is about to be removed.
func (c *Core) leaves(g *gateway.Gateway) {
	c.cancelOn(g)
	c.online(g, false, radio.GatewayEvent{At: c.now.Host})
}

// cancelOn cancels what a gateway has not got yet.
func (c *Core) cancelOn(g *gateway.Gateway) {
	c.losePaths(g, endOfTime, func(a *attempt) bool { return a.state == planned })
}
