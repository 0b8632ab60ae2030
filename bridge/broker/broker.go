// Package broker is the MQTT broker that applications log in to. It takes their subscriptions, which never leave their
// own application, and their publishes, which go to no other client.
//
// It rests on mochi-mqtt for the protocol: packets, connections, which sessions there are. Subscriptions
// (subscribe.go), what comes in (publish.go) and what goes out (session.go) are this package's own: the library's way
// holds up every publisher while one subscriber does not read, has no bound in bytes, and loses its flow control once a
// window is full. Its faults are kept away in listener.go and hook.go; faults_test.go shows each.
package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"lorawand/bridge/access"
	"lorawand/bridge/broker/intake"
	"lorawand/bridge/broker/limits"
	"lorawand/bridge/broker/linger"
	"lorawand/bridge/broker/outbox"
	"lorawand/bridge/broker/pace"
	"lorawand/bridge/broker/packet"
	"lorawand/bridge/broker/sessions"
	"lorawand/bridge/broker/status"
	"lorawand/bridge/v3"
)

// Limits bound what clients can make the broker hold. Zero takes the default.
type Limits = limits.Limits

// DefaultLimits are the limits for a gateway with 64 MB of memory.
func DefaultLimits() Limits { return limits.Default() }

// Limits that nobody sets.
const (
	outboxSize       = 1024     // messages between the core and the broker
	outboxBytes      = 1 << 20  // of their payloads
	clientIDLength   = 256      // bytes
	sendBuffer       = 64 << 10 // bytes of the kernel's, for each client
	inboundQoS2Limit = 1024     // unfinished QoS 2 publishes of an MQTT 3 client
)

// Push is a client's publish to down/push or down/replace.
type Push struct {
	Login   access.Login
	Device  string // as the topic names it; may be no id at all
	Replace bool
	Payload []byte
}

// Options configures a Broker.
type Options struct {
	Listen []string // TCP addresses
	Keys   *access.Registry
	Limits Limits
	Logger *slog.Logger // default slog.Default()

	TLSListen       []string         // TCP addresses; need a TLSConfig
	WebSocketListen []string         // TCP addresses; with a TLSConfig TLS is spoken there too
	TLSConfig       *TLSConfig       // nil: no TLS
	Origins         []string         // of pages that may connect, besides those of this host; "*": all
	Handshakes      *pace.Handshakes // of all listeners of this host with TLS; nil: of this broker alone

	// Calendar tells the time for the expiry of keys, and the zero time where it is not known. Default: not known.
	Calendar func() time.Time

	// Refused is told what clients are refused. It must not block. nil: nobody is.
	Refused func(Refused)

	// LoggedIn is told of a client that has logged in, of one with the same id seldom. It
	// must not block. nil: nobody is.
	LoggedIn func(l access.Login, client, address string)

	// Used is told of a key that is in use on another day than before, where the
	// calendar is known. It must not block. nil: nobody is.
	Used func(keyID string, day access.Day)

	// Discovery has what Home Assistant is told. nil: nothing.
	Discovery Discovery

	// Keep has persistent sessions outlive a restart. nil: they do not.
	Keep *Keeping

	// Push takes what clients with the right to it push. Until it returns the client has no PUBACK and waits; an error
	// but ErrRefused closes the client's connection. nil: pushes are acknowledged and have no effect.
	Push func(ctx context.Context, p Push) error
}

// ErrRefused says that a push is refused, and why is told otherwise: the client gets its PUBACK.
var ErrRefused = errors.New("the push is refused")

// Stats counts what happened since the start.
type Stats struct {
	Published     uint64 // messages taken from the core
	Delivered     uint64 // messages written to clients
	OutboxDropped uint64 // messages that found the outbox full: the oldest went
	ClientDropped uint64 // messages that found a client's queue full: the oldest went
	Refused       uint64 // connections beyond a limit
	BadLogins     uint64
	Panics        uint64 // faults on what a client has sent; its connection was closed
	Clients       int    // connected now
	Sessions      int    // kept now, connected or not
}

