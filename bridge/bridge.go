// Package bridge runs the core: one goroutine with a bounded inbox before it and,
// behind it, the owners that carry out what the core decides: the broker's outbox,
// the store's committer, the driver of each gateway, the timer, the log of events.
package bridge

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/activity"
	"lorawand/bridge/core"
	"lorawand/bridge/decode"
	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/formatter"
	"lorawand/bridge/gateway"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/state"
	"lorawand/bridge/v3"
	"lorawand/radio"
	"lorawand/radio/region"
)

// Outbox takes what is to be published. Publish must not block.
type Outbox interface{ Publish(m v3.Message) }

// Transmitter hands frames to gateways. Transmit must not wait for the
// transmission: it returns an error where no TxAck will follow.
type Transmitter interface{ Transmit(d radio.Downlink) error }

// Options configures a Bridge.
type Options struct {
	Devices       *session.Registry
	Gateways      *gateway.Registry
	Store         state.Store
	Outbox        Outbox
	Clients       state.Clients // of the Outbox; nil: nobody knows what they have
	Transmitter   Transmitter   // nil: nothing can be sent
	Encoder       v3.Encoder
	DefaultPlan   *region.Plan
	Deduplication time.Duration // default 200 ms
	Commit        time.Duration // how long counters may lag in the store; 0: not at all
	RX1Delay      time.Duration // told to devices that join; default 5 s
	DevAddrs      []radio.DevAddrPrefix
	Serves        bool                        // devices will be heard: counters are reserved for their first downlinks
	Ledgers       map[radio.EUI64]state.Spent // State.Ledgers
	Hours         map[radio.EUI64][]state.AirtimeHour
	Tombstones    *tombstone.Set // State.Tombstones
	Clock         *Clock         // default a new one
	Logger        *slog.Logger   // default slog.Default()

	Version string // is told in the statuses; "": none are published

	// Provisioned is told of an application whose devices have changed: some were
	// added, set or removed. It must not block. nil: nobody is.
	Provisioned func(application string)

	Forwarder Forwarder // nil: no frames are handed on
	Relays    bool      // frames are for the Forwarder alone

	Formatters decode.Formatters // default: no device has any
	Pool       *formatter.Pool   // runs payload formatters, by whoever owns it; nil: scripts are not run

	Recorder Recorder // nil: the inputs of the core are not written down

	// Lease returns how long this machine may still send, as far as it knows now. nil: for ever.
	Lease func() time.Duration
}

// Recorder writes down what the core is given, so that it can be run again.
type Recorder interface {
	// Begin takes what the core is about to be made with, and may give it another Entropy.
	Begin(o *core.Options) error
	// Input takes an input that the core is about to get. It must not block, and must not keep it.
	Input(now core.Now, in core.Input)
}

// inboxSize is how many frames wait for the core: what the radio can bring in
// some seconds.
const inboxSize = 2048

// Bridge runs a Core. Its methods Uplink, TxAck and GatewayEvent take what
// drivers hear; they return at once and may be called from any goroutine.
type Bridge struct {
	core       *core.Core
	clock      *Clock
	inbox      *inbox
	committer  *state.Committer
	outbox     Outbox
	air        Transmitter
	events     *event.Log
	activity   *activity.Log
	log        *slog.Logger
	waiters    waiters
	timer      *time.Timer
	ask        chan func(*core.Core)
	serves     bool
	formatters decode.Formatters
	decoder    *decode.Decoder
	encoder    v3.Encoder
	version    string
	faults     faults
	drops      inboxDrops

	provisioned func(application string)
	others      others
	recorder    Recorder // nil: there is none
	lease       func() time.Duration
	leaseless   bool // the core knows that the machine may not send
}

// Stats are counts of the core and of its inbox.
type Stats struct {
	event.Stats
	InboxDropped uint64 // frames that found the inbox full: the oldest went
	Inbox        int    // inputs that wait
	Faults       uint64 // panics of this program, each at one input
	Wear         state.Wear
	Devices      int // registered now
	Gateways     int // known now
	Online       int // of these
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
	machine, err := newCore(&o)
	if err != nil {
		return nil, err
	}
	b := &Bridge{
		core: machine, clock: o.Clock, inbox: newInbox(inboxSize), outbox: o.Outbox, air: o.Transmitter,
		encoder: o.Encoder, version: o.Version, events: event.NewLog(o.Logger), activity: activity.New(0), log: o.Logger,
		ask: make(chan func(*core.Core)), serves: o.Serves, provisioned: o.Provisioned,
		others: others{to: o.Forwarder, connected: map[radio.EUI64]bool{}}, recorder: o.Recorder,
		lease: o.Lease,
	}
	b.faults.log, b.faults.clock = o.Logger, o.Clock
	b.formatters = cmp.Or[decode.Formatters](o.Formatters, decode.None{})
	b.decoder = b.newDecoder(o)
	stored := func(ticket uint64, err error) { b.inbox.add(core.Stored{Ticket: ticket, Err: err}) }
	b.committer = state.NewCommitter(o.Store, o.Commit, stored, o.Logger)
	b.committer.Heed(o.Clients)
	return b, nil
}

