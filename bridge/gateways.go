package bridge

import (
	"context"
	"fmt"
	"slices"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// GatewaysConfigured is what the owner says of all gateways, anew. It gets an
// Answer.
type GatewaysConfigured struct {
	Ticket   uint64
	Gateways []gateway.Gateway // what is known of them by experience is not looked at
	// AcceptUnknown keeps gateways that are not among them; else they go.
	AcceptUnknown bool
}

func (GatewaysConfigured) input() {}

// gatewaysConfigured changes the gateways where they are. Ids and EUIs of the
// configuration are unique; it was checked.
func (c *Core) gatewaysConfigured(in GatewaysConfigured) {
	listed, ids := map[radio.EUI64]bool{}, map[string]bool{}
	for i := range in.Gateways {
		listed[in.Gateways[i].EUI], ids[in.Gateways[i].ID] = true, true
	}
	for _, g := range c.opts.Gateways.All() {
		switch {
		case listed[g.EUI]:
		case in.AcceptUnknown:
			unknown := c.unknownGateway(g.EUI)
			if ids[unknown.ID] {
				unknown.ID += unknownMark
			}
			c.reconfigure(g, unknown)
		default:
			c.retire(g)
		}
	}
	for i := range in.Gateways {
		want := in.Gateways[i]
		delete(c.retired, want.EUI)
		if g := c.opts.Gateways.Gateway(want.EUI); g != nil {
			c.reconfigure(g, &want)
			continue
		}
		_ = c.opts.Gateways.Add(&gateway.Gateway{
			ID: want.ID, EUI: want.EUI, Plan: want.Plan, AntennaGain: want.AntennaGain, EnforceDutyCycle: want.EnforceDutyCycle, Location: want.Location,
		})
	}
	c.do(Answer{Ticket: in.Ticket})
}

// reconfigure gives a gateway its new settings. What it has planned with
// another frequency plan is planned anew.
func (c *Core) reconfigure(g, want *gateway.Gateway) {
	if g.Plan != want.Plan {
		c.withdrawFrom(g)
	}
	g.ID, g.Plan, g.AntennaGain, g.EnforceDutyCycle, g.Location = want.ID, want.Plan, want.AntennaGain, want.EnforceDutyCycle, want.Location
}

// retire lets a gateway go. What was heard through it goes on; nothing more is
// taken from it or sent through it.
func (c *Core) retire(g *gateway.Gateway) {
	c.withdrawFrom(g)
	if c.opts.Gateways.SetOnline(g, false, c.now.Host) {
		c.report(Event{Kind: GatewayDisconnected, Gateway: g.ID, Address: g.Address})
	}
	c.opts.Gateways.Remove(g.EUI)
	c.retired[g.EUI] = g
}

// withdrawFrom takes back what a gateway has not got yet. A frame that is with
// it is sent all the same.
func (c *Core) withdrawFrom(g *gateway.Gateway) {
	for _, d := range c.busy() {
		if x := c.exchanges[d]; x != nil {
			if x.slot != nil && x.slot.Gateway == g {
				c.schedule.Release(x.slot)
			}
			x.void(g)
			c.arrange(x)
		}
		for _, t := range slices.Clone(c.inFlight[d]) {
			t.x.void(g)
			if t.slot.Gateway == g && !t.handed {
				c.refused(t, radio.TxNoPath)
			}
		}
	}
}

// unknownMark is added to the id of a gateway that nobody has configured where
// another was given that id.
const unknownMark = "-unknown"

// unknownGateway is one that a driver takes though nobody has configured it.
func (c *Core) unknownGateway(eui radio.EUI64) *gateway.Gateway {
	return &gateway.Gateway{ID: gateway.DefaultID(eui), EUI: eui, Plan: c.opts.DefaultPlan, EnforceDutyCycle: true}
}

// gateway returns a gateway. One that is not known yet gets the default plan.
func (c *Core) gateway(eui radio.EUI64) *gateway.Gateway {
	if g := c.opts.Gateways.Gateway(eui); g != nil {
		return g
	}
	if g := c.retired[eui]; g != nil {
		return g
	}
	g := c.unknownGateway(eui)
	if err := c.opts.Gateways.Add(g); err != nil {
		g.ID += unknownMark
		_ = c.opts.Gateways.Add(g)
	}
	return g
}

// ConfigureGateways gives all gateways what their owner has configured anew:
// those that are not among them go, unless acceptUnknown keeps them on the
// default frequency plan.
func (b *Bridge) ConfigureGateways(ctx context.Context, gateways []gateway.Gateway, acceptUnknown bool) error {
	a, err := b.await(ctx, func(ticket uint64) Input {
		return GatewaysConfigured{Ticket: ticket, Gateways: gateways, AcceptUnknown: acceptUnknown}
	})
	if err != nil {
		return fmt.Errorf("bridge: gateways: %w", err)
	}
	return a.Err
}