// Broker is an MQTT broker.
type Broker struct {
	opts    Options
	limits  Limits
	log     *slog.Logger
	server  *mqtt.Server
	hook    *hook
	gate    *gate
	outbox  *outbox.Outbox
	backoff access.Backoff
	lines   pace.Lines  // of the log, that strangers can cause
	often   pace.ByName // what is told of refusals
	logins  pace.Seldom
	futile  pace.Budgets // of publishes that are refused, by application
	hurry   pace.Hurry

	handshakes *pace.Handshakes
	intake     intake.Intake
	farewells  linger.Places
	keeper     *sessions.Keeper // nil: sessions do not outlive a restart

	// life is held while sessions begin and end; mu guards the maps, and is
	// taken inside of life, never around a call of the library.
	life     sync.Mutex
	mu       sync.RWMutex
	sessions map[string]*session
	byApp    map[string]*applicationSessions
	statuses status.Retained
	sharing  sharing

	seq     atomic.Uint64  // of the last message for a client
	kept    atomic.Int64   // bytes that are kept for clients
	turns   pace.Turns     // of shared subscriptions
	left    chan leftover  // for the janitor; room for one of each session
	wg      sync.WaitGroup // the clients' writers
	buffers sync.Pool      // of the writers, of type *[]byte
	// stopping ends when the broker stops; stop ends it. Each push that waits is below it, so that
	// none needs a goroutine for that: those of a flood took 5 MB.
	stopping context.Context
	stop     context.CancelFunc

	delivered, clientDropped, badLogins, panics atomic.Uint64
	serving                                     atomic.Bool
}

// New opens the listeners. Run does the work.
func New(o Options) (*Broker, error) {
	if o.Keys == nil {
		return nil, errors.New("mqtt: no keys")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Calendar == nil {
		o.Calendar = func() time.Time { return time.Time{} }
	}
	l := o.Limits.WithDefaults()
	b := &Broker{
		opts: o, limits: l, log: o.Logger,
		gate: newGate(l), handshakes: cmp.Or(o.Handshakes, new(pace.Handshakes)),
		sessions: map[string]*session{}, byApp: map[string]*applicationSessions{},
		left:     make(chan leftover, 2*l.Clients),
		statuses: status.Retained{Discovery: o.Discovery},
		buffers:  sync.Pool{New: func() any { return new([]byte) }},
	}
	b.stopping, b.stop = context.WithCancel(context.Background())
	b.outbox = outbox.New(outboxSize, outboxBytes)
	b.server = mqtt.New(&mqtt.Options{
		// Its log lines hold whole packets, passwords among them.
		Logger: slog.New(slog.DiscardHandler),
		// Each refresh stops the world to read the memory's statistics.
		SysTopicResendInterval: int64(math.MaxInt32),
		Capabilities:           packet.Capabilities(l),
		// What it reads has a place in memory already, see conn.Read; it writes little.
		ClientNetReadBufferSize: 64, ClientNetWriteBufferSize: 64,
	})
	b.hook = &hook{b: b}
	b.restore()
	if err := b.server.AddHook(b.hook, nil); err != nil {
		return nil, fmt.Errorf("mqtt: %w", err)
	}
	if err := b.listen(); err != nil {
		b.closeListeners()
		return nil, err
	}
	return b, nil
}

// listen opens the listeners.
func (b *Broker) listen() error {
	o := &b.opts
	if (len(o.TLSListen) > 0 || len(o.WebSocketListen) > 0) && !hasTLS {
		return errors.New("mqtt: this build has neither TLS nor WebSocket")
	}
	if len(o.TLSListen) > 0 && o.TLSConfig == nil {
		return errors.New("mqtt: TLS without a certificate")
	}
	for _, kind := range []struct {
		door  door
		addrs []string
	}{{doorTCP, o.Listen}, {doorTLS, o.TLSListen}, {doorWebSocket, o.WebSocketListen}} {
		for i, addr := range kind.addrs {
			nl, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("mqtt: %w", err)
			}
			li := &listener{id: fmt.Sprintf("%v%d", kind.door, i), door: kind.door, b: b, listener: nl}
			if err := b.server.AddListener(li); err != nil {
				_ = nl.Close()
				return fmt.Errorf("mqtt: %w", err)
			}
			b.gate.listeners = append(b.gate.listeners, li)
		}
	}
	return nil
}

