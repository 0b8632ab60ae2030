// Package virtual is a gateway in memory on a simulated air, for tests of the whole
// flow in fake time and for a daemon without hardware. Options can make it a bad
// gateway: with a slow network that loses datagrams, and with refusals.
//
// It uses the time of package time, and draws its random numbers from a seed. It
// starts no goroutine: the goroutine that runs the air makes all its calls, in the
// order of the air's time, so that several gateways on one air give equal runs too.
package virtual

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lorawand/concentrator"
	"lorawand/concentrator/air"
	"lorawand/radio"
)

// Options configures a Driver. The zero value of an option is that of a good
// gateway.
type Options struct {
	Air      *air.Air              // required; the driver is silent while it does not run
	Receiver air.ReceiverOptions   // the gateway on the air; the driver sets Hear
	Now      func() radio.HostTime // the host's clock; required

	Seed   uint64
	Jitter time.Duration // longest delay of an uplink
	Loss   float64       // share of the uplinks that the network loses, 0 to 1

	Refuse     func(radio.Downlink) radio.TxResult // called by Transmit; if it is not TxOK, nothing is sent
	AckDelay   time.Duration                       // from Transmit to the answer; default 3 ms
	AckLoss    float64                             // share of the answers lost in the network, 0 to 1
	NoAcks     bool                                // send, but answer nothing
	AckTimeout time.Duration                       // when TxNoAck replaces a missing answer; default 3 s
}

// maxUnanswered limits the downlinks that wait for an answer.
const maxUnanswered = 64

// Driver is the gateway. It implements concentrator.Driver. It extends the counter
// of the receiver from the uplinks, as for any other gateway.
type Driver struct {
	opts     Options
	receiver *air.Receiver

	// Uplinks and answers draw from different sources, because they come from
	// different goroutines.
	up, down *rand.Rand

	mu      sync.Mutex        // guards the fields below, and down
	sink    concentrator.Sink // nil: not running
	calls   sync.WaitGroup    // running calls of the sink
	clock   radio.Clock
	pending []*unanswered // oldest first
}

var _ concentrator.Driver = (*Driver)(nil)

// unanswered is a downlink that waits for its answer.
type unanswered struct {
	id uint64
	at radio.HostTime
}

// New puts a gateway on the air. Run connects it with the sink.
func New(o Options) (*Driver, error) {
	if o.Air == nil || o.Now == nil {
		return nil, errors.New("virtual: no air or no clock")
	}
	if o.Loss < 0 || o.Loss > 1 || o.AckLoss < 0 || o.AckLoss > 1 {
		return nil, fmt.Errorf("virtual: losses of %v and %v, want 0 to 1", o.Loss, o.AckLoss)
	}
	if o.AckDelay == 0 {
		o.AckDelay = 3 * time.Millisecond
	}
	if o.AckTimeout == 0 {
		o.AckTimeout = 3 * time.Second
	}
	eui := o.Receiver.EUI.Uint64()
	d := &Driver{opts: o, up: rand.New(rand.NewPCG(o.Seed, eui)), down: rand.New(rand.NewPCG(^o.Seed, eui))}
	o.Receiver.Hear = d.hear
	d.receiver = o.Air.Listen(o.Receiver)
	return d, nil
}

// Receiver returns the gateway on the air.
func (d *Driver) Receiver() *air.Receiver { return d.receiver }

// Restart makes the counter start again, as a restart of a packet forwarder does.
// Queued frames are lost. The driver notices it at the next uplink.
func (d *Driver) Restart(counter uint32) { d.receiver.Reset(counter) }

// Run implements concentrator.Driver. At its end it takes the gateway off the air.
func (d *Driver) Run(ctx context.Context, sink concentrator.Sink) error {
	if ctx.Err() == nil {
		sink.GatewayEvent(radio.GatewayEvent{
			Gateway: d.opts.Receiver.EUI, Kind: radio.GatewayConnected, At: d.opts.Now(), Address: "virtual", Local: true,
		})
		d.mu.Lock()
		d.sink = sink
		d.mu.Unlock()
	}
	<-ctx.Done()
	d.receiver.Close()
	d.mu.Lock()
	d.sink = nil
	pending := d.pending
	d.pending = nil
	d.mu.Unlock()
	d.calls.Wait()
	for _, q := range pending {
		sink.TxAck(d.ack(q, radio.TxNoAck))
	}
	return nil
}

