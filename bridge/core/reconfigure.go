package core

import (
	"errors"
	"maps"
	"slices"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// Reconfigured is what the owner says of his gateways now. It gets an Answer.
type Reconfigured struct {
	Ticket   uint64
	Gateways []*gateway.Gateway // belong to the core from then on; a stand-in for an EUI that was told since is one for that
}

func (Reconfigured) input() {}

// reconfigured makes the gateways those of a new configuration: others that were
// configured go. What a gateway has got is sent, whatever becomes of it; what it
// has not, and was planned on one that goes or gets another frequency plan, is
// planned anew.
func (c *Core) reconfigured(r Reconfigured) {
	var faults []error
	for _, n := range r.Gateways {
		c.identify(n)
	}
	for _, g := range c.opts.Gateways.All() {
		named := slices.ContainsFunc(r.Gateways, func(n *gateway.Gateway) bool { return n.EUI == g.EUI })
		switch {
		case named:
			g.ID = g.EUI.String() // for now: gateways may swap their ids
		case g.Configured:
			c.retire(g)
		case slices.ContainsFunc(r.Gateways, func(n *gateway.Gateway) bool { return n.ID == g.ID }):
			g.ID += unknownMark
		}
	}
	for _, n := range r.Gateways {
		delete(c.retired, n.EUI)
		g := c.opts.Gateways.Gateway(n.EUI)
		if g == nil {
			faults = append(faults, c.opts.Gateways.Add(n))
			continue
		}
		if g.Plan != n.Plan {
			c.cancelOn(g)
		}
		faults = append(faults, c.opts.Gateways.Configure(g, n))
	}
	maps.DeleteFunc(c.identified, func(_, eui radio.EUI64) bool { return c.opts.Gateways.Gateway(eui) == nil })
	c.do(Answer{Ticket: r.Ticket, Err: errors.Join(faults...)})
}

// identify gives what is configured by a stand-in the EUI that was told since.
func (c *Core) identify(n *gateway.Gateway) {
	eui, told := c.identified[n.EUI]
	if !told {
		return
	}
	if n.ID == gateway.DefaultID(n.EUI) {
		n.ID = gateway.DefaultID(eui)
	}
	n.EUI = eui
}

// retire lets a gateway go. What was heard through it goes on, and what its
// driver had on the way here is not taken.
func (c *Core) retire(g *gateway.Gateway) {
	c.cancelOn(g)
	c.online(g, false, radio.GatewayEvent{At: c.now.Host})
	c.opts.Gateways.Remove(g)
	c.retired[g.EUI] = g
}

// cancelOn cancels what a gateway has not got yet.
func (c *Core) cancelOn(g *gateway.Gateway) {
	c.losePaths(g, endOfTime, func(a *attempt) bool { return a.state == planned })
}
