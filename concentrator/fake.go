package concentrator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lorawand/radio"
)

// maxUntold limits what a Fake keeps for its sink. Above it Hear drops frames and
// Transmit refuses them.
const maxUntold = 1024

// Fake is a Driver with one gateway for tests: Hear gives it frames to hear, and it
// keeps the frames that it is to send.
type Fake struct {
	EUI    radio.EUI64
	Now    func() radio.HostTime               // the host's clock; default: time since NewFake
	Answer func(radio.Downlink) radio.TxResult // returns the result of a Downlink; default TxOK

	mu      sync.Mutex
	running bool
	sent    []radio.Downlink
	untold  []func(Sink)
	wake    chan struct{}
}

var _ Driver = (*Fake)(nil)

// NewFake returns a Fake. Its fields may be set before Run.
func NewFake(eui radio.EUI64) *Fake {
	begin := time.Now()
	return &Fake{
		EUI: eui, wake: make(chan struct{}, 1),
		Now:    func() radio.HostTime { return radio.HostTime(time.Since(begin)) },
		Answer: func(radio.Downlink) radio.TxResult { return radio.TxOK },
	}
}

// Hear lets the gateway hear a frame that has just ended. The Fake sets Gateway,
// Received, Ended and the tokens; it adds a Reception if there is none.
func (f *Fake) Hear(up radio.Uplink) {
	up.Gateway, up.Received = f.EUI, f.Now()
	up.Ended = up.Received
	up.Receptions = slices.Clone(up.Receptions)
	if len(up.Receptions) == 0 {
		up.Receptions = make([]radio.Reception, 1)
	}
	for i := range up.Receptions {
		r := &up.Receptions[i]
		r.Token = radio.UplinkToken{Gateway: f.EUI, Antenna: r.Antenna, Time: up.Time, Host: up.Received, GPS: up.GPS}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell(func(s Sink) { s.Uplink(up) })
}

// Sent returns all accepted downlinks, whatever their result.
func (f *Fake) Sent() []radio.Downlink {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// Transmit implements Driver.
func (f *Fake) Transmit(d radio.Downlink) error {
	result, at := f.Answer(d), f.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.running || d.Gateway != f.EUI {
		return fmt.Errorf("fake: %w: %v", ErrGateway, d.Gateway)
	}
	ack := radio.TxAck{ID: d.ID, Gateway: f.EUI, Result: result, At: at}
	if !f.tell(func(s Sink) { s.TxAck(ack) }) {
		return fmt.Errorf("fake: %w: %v has %d answers to give", ErrGateway, d.Gateway, maxUntold)
	}
	f.sent = append(f.sent, d)
	return nil
}

// tell keeps a call for the sink. The caller holds the lock.
func (f *Fake) tell(what func(Sink)) bool {
	if len(f.untold) >= maxUntold {
		return false
	}
	f.untold = append(f.untold, what)
	select {
	case f.wake <- struct{}{}:
	default:
	}
	return true
}

// Run implements Driver.
func (f *Fake) Run(ctx context.Context, sink Sink) error {
	sink.GatewayEvent(radio.GatewayEvent{Gateway: f.EUI, Kind: radio.GatewayConnected, At: f.Now(), Local: true})
	running := true
	for running {
		running = ctx.Err() == nil
		f.mu.Lock()
		f.running = running
		untold := f.untold
		f.untold = nil
		f.mu.Unlock()
		for _, what := range untold {
			what(sink)
		}
		select {
		case <-ctx.Done():
		case <-f.wake:
		}
	}
	return nil
}

// FakeSink is a Sink for tests: it keeps the calls of drivers. The zero value is
// ready.
type FakeSink struct {
	mu      sync.Mutex
	uplinks []radio.Uplink
	acks    []radio.TxAck
	events  []radio.GatewayEvent
}

var _ Sink = (*FakeSink)(nil)

// Uplink implements Sink.
func (s *FakeSink) Uplink(up radio.Uplink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uplinks = append(s.uplinks, up)
}

// TxAck implements Sink.
func (s *FakeSink) TxAck(ack radio.TxAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, ack)
}

// GatewayEvent implements Sink.
func (s *FakeSink) GatewayEvent(ev radio.GatewayEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, ev)
}

// Uplinks returns the uplinks so far.
func (s *FakeSink) Uplinks() []radio.Uplink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.uplinks)
}

// TxAcks returns the results of downlinks so far.
func (s *FakeSink) TxAcks() []radio.TxAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acks)
}

// GatewayEvents returns the events of gateways so far.
func (s *FakeSink) GatewayEvents() []radio.GatewayEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}