// newCore makes the core.
func newCore(o *Options) (*core.Core, error) {
	c := core.Options{
		Devices: o.Devices, Gateways: o.Gateways, Encoder: o.Encoder, DefaultPlan: o.DefaultPlan,
		Deduplication: o.Deduplication, RX1Delay: o.RX1Delay, DevAddrs: o.DevAddrs, Ledgers: o.Ledgers,
		Forwards: o.Forwarder != nil, Relays: o.Relays, Leases: o.Lease != nil,
		Hours: o.Hours, Tombstones: o.Tombstones, NotBefore: NotBefore, Entropy: bufio.NewReaderSize(rand.Reader, 1024),
	}
	if o.Recorder != nil {
		if err := o.Recorder.Begin(&c); err != nil {
			return nil, err
		}
	}
	return core.New(c)
}

// Uplink takes a frame. When the inbox is full the oldest frame in it goes.
func (b *Bridge) Uplink(up radio.Uplink) { b.inbox.frame(core.Heard{Uplink: up}) }

// TxAck takes the answer to a transmission.
func (b *Bridge) TxAck(ack radio.TxAck) { b.inbox.add(core.Acked{Ack: ack}) }

// GatewayEvent takes news of a gateway.
func (b *Bridge) GatewayEvent(ev radio.GatewayEvent) { b.inbox.add(core.GatewayChanged{Event: ev}) }

// Events returns the log of events.
func (b *Bridge) Events() *event.Log { return b.events }

// Activity returns what is remembered of each device.
func (b *Bridge) Activity() *activity.Log { return b.activity }

// Push takes what an application wants to send, the body of a down/push or
// down/replace. It returns when that is stored, or refused and reported on MQTT. After an error it
// is not queued: who repeats a push that was not acknowledged has it sent once, unless the
// daemon ends or crashes just then.
func (b *Bridge) Push(ctx context.Context, device session.ID, replace bool, body []byte) error {
	_, err := b.TryPush(ctx, device, replace, body)
	var refused *v3.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}

// TryPush is Push for those who do not listen on MQTT: it returns the
// correlation ids of each item, or a *v3.Error for a push that was refused.
func (b *Bridge) TryPush(ctx context.Context, device session.ID, replace bool, body []byte) ([][]string, error) {
	p := core.Pushed{Device: device, Replace: replace}
	items, err := v3.ParseDownlinks(body)
	p.Items = items
	if err == nil {
		err = b.encode(ctx, device, items)
	}
	if err != nil && !errors.As(err, &p.Err) {
		return nil, fmt.Errorf("bridge: push for %v: %w", device, err)
	}
	ticket, answer := b.waiters.open()
	defer b.waiters.close(ticket)
	p.Ticket = ticket
	b.inbox.push(p)
	a, err := answered(ctx, answer)
	if err != nil {
		b.inbox.push(core.Withdrawn{Ticket: ticket})
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTime)
		defer cancel()
		var refused *v3.Error
		if a, err2 := answered(late, answer); err2 == nil && (a.Err == nil || errors.As(a.Err, &refused)) {
			return a.CorrelationIDs, a.Err // it was stored meanwhile, or refused, which is published
		}
		return nil, fmt.Errorf("bridge: push for %v: %w", device, err)
	}
	return a.CorrelationIDs, a.Err
}

// withdrawTime is how long the core may take to take back a push. It waits for no disk.
const withdrawTime = 500 * time.Millisecond

// await gives the core an input that gets an Answer, and waits for that.
func (b *Bridge) await(ctx context.Context, in func(ticket uint64) core.Input) (core.Answer, error) {
	ticket, answer := b.waiters.open()
	defer b.waiters.close(ticket)
	b.inbox.add(in(ticket))
	return answered(ctx, answer)
}

func answered(ctx context.Context, answer <-chan core.Answer) (core.Answer, error) {
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		return core.Answer{}, ctx.Err()
	}
}

// lastCommit is how long Run waits at its end for what is left to be committed.
const lastCommit = 2 * time.Second

// ErrLastCommit is the reason for ending without the last commit.
var ErrLastCommit = errors.New("bridge: the store does not answer; what was not committed is lost")

// Run steps the core until ctx ends. Then it commits what is left, and waits
// for what it started; but for a disk that hangs no longer than lastCommit: then
// it returns ErrLastCommit, and leaves a goroutine behind.
func (b *Bridge) Run(ctx context.Context) error {
	b.timer = time.NewTimer(time.Hour)
	defer b.timer.Stop()
	committed := make(chan struct{})
	committing, stopCommitting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommitting()
	go func() {
		defer close(committed)
		b.committer.Run(committing)
	}()
	if b.serves {
		b.step(core.Starting{})
	}
	b.tellStatus(true)
	for {
		b.takeSome(ctx)
		b.tellDrops()
		select {
		case <-ctx.Done():
			b.step(core.Stopping{})
			b.waiters.end(errStopped)
			stopCommitting()
			b.decoder.Drain(lastDecoding)
			b.tellStatus(false)
			return ended(committed)
		case <-b.inbox.wake:
		case <-b.timer.C:
			b.step(core.TimerFired{})
		case f := <-b.ask:
			f(b.core)
		}
	}
}

