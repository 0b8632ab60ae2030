package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// remoteOptions configures a remote.
type remoteOptions struct {
	Now      func() radio.HostTime
	Receiver air.ReceiverOptions
	Jitter   time.Duration // each way
	Up, Down time.Duration // and at least that
	Local    bool          // it is reached by the loopback, as behind a multiplexer
	Seed     uint64
	Refuse   func(radio.Downlink) radio.TxResult // before anything else; TxOK: not
	Mute     func() bool                         // no TX_ACK
}

// overWire is a downlink as a PULL_RESP tells it: by the counter, or by GPS time. It returns false
// where that cannot be read.
func overWire(d radio.Downlink) (radio.Downlink, bool) {
	told, err := gwmp.ParseTx(gwmp.AppendTx(nil, &d))
	told.ID, told.Gateway = d.ID, d.Gateway
	return told, err == nil
}

// remote is a gateway on the far side of a network that is slow both ways, as a
// packet forwarder elsewhere is.
type remote struct {
	*air.Receiver
	o     remoteOptions
	rnd   *rand.Rand
	mu    sync.Mutex
	life  int // of the driver
	clock radio.Clock
	jobs  chan func(concentrator.Sink)
}

func newRemote(a *air.Air, o remoteOptions) *remote {
	g := &remote{o: o, rnd: rand.New(rand.NewPCG(o.Seed, 1)), jobs: make(chan func(concentrator.Sink), 10_000)}
	o.Receiver.Hear = g.hear
	g.Receiver = a.Listen(o.Receiver)
	return g
}

// restart is one of the packet forwarder, with another port or behind something
// that keeps it.
func (g *remote) restart(counter uint32, port bool) {
	g.Receiver.Reset(counter)
	if port {
		g.mu.Lock()
		g.clock.Suspect()
		g.mu.Unlock()
	}
}

// anew has the driver begin anew, as with its process: it knows no counter, what has come meanwhile
// is lost, and what the driver before has asked for gets no answer.
func (g *remote) anew() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life++
	g.clock = radio.Clock{}
	for len(g.jobs) > 0 {
		<-g.jobs
	}
}

func (g *remote) later(d time.Duration, f func(concentrator.Sink)) {
	time.AfterFunc(d, func() { g.jobs <- f })
}

func (g *remote) delay() time.Duration {
	if g.o.Jitter == 0 {
		return time.Millisecond
	}
	return time.Millisecond + time.Duration(g.rnd.Int64N(int64(g.o.Jitter)))
}

func (g *remote) hear(up radio.Uplink) {
	g.mu.Lock()
	d := g.o.Up + g.delay()
	g.mu.Unlock()
	g.later(d, func(s concentrator.Sink) {
		now := g.o.Now()
		g.mu.Lock()
		defer g.mu.Unlock()
		t, stepped := g.clock.Observe(up.Time.Counter(), now)
		ended, _ := g.clock.HostTime(t, now)
		up.GPS -= up.GPS % radio.GPSTime(time.Millisecond) // tmms
		up.Gateway, up.Time, up.Received, up.Ended = g.o.Receiver.EUI, t, now, min(ended, now)
		for i := range up.Receptions {
			up.Receptions[i].Token = radio.UplinkToken{Gateway: up.Gateway, Time: t, Host: now}
		}
		if stepped {
			s.GatewayEvent(radio.GatewayEvent{
				Gateway: up.Gateway, Kind: radio.GatewayCounterReset, At: now,
				Since: g.clock.Since(),
			})
		}
		s.Uplink(up)
	})
}

func (g *remote) Run(ctx context.Context, s concentrator.Sink) error {
	s.GatewayEvent(radio.GatewayEvent{
		Gateway: g.o.Receiver.EUI, Kind: radio.GatewayConnected, At: g.o.Now(),
		Local: g.o.Local,
	})
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-g.jobs:
			f(s)
		}
	}
}

func (g *remote) Transmit(d radio.Downlink) error {
	g.mu.Lock()
	there, back, life := g.o.Down+g.delay(), g.o.Up+g.delay(), g.life
	g.mu.Unlock()
	asked := g.o.Now()
	d, ok := overWire(d)
	if !ok {
		return concentrator.ErrGateway
	}
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
			if g.isOver(life) {
				return
			}
			s.TxAck(radio.TxAck{ID: d.ID, Gateway: d.Gateway, Result: r, RoundTrip: g.o.Now().Sub(asked), At: g.o.Now()})
		})
	})
	return nil
}

// isOver reports whether a life of the driver has ended.
func (g *remote) isOver(life int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.life != life
}
