package bridge

import (
	"context"
	"fmt"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
)

// inspect runs f in the goroutine of the core, between two inputs. f reads,
// changes nothing, and must not wait for anybody.
func (b *Bridge) inspect(ctx context.Context, f func(*Core)) error {
	done := make(chan struct{})
	select {
	case b.ask <- func(c *Core) { f(c); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bridge: the core does not answer: %w", ctx.Err())
	}
}

// Now returns both times of the host.
func (b *Bridge) Now() Now { return b.clock.Now() }

// Stats returns the counts so far. The error says that the core does not
// answer.
func (b *Bridge) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := b.inspect(ctx, func(c *Core) {
		s.CoreStats, s.Devices = c.Stats(), c.opts.Devices.Len()
		s.Gateways, s.Online = len(c.opts.Gateways.All()), c.opts.Gateways.Online()
	})
	s.InboxDropped = b.inbox.drops()
	return s, err
}

// StoreError returns why the store cannot be written, or nil while it can.
func (b *Bridge) StoreError() error { return b.keeper.fault() }

// GatewayState is what is known of a gateway at a moment.
type GatewayState struct {
	gateway.Gateway
	Lead  time.Duration // how long before its begin a downlink is handed over
	Trip  time.Duration // 90th percentile of the round trips; 0: none is known
	Usage []schedule.Usage
}

// Gateways returns the state of every gateway, sorted by id.
func (b *Bridge) Gateways(ctx context.Context) ([]GatewayState, error) {
	var out []GatewayState
	err := b.inspect(ctx, func(c *Core) {
		now := b.clock.Host()
		for _, g := range c.opts.Gateways.All() {
			out = append(out, GatewayState{Gateway: *g, Lead: g.Lead(), Trip: g.RoundTrip(), Usage: c.schedule.Usage(g, now)})
		}
	})
	return out, err
}