// atOnce is how many inputs are dealt with before other things are looked at: questions are answered,
// and losses told, while more comes than the core can take.
const atOnce = 256

// takeSome deals with inputs that wait.
func (b *Bridge) takeSome(ctx context.Context) {
	for range atOnce {
		in, h, ok := b.inbox.take()
		switch {
		case !ok || ctx.Err() != nil:
			return
		case in == nil:
			b.step(h)
		default:
			b.step(in)
		}
	}
	b.inbox.notify() // there may be more
}

// ended waits until what is left is committed.
func ended(committed <-chan struct{}) error {
	patience := time.NewTimer(lastCommit)
	defer patience.Stop()
	select {
	case <-committed:
		return nil
	case <-patience.C:
		return ErrLastCommit
	}
}

func (b *Bridge) step(in core.Input) {
	if b.lease != nil {
		// This process may have been stopped for long, just before.
		if over := b.lease() <= 0; over != b.leaseless {
			b.leaseless = over
			b.stepWith(core.Leased{Held: !over})
		}
	}
	b.stepWith(in)
}

func (b *Bridge) stepWith(in core.Input) {
	now := b.clock.Now()
	for effects := b.stepped(now, in); len(effects) > 0; {
		effects = b.carryOut(now, in, effects)
	}
}

// carryOut has effects carried out. It returns those behind one that has failed.
func (b *Bridge) carryOut(now core.Now, in core.Input, effects []core.Effect) (rest []core.Effect) {
	i := 0
	defer func() {
		if fault := recover(); fault != nil {
			b.faults.caught(in, fault)
			rest = effects[i+1:]
		}
	}()
	for ; i < len(effects); i++ {
		switch e := effects[i].(type) {
		case core.Publish:
			b.decoder.Publish(e.Message, e.Undecoded)
		case core.Commit:
			e.Decoded = e.Told && b.decoder.Waiting() > 0
			b.committer.Add(state.Request(e))
		case core.Transmit:
			b.transmit(e.Downlink, e.Ends)
		case core.Answer:
			b.waiters.answer(e)
		case *core.Arm:
			b.timer.Reset(e.At.Sub(now.Host))
		case core.Report:
			b.tell(&e.Event)
			b.tellGateway(&e.Event)
			b.others.event(&e.Event, b.core.Gateways())
		case core.Forward:
			b.others.to.Uplink(e.Uplink, e.Own)
		case core.Replied:
			b.replied(foreign.Result(e), now)
		}
	}
	return nil
}

// tell writes an event down.
func (b *Bridge) tell(e *event.Event) {
	b.events.Write(e)
	b.activity.Event(e)
}

// transmit hands a frame to its gateway. If that is not possible, the core gets an
// answer as from the gateway. ends is when the frame has been sent.
func (b *Bridge) transmit(d radio.Downlink, ends radio.HostTime) {
	err := errNoTransmitter
	switch {
	case b.lease != nil && !d.Beacon && b.lease() <= max(0, ends.Sub(b.clock.Host())):
		err = errNoLease // this process may also have slept since the core has decided
	case b.air != nil:
		err = b.air.Transmit(d)
	}
	if err != nil {
		b.log.Debug("a downlink cannot be handed over", "gateway_eui", d.Gateway, "error", err)
		b.inbox.add(core.Acked{Ack: radio.TxAck{
			ID: d.ID, Gateway: d.Gateway, Result: radio.TxNoPath, Fault: err.Error(), At: b.clock.Host(),
		}})
	}
}

var (
	errNoTransmitter = errors.New("bridge: no driver")
	errNoLease       = errors.New(schedule.FaultLease)
	errStopped       = errors.New("bridge: stopping")
)

// waiters are the clients that wait for an Answer.
type waiters struct {
	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan core.Answer
}

// open adds a waiter.
func (w *waiters) open() (ticket uint64, answer <-chan core.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[uint64]chan core.Answer{}
	}
	w.last++
	ch := make(chan core.Answer, 1)
	w.waiting[w.last] = ch
	return w.last, ch
}

// answer passes an Answer to its waiter, if that still waits.
func (w *waiters) answer(a core.Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.waiting[a.Ticket]; ch != nil {
		ch <- a
		delete(w.waiting, a.Ticket)
	}
}

// end answers all that still wait.
func (w *waiters) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.waiting {
		ch <- core.Answer{Err: err}
	}
	clear(w.waiting)
}

// close removes a waiter.
func (w *waiters) close(ticket uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, ticket)
}
