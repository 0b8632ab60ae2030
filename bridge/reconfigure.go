package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// Reconfigured is what the owner says of his gateways now. It gets an Answer.
type Reconfigured struct {
	Ticket   uint64
	Gateways []*gateway.Gateway // belong to the core from then on
}

func (Reconfigured) input() {}

// reconfigured makes the gateways those of a new configuration: others that were
// configured go, and what was planned on them is void. So is what was planned on
// a gateway that gets another frequency plan.
func (c *Core) reconfigured(r Reconfigured) {
	var faults []error
	for _, g := range c.opts.Gateways.All() {
		named := slices.ContainsFunc(r.Gateways, func(n *gateway.Gateway) bool { return n.EUI == g.EUI })
		if g.Configured && !named {
			c.online(g, false, radio.GatewayEvent{At: c.now.Host})
			c.counterReset(g)
			c.opts.Gateways.Remove(g)
		}
	}
	for _, n := range r.Gateways {
		g := c.opts.Gateways.Gateway(n.EUI)
		if g == nil {
			faults = append(faults, c.opts.Gateways.Add(n))
			continue
		}
		replan := g.Plan != n.Plan
		faults = append(faults, c.opts.Gateways.Configure(g, n))
		if replan && g.Plan == n.Plan {
			c.counterReset(g)
		}
	}
	c.do(Answer{Ticket: r.Ticket, Err: errors.Join(faults...)})
}

// Reconfigure replaces what is configured of the gateways. It returns when that
// is in force; an error names those that keep what they had.
func (b *Bridge) Reconfigure(ctx context.Context, gateways []*gateway.Gateway) error {
	a, err := b.await(ctx, func(ticket uint64) Input { return Reconfigured{ticket, gateways} })
	if err = errors.Join(err, a.Err); err != nil {
		return fmt.Errorf("bridge: gateways: %w", err)
	}
	return nil
}
