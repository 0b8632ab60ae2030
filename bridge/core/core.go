// Package core is lorawand as a state machine: inputs go in, effects come out. The two
// flows, from an uplink to its message and from a push to its frame, are here.
//
// An uplink is taken in uplink.go, its copies in reception.go, its message is made in
// publish.go. It makes an opportunity (opportunity.go), whose windows are held and
// decided on in decide.go; what is sent is a transmission (transmission.go), each try
// of it an attempt (attempt.go). The timer loop is in timers.go.
//
// A Core is stepped by one goroutine. It does no I/O, reads no clock and draws no
// randomness that was not handed in: the same inputs give the same effects.
package core

import (
	"cmp"
	"errors"
	"io"
	"time"

	"lorawand/bridge/beacon"
	"lorawand/bridge/classc"
	"lorawand/bridge/event"
	"lorawand/bridge/foreign"
	"lorawand/bridge/gateway"
	"lorawand/bridge/hearing"
	"lorawand/bridge/provision"
	"lorawand/bridge/pushes"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/session/tombstone"
	"lorawand/bridge/state"
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

// Input is something that has happened.
type Input interface{ input() }

// Inputs.
type (
	// Heard is a frame that a gateway has heard.
	Heard struct{ Uplink radio.Uplink }
	// GatewayChanged is a change in what is known of a gateway.
	GatewayChanged struct{ Event radio.GatewayEvent }
	// Acked is the answer of a gateway to a Transmit.
	Acked struct{ Ack radio.TxAck }
	// Pushed is what an application wants to send. Each gets an Answer.
	Pushed struct {
		Ticket  uint64
		Device  session.ID
		Replace bool
		Items   []session.Item
		Err     *v3.Error // why the push is refused; Items are those that could be read
	}
	// Withdrawn says that nobody waits for the Answer to a push any more: the client hears that
	// it has failed, and may repeat it. A push that waits for the store is not queued then, and
	// gets an Answer that says so. Else it has had its Answer, and keeps it.
	Withdrawn struct{ Ticket uint64 }
	// Stored says that the records of a Commit are in the store, or why not.
	Stored struct {
		Ticket uint64
		Err    error
	}
	// TimerFired says that the time of the last Arm has come.
	TimerFired struct{}
	// Leased says whether this machine may send, which it may before the first one.
	Leased struct{ Held bool }
	// Stopping is the last input.
	Stopping struct{}
)

func (Heard) input()          {}
func (GatewayChanged) input() {}
func (Acked) input()          {}
func (Pushed) input()         {}
func (Withdrawn) input()      {}
func (Stored) input()         {}
func (TimerFired) input()     {}
func (Leased) input()         {}
func (Stopping) input()       {}

// Effect is what a Core wants done.
type Effect interface{ effect() }

// Effects.
type (
	// Publish hands a message to the broker, when a payload formatter has completed it.
	Publish struct {
		Message   v3.Message
		Undecoded v3.Undecoded
	}
	// Commit hands records to the store: see state.Request. With a Ticket other
	// than 0 a Stored follows.
	Commit state.Request
	// Transmit hands a frame to the driver of its gateway. An Acked follows.
	Transmit foreign.Frame
	// Answer ends a Pushed, Provisioned or Reconfigured: the client may be told
	// that it is stored, or why it is not.
	Answer struct {
		Ticket         uint64
		Err            error      // *v3.Error: the push was refused, and down/failed is published
		CorrelationIDs [][]string // of each item that was pushed
	}
	// Arm asks for a TimerFired at a time, in place of the one before. The Effect
	// is a pointer to the Core's own Arm, which the next Step changes: every frame
	// arms the timer more than once, and nothing is allocated for that.
	Arm struct{ At radio.HostTime }
	// Report hands an event to the log of events.
	Report struct{ Event event.Event }
)

func (Publish) effect()  {}
func (Commit) effect()   {}
func (Transmit) effect() {}
func (Answer) effect()   {}
func (*Arm) effect()     {}
func (Report) effect()   {}

// Options configures a Core.
type Options struct {
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

	Ledgers map[radio.EUI64]state.Spent         // what gateways had spent before the start
	Hours   map[radio.EUI64][]state.AirtimeHour // in which they had sent

	Tombstones *tombstone.Set // nil: there are none
	Forwards   bool           // there are other networks: each frame gets a Forward
	Relays     bool           // with Forwards: frames are for the others alone
	Leases     bool           // frames are handed over as late as can be, so that a short lease does: see Leased

	RX1Delay time.Duration         // told to devices that join; default 5 s
	DevAddrs []radio.DevAddrPrefix // devices that join get an address of these; default 00000000/7
}

// Core is the state machine. It belongs to one goroutine.
type Core struct {
	opts    Options
	stats   event.Stats
	now     Now
	effects []Effect

	receptions map[string]*reception // by PHYPayload
	remembered []*reception          // the same, oldest first
	waiting    []*reception          // those that are not published yet, oldest first
	gatherings hearing.Pool
	armed      radio.HostTime // 0: no timer
	arm        Arm

	// Room for what is made with each frame and copied before the next one.
	names v3.Names
	plain []byte         // FRMPayload
	shown []v3.Reception // rx_metadata
	text  []byte         // JSON

	schedule      *schedule.Scheduler
	opportunities map[*session.Device]*opportunity    // that are not over
	inFlight      map[*session.Device][]*transmission // under way, oldest first; nearly always one
	attempts      map[uint64]*transmission            // whose last attempt is not over, by its id
	lastID        uint64
	onStored      map[uint64]func(error) // by ticket: what is called when the store has answered; see maxUnstored
	lastTicket    uint64
	pendingPushes pushes.Pending
	agenda        schedule.Agenda[duty]
	airtime       *state.Airtime
	listeners     map[*session.Device]*classc.Listener // of devices of Class C
	woken         []*session.Device                    // for which offer is to look, in this step
	calendar      func(radio.HostTime) time.Time       // Now.at, in this step: made once, as each step needs it
	provisions    provision.Queue
	beacons       beacon.Sender
	foreign       foreign.Sender
}

// New returns a Core.
func New(o Options) (*Core, error) {
	if o.Devices == nil || o.Gateways == nil || o.Entropy == nil || o.DefaultPlan == nil {
		return nil, errors.New("bridge: a core needs devices, gateways, entropy and a default plan")
	}
	o.Deduplication = cmp.Or(o.Deduplication, 200*time.Millisecond)
	o.RX1Delay = cmp.Or(o.RX1Delay, 5*time.Second)
	if len(o.DevAddrs) == 0 {
		o.DevAddrs = []radio.DevAddrPrefix{radio.NetID{}.DevAddrPrefix()}
	}
	if o.Tombstones == nil {
		o.Tombstones = tombstone.New()
	}
	c := &Core{
		opts: o, names: v3.Names{Entropy: o.Entropy}, receptions: map[string]*reception{}, schedule: schedule.New(),
		opportunities: map[*session.Device]*opportunity{}, inFlight: map[*session.Device][]*transmission{},
		attempts: map[uint64]*transmission{}, onStored: map[uint64]func(error){},
		pendingPushes: pushes.NewPending(), listeners: map[*session.Device]*classc.Listener{},
		stats: event.Stats{Events: map[event.Kind]uint64{}, Refusals: map[event.JoinRefusal]uint64{}},
	}
	c.calendar = func(t radio.HostTime) time.Time { return c.now.at(t) }
	c.foreign.Late = o.Leases
	c.airtime, c.provisions = state.NewAirtime(c.schedule, o.Ledgers, o.Hours), c.provisioner()
	return c, nil
}

// Step takes one input and returns what is to be done, in order. The slice is
// valid until the next Step.
func (c *Core) Step(now Now, in Input) []Effect {
	c.now, c.effects = now, c.effects[:0]
	for at, d, ok := c.agenda.Passed(now.Host); ok; at, d, ok = c.agenda.Passed(now.Host) {
		c.carryOut(at, d) // a window in which nothing was to be sent is closed before anything takes it for open
	}
	switch in := in.(type) {
	case Heard:
		c.heard(in.Uplink)
	case GatewayChanged:
		c.gatewayChanged(in.Event)
	case Acked:
		c.acked(in.Ack)
	case Pushed:
		c.pushed(in)
	case Withdrawn:
		c.withdraw(in.Ticket)
	case Asked:
		c.askedFor(foreign.Request(in))
	case Provisioned:
		c.do(Commit{Due: len(in.Remove) > 0}) // else an item that was just sent would outlive its device in the store
		c.provisions.Add(in.Ticket, in.Put, in.Remove, in.Trial)
	case Reconfigured:
		c.reconfigured(in)
	case Located:
		c.located(in)
	case Stored:
		then := c.onStored[in.Ticket]
		delete(c.onStored, in.Ticket)
		if then != nil {
			then(in.Err)
		}
	case TimerFired:
		c.armed = 0
		c.provisions.Continue()
	case Starting:
		c.starting()
	case Leased:
		c.foreign.Unleased = !in.Held
	case Stopping:
		c.stopping()
	}
	c.settle()
	c.commitChanges()
	return c.effects
}

// Resume goes on behind a panic in a Step that its caller has caught. It returns what the step had
// decided before, and what is left to be done; what the step was about is lost. The slice is
// valid until the next Step.
func (c *Core) Resume() []Effect {
	c.woken, c.armed = c.woken[:0], 0
	c.provisions.Abandon(errFault)
	c.settle()
	c.commitChanges()
	return c.effects
}

var errFault = errors.New("internal fault of the daemon; see its log")

func (c *Core) do(e Effect) { c.effects = append(c.effects, e) }

// commit hands records to the store, and calls then when they are stored, or cannot be.
// Without records it calls then with an error.
func (c *Core) commit(then func(error), records ...state.Record) {
	if len(records) == 0 {
		then(errNoRecords)
		return
	}
	c.lastTicket++
	c.onStored[c.lastTicket] = then
	c.do(Commit{Records: records, Ticket: c.lastTicket})
}

// maxUnstored bounds the pushes, joins and changes that wait for the store: a disk that
// hangs must not let them pile up. More are refused.
const maxUnstored = 1024

var errNoRecords = errors.New("there is nothing to be stored")

// full returns an error if so many wait.
func (c *Core) full() error {
	if len(c.onStored) < maxUnstored {
		return nil
	}
	return errors.New("the store does not keep up")
}

// stopping prepares for the next start: frames that wait for other gateways are
// published, and the store gets all counters exactly as they are.
func (c *Core) stopping() {
	for _, r := range c.waiting {
		if r.gathering != nil {
			c.publish(r)
		}
	}
	c.provisions.Finish()
	c.airtimeLags(c.airtime.Settle(c.now.Host, c.calendar))
	for _, d := range c.opts.Devices.All() {
		if records := state.SettledRecords(d); len(records) > 0 && !c.provisions.Holds(d) {
			c.do(Commit{Records: records, Lag: true})
		}
	}
}
