// Package bridge joins the two flows of lorawand: frames from gateways become
// messages for applications, and messages from applications become frames.
//
// Core is a state machine, stepped by one goroutine; it does no I/O, reads no
// clock and draws no randomness that was not handed in. Bridge is that
// goroutine, with the bounded inbox before it and the owners behind it that
// carry out what it decides: the broker's outbox, the store's writer, the
// timer, the log of events.
package bridge

import (
	"errors"
	"io"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/store"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Now is the time of a step, by both clocks of the host.
type Now struct {
	Host radio.HostTime
	Wall radio.WallTime
}

// at returns the calendar time of a moment of the host's clock, or the zero
// time where the calendar is not known.
func (n Now) at(t radio.HostTime) time.Time {
	if !n.Wall.Known() {
		return time.Time{}
	}
	return n.Wall.Time.Add(t.Sub(n.Host))
}

// Input is what a Core is told.
type Input interface{ input() }

// Inputs.
type (
	// Heard is a frame that a gateway has heard.
	Heard struct{ Uplink radio.Uplink }
	// GatewayTold is a change in what is known of a gateway.
	GatewayTold struct{ Event radio.GatewayEvent }
	// Acked says what became of a transmission.
	Acked struct{ Ack radio.TxAck }
	// TimerFired says that the time of the last Arm has come.
	TimerFired struct{}
	// Stopping says that no other input follows: what waits is not waited for.
	Stopping struct{}
)

func (Heard) input()       {}
func (GatewayTold) input() {}
func (Acked) input()       {}
func (TimerFired) input()  {}
func (Stopping) input()    {}

// Effect is what a Core wants done.
type Effect interface{ effect() }

// Effects.
type (
	// Publish hands a message to the broker.
	Publish struct{ Message v3.Message }
	// Keep hands records to the store. Lagging ones may wait for the commit
	// interval; a later record with the same key replaces an earlier one.
	Keep struct {
		Record store.Record
		Lag    bool
	}
	// Arm asks for a TimerFired at a time. It replaces the one before.
	Arm struct{ At radio.HostTime }
	// Report tells people.
	Report struct{ Event Event }
)

func (Publish) effect() {}
func (Keep) effect()    {}
func (Arm) effect()     {}
func (Report) effect()  {}

// CoreOptions configures a Core.
type CoreOptions struct {
	Devices  *session.Registry
	Gateways *gateway.Registry
	Encoder  v3.Encoder
	Entropy  io.Reader // random bytes

	// DefaultPlan is for gateways that a driver takes though nobody has
	// configured them.
	DefaultPlan *region.Plan

	// Deduplication is how long a frame waits for the other gateways that are
	// expected to hear it; default 200 ms.
	Deduplication time.Duration

	// NotBefore is the time before which no calendar is believed.
	NotBefore time.Time
}

// Core is the state machine. It belongs to one goroutine.
type Core struct {
	opts    CoreOptions
	stats   CoreStats
	now     Now
	effects []Effect

	receptions map[string]*reception // by PHYPayload
	remembered []*reception          // the same, oldest first
	waiting    []*reception          // those that are not published yet, oldest first
	armed      radio.HostTime        // 0: no timer
}

// CoreStats counts what happened since the start.
type CoreStats struct {
	Uplinks   uint64 // receptions, of all kinds
	Published uint64
	Copies    uint64 // of a frame through another gateway
	Ghosts    uint64 // of a frame beside its own channel
	Repeated  uint64 // frames with the counter of the last one
	Dropped   [numDropReasons]uint64
	Pending   int // frames that wait for other gateways, or are remembered for their copies
}

// NewCore returns a Core.
func NewCore(o CoreOptions) (*Core, error) {
	if o.Devices == nil || o.Gateways == nil || o.Entropy == nil || o.DefaultPlan == nil {
		return nil, errors.New("bridge: a core needs devices, gateways, entropy and a default plan")
	}
	if o.Deduplication == 0 {
		o.Deduplication = 200 * time.Millisecond
	}
	return &Core{opts: o, receptions: map[string]*reception{}}, nil
}

// Step takes one input and returns what is to be done, in order. The slice is
// valid until the next Step.
func (c *Core) Step(now Now, in Input) []Effect {
	c.now, c.effects = now, c.effects[:0]
	switch in := in.(type) {
	case Heard:
		c.heard(in.Uplink)
	case GatewayTold:
		c.gatewayTold(in.Event)
	case Acked: // nothing is transmitted yet
	case TimerFired:
		c.armed = 0
	case Stopping:
		for _, r := range c.waiting {
			c.publish(r)
		}
	}
	c.settle()
	return c.effects
}

// Stats returns the counts so far.
func (c *Core) Stats() CoreStats {
	s := c.stats
	s.Pending = len(c.remembered)
	return s
}

func (c *Core) do(e Effect) { c.effects = append(c.effects, e) }

// gateway returns a gateway. One that nobody has configured, but its driver
// takes, gets the default plan.
func (c *Core) gateway(eui radio.EUI64) *gateway.Gateway {
	if g := c.opts.Gateways.Gateway(eui); g != nil {
		return g
	}
	g := &gateway.Gateway{ID: gateway.DefaultID(eui), EUI: eui, Plan: c.opts.DefaultPlan, EnforceDutyCycle: true}
	if err := c.opts.Gateways.Add(g); err != nil {
		// Another gateway was given this one's default id.
		g.ID += "-unknown"
		_ = c.opts.Gateways.Add(g)
	}
	return g
}

func (c *Core) gatewayTold(e radio.GatewayEvent) {
	g := c.gateway(e.Gateway)
	switch e.Kind {
	case radio.GatewayConnected:
		c.online(g, true, e)
	case radio.GatewayDisconnected:
		c.online(g, false, e)
	case radio.GatewayCounterReset:
		c.report(Event{Kind: GatewayCounterReset, Gateway: g.ID})
	case radio.GatewayStatus:
		g.Status = e.Status
	}
	if e.Address != "" {
		g.Address = e.Address
	}
}

func (c *Core) online(g *gateway.Gateway, online bool, e radio.GatewayEvent) {
	if !c.opts.Gateways.SetOnline(g, online, e.At) {
		return
	}
	kind := GatewayDisconnected
	if online {
		kind = GatewayConnected
		g.Connection = c.correlationID(v3.GatewayConnection)
	}
	c.report(Event{Kind: kind, Gateway: g.ID, Address: e.Address})
}

// correlationID returns a new correlation id. Without a calendar its time is
// wrong and it is unique all the same.
func (c *Core) correlationID(kind string) string {
	var b [v3.ULIDEntropy]byte
	_, _ = io.ReadFull(c.opts.Entropy, b[:])
	return v3.CorrelationID(kind, c.now.Wall.Time, b)
}
