package bridge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/core"
	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/bridge/mac"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
)

// inspect runs f in the goroutine of the core, between two inputs. f reads,
// changes nothing, and must not wait for anybody.
func (b *Bridge) inspect(ctx context.Context, f func(*core.Core)) error {
	done := make(chan error, 1)
	look := func(c *core.Core) {
		err := errFault
		defer func() {
			if fault := recover(); fault != nil {
				b.faults.caught(nil, fault)
			}
			done <- err
		}()
		f(c)
		err = nil
	}
	select {
	case b.ask <- look:
		return <-done
	case <-ctx.Done():
		return fmt.Errorf("bridge: the core does not answer: %w", ctx.Err())
	}
}

// Now returns both times of the host.
func (b *Bridge) Now() core.Now { return b.clock.Now() }

// ClockError returns how far the calendar is off at most; 0 is not known.
func (b *Bridge) ClockError() time.Duration { return b.clock.MaxError() }

// Stats returns the counts so far. The error says that the core does not
// answer.
func (b *Bridge) Stats(ctx context.Context) (Stats, error) {
	var s Stats
	err := b.inspect(ctx, func(c *core.Core) {
		s.Stats, s.Devices = c.Stats(), c.Devices().Len()
		s.Gateways, s.Online = len(c.Gateways().All()), c.Gateways().Online()
	})
	s.Dropped[event.DropInboxFull] = b.inbox.drops()
	s.InboxDropped, s.Inbox, s.Faults = b.inbox.drops(), b.inbox.len(), b.faults.count.Load()
	s.Wear = b.committer.Wear()
	return s, err
}

// StoreError returns why the store cannot be written, or nil while it can.
func (b *Bridge) StoreError() error { return b.committer.Fault() }

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
	err := b.inspect(ctx, func(c *core.Core) {
		now := b.clock.Host()
		for _, g := range c.Gateways().All() {
			out = append(out, GatewayState{Gateway: *g, Lead: g.Lead(), Trip: g.RoundTrip(), Usage: c.Usage(g, now)})
		}
	})
	return out, err
}

// GatewayAirtime is what is known of what a gateway has sent.
type GatewayAirtime struct {
	GatewayState
	core.Airtime
}

// Airtime calls f for what each gateway has sent, or only the one with an id, until f
// returns an error, which it returns.
func (b *Bridge) Airtime(ctx context.Context, id string, f func(*GatewayAirtime) error) error {
	states, err := b.Gateways(ctx)
	if err != nil {
		return err
	}
	for i := range states {
		out := &GatewayAirtime{GatewayState: states[i]}
		if id != "" && out.ID != id {
			continue
		}
		err := b.inspect(ctx, func(c *core.Core) { out.Airtime = c.Airtime(&out.Gateway, b.clock.Now()) })
		if err != nil {
			return err
		}
		if err := f(out); err != nil {
			return err
		}
	}
	return nil
}

// devicesAtOnce is how many devices are copied between two inputs.
const devicesAtOnce = 32

// Device returns a copy of a device, or ErrNoDevice.
func (b *Bridge) Device(ctx context.Context, id session.ID) (*session.Device, error) {
	var out *session.Device
	err := b.inspect(ctx, func(c *core.Core) {
		if d := c.Devices().Device(id); d != nil {
			out = d.Clone()
		}
	})
	if err == nil && out == nil {
		err = state.NoDevice(id)
	}
	return out, err
}

// Joins returns the device that joins with these EUIs, if there is one.
func (b *Bridge) Joins(ctx context.Context, joinEUI, devEUI string) (id session.ID, found bool, err error) {
	var join, dev radio.EUI64
	if join.UnmarshalText([]byte(joinEUI)) != nil || dev.UnmarshalText([]byte(devEUI)) != nil {
		return id, false, nil
	}
	err = b.inspect(ctx, func(c *core.Core) {
		if d, _ := c.Devices().ByEUI(join, dev); d != nil {
			id, found = d.ID, true
		}
	})
	return id, found, err
}

// Devices calls f for a copy of each device of an application, or of all of
// them if that is "", in the order of application and id, until f returns an
// error, which it returns. A device that goes meanwhile may be left out.
func (b *Bridge) Devices(ctx context.Context, application string, f func(*session.Device) error) error {
	return each(ctx, b, application, func(_ *core.Core, d *session.Device) *session.Device { return d.Clone() }, f)
}

// MACs calls f for what people are shown of the MAC layer of each device, as Devices does.
func (b *Bridge) MACs(ctx context.Context, application string, f func(mac.View) error) error {
	return each(ctx, b, application, (*core.Core).ShowMAC, f)
}

// MAC returns what people are shown of the MAC layer of a device, or ErrNoDevice.
func (b *Bridge) MAC(ctx context.Context, id session.ID) (v mac.View, err error) {
	known := false
	err = b.inspect(ctx, func(c *core.Core) {
		if d := c.Devices().Device(id); d != nil {
			v, known = c.ShowMAC(d), true
		}
	})
	if err == nil && !known {
		err = state.NoDevice(id)
	}
	return v, err
}

// each calls f, outside of the core's goroutine, with what take has made of each device
// there.
func each[T any](ctx context.Context, b *Bridge, application string, take func(*core.Core, *session.Device) T,
	f func(T) error,
) error {
	var ids []session.ID
	err := b.inspect(ctx, func(c *core.Core) { ids = c.Devices().IDs(application) })
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, devicesAtOnce) {
		var taken []T
		err := b.inspect(ctx, func(c *core.Core) {
			for _, id := range chunk {
				if d := c.Devices().Device(id); d != nil {
					taken = append(taken, take(c, d))
				}
			}
		})
		if err != nil {
			return err
		}
		for _, v := range taken {
			if err := f(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// Applications returns how many devices each application has that has any.
func (b *Bridge) Applications(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	err := b.inspect(ctx, func(c *core.Core) {
		for _, id := range c.Devices().IDs("") {
			out[id.Application]++
		}
	})
	return out, err
}

// HasDevices reports whether an application has devices.
func (b *Bridge) HasDevices(ctx context.Context, application string) (bool, error) {
	n := 0
	err := b.inspect(ctx, func(c *core.Core) { n = len(c.Devices().IDs(application)) })
	return n > 0, err
}

// Downlinks returns what waits for a device, or ErrNoDevice.
func (b *Bridge) Downlinks(ctx context.Context, id session.ID) (session.Downlinks, error) {
	var out session.Downlinks
	found := false
	err := b.inspect(ctx, func(c *core.Core) { out, found = c.Downlinks(id) })
	if err == nil && !found {
		err = state.NoDevice(id)
	}
	return out, err
}
