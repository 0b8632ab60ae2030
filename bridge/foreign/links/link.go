package links

import (
	"context"
	"sync"
	"time"

	"lorawand/radio"
)

// QueueSize bounds the frames that wait for a server. A network takes each at once, so a queue only fills
// if this machine has too much to do.
const QueueSize = 32

// Link is one gateway on the way to one server. Its fields belong to its Worker.
type Link struct {
	EUI     radio.EUI64
	Place   *radio.Place  // of the gateway; nil: not known
	Frames  chan Frame    // that wait for the server
	Renewed chan struct{} // has one element when the counter of the gateway has begun anew
	Woken   chan struct{} // has one element when the server begins to answer another gateway, and not yet this one

	server *server
	worker Worker
	cancel context.CancelFunc
	ended  chan struct{} // is closed when its work is over

	mu     sync.Mutex
	counts Counts
	era    uint32
	open   bool      // frames may wait
	answer bool      // the server answers
	since  time.Time // when answer last changed
	fault  error     // why it does not
}

// Frame is a frame of a gateway.
type Frame struct {
	radio.Uplink
	Era uint32 // of the gateway's counter, see Link.Era
}

func newLink(s *server, eui radio.EUI64, at *radio.Place, cancel context.CancelFunc) *Link {
	return &Link{
		EUI: eui, Place: at, Frames: make(chan Frame, QueueSize), Renewed: make(chan struct{}, 1),
		Woken: make(chan struct{}, 1), server: s, cancel: cancel, ended: make(chan struct{}), since: time.Now(),
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// uplink takes a frame of the gateway.
func (l *Link) uplink(up *radio.Uplink, selected bool) {
	l.mu.Lock()
	l.counts.Heard++
	waits := false
	if selected && l.open {
		select {
		case l.Frames <- Frame{*up, l.era}:
			waits = true
		default:
		}
	}
	if selected && !waits {
		l.counts.Lost++
	}
	l.mu.Unlock()
}

// renew takes that the counter of the gateway has begun anew.
func (l *Link) renew() {
	l.mu.Lock()
	l.era++
	l.mu.Unlock()
	ring(l.Renewed)
}

// Era returns how often the counter of the gateway has begun anew since the link has begun.
func (l *Link) Era() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.era
}

// Count lets f change the counts, or what else the lock of the link guards.
func (l *Link) Count(f func(*Counts)) {
	l.mu.Lock()
	f(&l.counts)
	l.mu.Unlock()
}

// State returns how it goes, as that of a server with one gateway.
func (l *Link) State() State {
	l.mu.Lock()
	s, answers, since, fault := State{Counts: l.counts}, l.answer, l.since, l.fault
	l.mu.Unlock()
	if answers {
		s.Answered = 1
		return s
	}
	s.Silence = time.Since(since)
	if fault != nil {
		s.Fault = fault.Error()
	}
	return s
}

// SetOpen says whether there is a way on which frames can go. Those that wait when it ends are lost: they
// would be late.
func (l *Link) SetOpen(open bool) {
	l.mu.Lock()
	l.open = open
	for len(l.Frames) > 0 && !open {
		<-l.Frames
		l.counts.Lost++
	}
	l.mu.Unlock()
}

// Answers notes that the server answers, or with a fault why it does not. When it begins to answer, the other
// gateways that it does not answer need not wait any longer.
func (l *Link) Answers(fault error) {
	answers := fault == nil
	l.mu.Lock()
	changed := l.answer != answers
	told := changed || l.fault == nil && !answers
	if changed {
		l.answer, l.since = answers, time.Now()
	}
	l.fault = fault
	l.mu.Unlock()
	if told {
		l.server.changed(l.server.Address, l.EUI, fault)
	}
	if changed && answers {
		select {
		case <-l.Woken:
		default:
		}
		l.server.wakeUp()
	}
}

// Pause waits for so long, until ctx ends, or until the server begins to answer another gateway.
func (l *Link) Pause(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-l.Woken:
	}
	t.Stop()
}
