package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/radio"
)

type memOptions struct {
	Receiver air.ReceiverOptions
	Local    bool
	Jitter   time.Duration
	Seed     uint64
	Refuse   func(radio.Downlink) radio.TxResult // before anything else; TxOK: not
	Mute     func() bool                         // no TX_ACK
}

type memGateway struct {
	*air.Receiver
	o     memOptions
	begin time.Time
	rnd   *rand.Rand
	mu    sync.Mutex
	clock radio.Clock
	jobs  chan func(concentrator.Sink)
}

func newMemGateway(a *air.Air, o memOptions) *memGateway {
	g := &memGateway{o: o, begin: time.Now(), rnd: rand.New(rand.NewPCG(o.Seed, 1)), jobs: make(chan func(concentrator.Sink), 10_000)}
	o.Receiver.Hear = g.hear
	g.Receiver = a.Listen(o.Receiver)
	return g
}

func (g *memGateway) now() radio.HostTime { return radio.HostTime(time.Since(g.begin)) }

func (g *memGateway) later(d time.Duration, f func(concentrator.Sink)) {
	time.AfterFunc(d, func() { g.jobs <- f })
}

func (g *memGateway) delay() time.Duration {
	if g.o.Jitter == 0 {
		return time.Millisecond
	}
	return time.Millisecond + time.Duration(g.rnd.Int64N(int64(g.o.Jitter)))
}

func (g *memGateway) hear(up radio.Uplink) {
	g.mu.Lock()
	d := g.delay()
	g.mu.Unlock()
	g.later(d, func(s concentrator.Sink) {
		now := g.now()
		t, stepped := g.clock.Observe(up.Time.Counter(), now)
		ended, _ := g.clock.HostTime(t, now)
		up.Gateway, up.Time, up.Received, up.Ended = g.o.Receiver.EUI, t, now, min(ended, now)
		for i := range up.Receptions {
			up.Receptions[i].Token = radio.UplinkToken{Gateway: up.Gateway, Time: t, Host: now}
		}
		if stepped {
			s.GatewayEvent(radio.GatewayEvent{Gateway: up.Gateway, Kind: radio.GatewayCounterReset, At: now})
		}
		s.Uplink(up)
	})
}

func (g *memGateway) Run(ctx context.Context, s concentrator.Sink) error {
	s.GatewayEvent(radio.GatewayEvent{Gateway: g.o.Receiver.EUI, Kind: radio.GatewayConnected, Local: g.o.Local, At: g.now()})
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-g.jobs:
			f(s)
		}
	}
}

func (g *memGateway) Transmit(d radio.Downlink) error {
	g.mu.Lock()
	there, back := g.delay(), g.delay()
	g.mu.Unlock()
	asked := g.now()
	time.AfterFunc(there, func() {
		r := radio.TxOK
		if g.o.Refuse != nil {
			r = g.o.Refuse(d)
		}
		if r == radio.TxOK {
			r = g.Receiver.Transmit(d)
		}
		if g.o.Mute != nil && g.o.Mute() {
			r, back = radio.TxNoAck, 3*time.Second
		}
		g.later(back, func(s concentrator.Sink) {
			s.TxAck(radio.TxAck{ID: d.ID, Gateway: d.Gateway, Result: r, RoundTrip: g.now().Sub(asked), At: g.now()})
		})
	})
	return nil
}
