package event

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"lorawand/bridge/order"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// Log writes events to the log, sends them to followers, and remembers the last
// ones. Events that strangers on the air or on the network can cause are kept
// apart, so that strangers cannot push out the decisions; nor can one application
// push out those of another.
//
// It may be used by several goroutines.
type Log struct {
	log *slog.Logger

	mu        sync.Mutex
	said      map[eventKey]saying
	decisions eventRing
	noise     eventRing
	refusals  eventRing // of joins
	datagrams eventRing // from gateways, dropped
	scripts   eventRing // of payload formatters
	clients   eventRing // refusals of MQTT clients
	logins    eventRing // of clients and browsers
	unknown   strangers // gateways
	followers map[chan Event]struct{}
	seq       uint64

	unknownDevices strangers
	dropped        Hour // frames
}

const (
	maxDecisions   = 1024 // events
	maxNoise       = 256  // events
	maxFollowers   = 16
	followerBuffer = 256 // events
)

// rememberedEvent is an event with its number in the sequence of all events.
type rememberedEvent struct {
	seq   uint64
	event Event
	next  int // the place of the next one of the application
}

// eventRing holds the last events; a new one replaces the oldest of the application
// that has the most. Those of none are as of one more application. So those of a quiet
// application may be old.
type eventRing struct {
	events []rememberedEvent // in no order
	shares map[string]share  // of applications
}

// share is the events of an application: the places of the oldest and the newest, and how
// many there are.
type share struct{ first, last, n int }

func (r *eventRing) add(e rememberedEvent, size int) {
	place := len(r.events)
	if place < size {
		r.events = append(r.events, e)
	} else {
		place = r.replaceable()
		r.events[place] = e
	}
	application := e.event.Application()
	s, ok := r.shares[application]
	if ok {
		r.events[s.last].next = place
	} else {
		s.first = place
	}
	s.last = place
	s.n++
	if r.shares == nil {
		r.shares = map[string]share{}
	}
	r.shares[application] = s
}

// Application is whose event it is; "" of none, and of clients that have not logged in.
func (e *Event) Application() string {
	if e.Client.LoggedIn {
		return e.Client.Application
	}
	return e.Device.Application
}

// replaceable takes the oldest event of the application that has the most out of its
// share, and returns its place.
func (r *eventRing) replaceable() (place int) {
	var application string
	var most share
	for of, s := range r.shares {
		if s.n > most.n {
			application, most = of, s
		}
	}
	place = most.first
	most.first = r.events[place].next
	if most.n--; most.n == 0 {
		delete(r.shares, application)
	} else {
		r.shares[application] = most
	}
	return place
}

// NewLog returns a Log that has no events.
func NewLog(log *slog.Logger) *Log {
	return &Log{log: log, said: map[eventKey]saying{}, followers: map[chan Event]struct{}{}}
}

// Write writes an event. It never blocks: a slow follower misses events.
func (l *Log) Write(e *Event) {
	l.mu.Lock()
	l.seq++
	if e.Kind == UplinkDropped {
		l.dropped.Add(e.Host)
	}
	entry, level := rememberedEvent{seq: l.seq, event: *e}, e.level()
	switch {
	case e.Kind == GatewayRefused:
		if !l.unknown.add(entry, sameGateway) {
			level = slog.LevelDebug // an unknown gateway sends for days
		}
	case e.Kind == JoinRefused:
		l.refusals.add(entry, maxNoise)
		if e.isOfStranger() {
			l.unknownDevices.add(entry, sameDevice)
		}
	case e.Kind == GatewayDropped:
		l.datagrams.add(entry, maxNoise)
	case e.Kind == FormatterFailed || e.Kind == FormatterLog:
		l.scripts.add(entry, maxNoise)
	case e.Kind == ClientLoggedIn || e.Kind == PageLoggedIn || e.Kind == UpstreamConnected || e.Kind == UpstreamLost:
		l.logins.add(entry, maxNoise)
	case e.isOfClient():
		l.clients.add(entry, maxNoise)
	case e.isNoise():
		l.noise.add(entry, maxNoise)
	default:
		l.decisions.add(entry, maxDecisions)
	}
	for f := range l.followers {
		select {
		case f <- *e:
		default:
		}
	}
	if level > slog.LevelDebug && !l.first(e) {
		level = slog.LevelDebug
	}
	l.mu.Unlock()
	if l.log.Enabled(context.Background(), level) {
		l.log.LogAttrs(context.Background(), level, string(e.Kind), e.attrs()...)
	}
}

// isOfClient reports whether an event tells what a client is refused.
func (e *Event) isOfClient() bool {
	switch e.Kind {
	case ClientRefused, PublishRefused, SubscribeRefused, PacketRefused, APIRefused:
		return true
	}
	return false
}

