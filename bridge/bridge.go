package bridge

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/gateway"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Outbox takes what is to be published. Publish must not block.
type Outbox interface{ Publish(m v3.Message) }

// Options configures a Bridge.
type Options struct {
	Devices       *session.Registry
	Gateways      *gateway.Registry
	Store         committer // *store.Store
	Outbox        Outbox
	Encoder       v3.Encoder
	DefaultPlan   *region.Plan
	Deduplication time.Duration // default 200 ms
	Commit        time.Duration // how long counters may lag in the store; 0: not at all
	Clock         *Clock        // default a new one
	Logger        *slog.Logger  // default slog.Default()
}

// inboxSize is how many frames wait for the core: what the radio can bring in
// some seconds.
const inboxSize = 2048

// Bridge runs a Core. Its methods Uplink, TxAck and GatewayEvent take what
// drivers hear; they return at once and may be called from any goroutine.
type Bridge struct {
	core   *Core
	clock  *Clock
	inbox  *inbox
	keeper *keeper
	outbox Outbox
	events eventLog
	timer  *time.Timer
	ask    chan chan Stats
}

// Stats are counts of the core and of its inbox.
type Stats struct {
	CoreStats
	InboxDropped uint64 // frames that found the inbox full: the oldest went
}

// New returns a Bridge. Run does the work.
func New(o Options) (*Bridge, error) {
	if o.Store == nil || o.Outbox == nil {
		return nil, errors.New("bridge: no store or no outbox")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = NewClock(nil)
	}
	core, err := NewCore(CoreOptions{
		Devices: o.Devices, Gateways: o.Gateways, Encoder: o.Encoder, DefaultPlan: o.DefaultPlan,
		Deduplication: o.Deduplication, NotBefore: NotBefore, Entropy: bufio.NewReaderSize(rand.Reader, 1024),
	})
	if err != nil {
		return nil, err
	}
	return &Bridge{
		core: core, clock: o.Clock, inbox: newInbox(inboxSize), keeper: newKeeper(o.Store, o.Commit, o.Logger),
		outbox: o.Outbox, events: eventLog{log: o.Logger}, ask: make(chan chan Stats),
	}, nil
}

// Uplink takes a frame. When the inbox is full the oldest frame in it goes.
func (b *Bridge) Uplink(up radio.Uplink) { b.inbox.frame(Heard{up}) }

// TxAck takes the answer to a transmission.
func (b *Bridge) TxAck(ack radio.TxAck) { b.inbox.tell(Acked{ack}) }

// GatewayEvent takes news of a gateway.
func (b *Bridge) GatewayEvent(ev radio.GatewayEvent) { b.inbox.tell(GatewayTold{ev}) }

// Stats returns the counts so far, or none if the bridge does not run.
func (b *Bridge) Stats(ctx context.Context) Stats {
	answer := make(chan Stats, 1)
	select {
	case b.ask <- answer:
		return <-answer
	case <-ctx.Done():
		return Stats{}
	}
}

// Run steps the core until ctx ends. Then it commits what is left, and waits
// for what it started.
func (b *Bridge) Run(ctx context.Context) error {
	b.timer = time.NewTimer(time.Hour)
	defer b.timer.Stop()
	var wg sync.WaitGroup
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	wg.Go(func() { b.keeper.run(keeping) })
	defer wg.Wait()
	defer stopKeeping()
	for {
		for in, ok := b.inbox.take(); ok && ctx.Err() == nil; in, ok = b.inbox.take() {
			b.step(in)
		}
		select {
		case <-ctx.Done():
			b.step(Stopping{})
			return nil
		case <-b.inbox.wake:
		case <-b.timer.C:
			b.step(TimerFired{})
		case answer := <-b.ask:
			answer <- Stats{CoreStats: b.core.Stats(), InboxDropped: b.inbox.drops()}
		}
	}
}

func (b *Bridge) step(in Input) {
	now := b.clock.Now()
	for _, e := range b.core.Step(now, in) {
		switch e := e.(type) {
		case Publish:
			b.outbox.Publish(e.Message)
		case Keep:
			b.keeper.keep(e)
		case Arm:
			b.timer.Reset(e.At.Sub(now.Host))
		case Report:
			b.events.write(&e.Event)
		}
	}
}