// Close frees the sockets of a broker that was never run.
func (b *Broker) Close() { b.closeListeners() }

func (b *Broker) closeListeners() {
	for _, l := range b.gate.listeners {
		_ = l.listener.Close()
	}
}

// Addrs returns the addresses that the broker listens on.
func (b *Broker) Addrs() []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range b.gate.listeners {
		out = append(out, l.listener.Addr().(*net.TCPAddr).AddrPort())
	}
	return out
}

// Serving reports whether Run is at work.
func (b *Broker) Serving() bool { return b.serving.Load() }

// Stats returns the counts so far.
func (b *Broker) Stats() Stats {
	b.mu.RLock()
	sessions := len(b.sessions)
	b.mu.RUnlock()
	published, dropped := b.outbox.Counts()
	refused, clients := b.gate.counts()
	return Stats{
		Published: published, OutboxDropped: dropped, Delivered: b.delivered.Load(), ClientDropped: b.clientDropped.Load(),
		Refused: refused, BadLogins: b.badLogins.Load(), Panics: b.panics.Load(), Clients: clients, Sessions: sessions,
	}
}

// Publish hands a message to its subscribers. It never blocks: when the outbox
// is full the oldest message in it goes, and is counted.
func (b *Broker) Publish(m v3.Message) { b.outbox.Put(m) }

// janitorEvery is how often sessions and keys that have expired are looked for.
const janitorEvery = 10 * time.Second

// Run serves until ctx ends, then closes every connection. It waits for what it started.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("mqtt: %w", err)
	}
	// The library retains its statistics for nobody, and would copy all of them
	// once a second to see whether one has expired.
	for topic := range b.server.Topics.Retained.GetAll() {
		b.server.Topics.Retained.Delete(topic)
	}
	for _, l := range b.gate.listeners {
		b.log.Info("listening for MQTT clients", "address", l.Address(), "over", l.door.String())
	}
	b.serving.Store(true)
	defer b.serving.Store(false)
	defer b.close()
	b.wg.Go(b.janitor)
	if b.keeper != nil {
		b.wg.Go(b.keep)
	}
	for {
		b.dispatchAll()
		select {
		case <-ctx.Done():
			return nil
		case <-b.outbox.Wake:
		}
	}
}

// dispatchStretch is for how long messages are handed out before others get the processor: one who floods the
// outbox must not hold them up. After each message Run would wait for all of them again and again.
const dispatchStretch = time.Millisecond

// dispatchAll empties the outbox.
func (b *Broker) dispatchAll() {
	for began := time.Now(); ; {
		m, ok := b.outbox.Take()
		if !ok {
			return
		}
		b.dispatch(&message{Message: m})
		if time.Since(began) > dispatchStretch {
			runtime.Gosched()
			began = time.Now()
		}
	}
}

// janitor ends what has expired, and gives away what sessions have left, until the broker stops.
func (b *Broker) janitor() {
	t := time.NewTicker(janitorEvery)
	defer t.Stop()
	for {
		select {
		case <-b.stopping.Done():
			return
		case l := <-b.left:
			for i := range l.items {
				b.reassign(l.application, &l.items[i])
			}
		case <-t.C:
			b.expire(time.Now())
			b.expireKeys(b.opts.Calendar())
			b.useKeys()
		}
	}
}

// expireKeys ends the connections and sessions of keys that have expired.
func (b *Broker) expireKeys(now time.Time) {
	b.Disconnect(func(l access.Login) bool {
		k, ok := b.opts.Keys.Key(l.KeyID)
		return ok && k.Expired(now)
	})
}

func (b *Broker) close() {
	b.stop()
	_ = b.server.Close() // which must not be called twice
	b.wg.Wait()
	if b.keeper != nil {
		b.keepAll()
	}
}