// isNoise reports whether a stranger on the air, or another network, can cause the event.
func (e *Event) isNoise() bool {
	return e.Kind == UplinkDropped || e.Kind == UplinkRepeated || e.Kind == ForeignRefused
}

// Recent returns the remembered events that match, oldest first. A nil match
// matches all.
func (l *Log) Recent(match func(*Event) bool) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recent(match)
}

// recent is Recent for callers that hold the lock.
func (l *Log) recent(match func(*Event) bool) []Event {
	all := slices.Concat(
		l.decisions.events, l.noise.events, l.refusals.events, l.datagrams.events,
		l.scripts.events, l.clients.events, l.logins.events,
	)
	for _, s := range l.unknown {
		all = append(all, rememberedEvent{seq: s.seq, event: s.Event})
	}
	order.By(all, func(a, b rememberedEvent) int { return int(int64(a.seq) - int64(b.seq)) })
	var out []Event
	for i := range all {
		if match == nil || match(&all[i].event) {
			out = append(out, all[i].event)
		}
	}
	return out
}

// About returns the remembered events about a correlation id, oldest first.
func (l *Log) About(correlationID string) []Event {
	return l.Recent(func(e *Event) bool { return slices.Contains(e.CorrelationIDs, correlationID) })
}

// Follow calls f for each event from now on, until ctx ends or f returns an error;
// it returns that error. It returns an error at once if there are too many
// followers.
func (l *Log) Follow(ctx context.Context, f func(Event) error) error {
	_, ch, err := l.join()
	if err != nil {
		return err
	}
	defer l.part(ch)
	return follow(ctx, ch, f)
}

// FollowAll is Follow, but it calls f for the remembered events first. No event is
// missed in between.
func (l *Log) FollowAll(ctx context.Context, f func(Event) error) error {
	before, ch, err := l.join()
	if err != nil {
		return err
	}
	defer l.part(ch)
	for _, e := range before {
		if err := f(e); err != nil {
			return err
		}
	}
	return follow(ctx, ch, f)
}

// Watch returns the remembered events, oldest first, and what brings those from now on;
// of what is not read in time some are missing. The caller calls stop in the end. It
// returns an error if there are too many followers.
func (l *Log) Watch() (before []Event, news <-chan Event, stop func(), err error) {
	before, ch, err := l.join()
	return before, ch, func() { l.part(ch) }, err
}

// DroppedLastHour returns how many frames were dropped in the hour before now.
func (l *Log) DroppedLastHour(now radio.HostTime) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped.Count(now)
}

// join adds a follower. It returns the events remembered before the follower's
// first one.
func (l *Log) join() (before []Event, ch chan Event, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.followers) >= maxFollowers {
		return nil, nil, errFollowers
	}
	ch = make(chan Event, followerBuffer)
	l.followers[ch] = struct{}{}
	return l.recent(nil), ch, nil
}

func (l *Log) part(ch chan Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, ch)
}

func follow(ctx context.Context, ch <-chan Event, f func(Event) error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-ch:
			if err := f(e); err != nil {
				return err
			}
		}
	}
}

// eventKey identifies events that are the same to a reader of the log.
type eventKey struct {
	kind    Kind
	reason  DropReason
	device  session.ID
	gateway string
	word    string
}

// saying is when events with a key were logged. The key of an application, without a device,
// has how many warnings of a kind about its devices were logged since then.
type saying struct {
	at time.Time
	n  int
}

const (
	sayAgain     = time.Minute
	maxEventKeys = 1024
	maxWarnings  = 16 // of one kind about all devices of an application, each sayAgain
)

// first reports whether an event is logged at its own level. Events of one kind
// about one device or gateway are logged once a minute, and at the debug level in
// between, so that nobody on the air can fill a disk. Nor can an application, which
// may name as many devices as it likes. The caller holds the lock.
func (l *Log) first(e *Event) bool {
	key := eventKey{e.Kind, e.Reason, e.Device, "", e.Word}
	if e.Device == (session.ID{}) {
		key.gateway = e.Gateway
	}
	if e.Kind == GatewayDisconnected {
		delete(l.said, eventKey{kind: GatewayConnected, gateway: e.Gateway}) // its return is always logged
	}
	now := time.Now()
	if last, ok := l.said[key]; ok && now.Sub(last.at) < sayAgain {
		return false
	}
	if len(l.said) >= maxEventKeys {
		clear(l.said)
	}
	if of := e.Device.Application; of != "" && e.level() == slog.LevelWarn {
		all := eventKey{kind: e.Kind, device: session.ID{Application: of}}
		said := l.said[all]
		if now.Sub(said.at) >= sayAgain {
			said = saying{at: now}
		}
		if said.n >= maxWarnings {
			return false
		}
		said.n++
		l.said[all] = said
	}
	l.said[key] = saying{at: now}
	return true
}