// enter returns the sink if the driver runs, and counts the call. The caller holds
// the lock; it releases the lock before it calls the sink, and calls d.calls.Done
// after it.
func (d *Driver) enter() concentrator.Sink {
	if d.sink != nil {
		d.calls.Add(1)
	}
	return d.sink
}

// hear takes a frame from the air to the network.
func (d *Driver) hear(up radio.Uplink) {
	if d.up.Float64() < d.opts.Loss {
		return
	}
	if d.opts.Jitter <= 0 {
		d.receive(up)
		return
	}
	delay := time.Duration(d.up.Int64N(int64(d.opts.Jitter) + 1))
	d.opts.Air.At(time.Now().Add(delay), func() { d.receive(up) })
}

// receive takes a frame from the network to the sink.
func (d *Driver) receive(up radio.Uplink) {
	d.mu.Lock()
	sink := d.enter()
	if sink == nil {
		d.mu.Unlock()
		return
	}
	now := d.opts.Now()
	t, stepped := d.clock.Observe(up.Time.Counter(), now)
	since := d.clock.Since()
	up.Time, up.Received, up.Ended = t, now, now
	if ended, err := d.clock.HostTime(t, now); err == nil {
		up.Ended = min(ended, now)
	}
	d.mu.Unlock()
	defer d.calls.Done()
	if stepped {
		sink.GatewayEvent(radio.GatewayEvent{Gateway: up.Gateway, Kind: radio.GatewayCounterReset, At: now, Since: since})
	}
	for i := range up.Receptions {
		r := &up.Receptions[i]
		r.Token = radio.UplinkToken{Gateway: up.Gateway, Antenna: r.Antenna, Time: t, Host: now, GPS: up.GPS}
	}
	sink.Uplink(up)
}

// Transmit implements concentrator.Driver.
func (d *Driver) Transmit(dl radio.Downlink) error {
	q, lost, err := d.accept(&dl)
	if err != nil {
		return err
	}
	result := radio.TxOK
	if d.opts.Refuse != nil {
		result = d.opts.Refuse(dl)
	}
	if result == radio.TxOK {
		result = d.receiver.Transmit(dl)
	}
	after := d.opts.AckDelay
	if lost {
		after, result = d.opts.AckTimeout, radio.TxNoAck
	}
	d.opts.Air.At(time.Now().Add(after), func() { d.answer(q, result) })
	return nil
}

// accept records a downlink, and says whether its answer is lost.
func (d *Driver) accept(dl *radio.Downlink) (q *unanswered, lost bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.sink == nil || dl.Gateway != d.opts.Receiver.EUI:
		return nil, false, fmt.Errorf("virtual: %w: %v", concentrator.ErrGateway, dl.Gateway)
	case len(d.pending) >= maxUnanswered:
		return nil, false, fmt.Errorf("virtual: %w: %v has left %d downlinks unanswered", concentrator.ErrGateway,
			dl.Gateway, maxUnanswered)
	}
	q = &unanswered{id: dl.ID, at: d.opts.Now()}
	d.pending = append(d.pending, q)
	return q, d.opts.NoAcks || d.down.Float64() < d.opts.AckLoss, nil
}

// answer reports the result of a downlink.
func (d *Driver) answer(q *unanswered, result radio.TxResult) {
	d.mu.Lock()
	sink := d.enter()
	if sink == nil {
		d.mu.Unlock()
		return // Run has answered it already
	}
	i := slices.Index(d.pending, q)
	d.pending = slices.Delete(d.pending, i, i+1)
	d.mu.Unlock()
	defer d.calls.Done()
	sink.TxAck(d.ack(q, result))
}

func (d *Driver) ack(q *unanswered, result radio.TxResult) radio.TxAck {
	now := d.opts.Now()
	return radio.TxAck{ID: q.id, Gateway: d.opts.Receiver.EUI, Result: result, RoundTrip: now.Sub(q.at), At: now}
}
