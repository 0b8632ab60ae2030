package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"lorawand/radio"
)

const (
	// queueSize bounds the frames that wait to be written. A socket takes each at once, so a queue
	// only fills if this machine has too much to do.
	queueSize = 32
	// dialTimeout bounds the resolution of the server's name.
	dialTimeout = 10 * time.Second
	// firstWait and lastWait bound the pause before a name that is not resolved is tried again.
	firstWait = 5 * time.Second
	lastWait  = time.Minute
)

// link is one gateway on the way to one server. Its goroutine opens a socket and serves it
// (socket.go), again and again:
//
//	resolving --(the name is resolved)--> open --(three PULL_DATA were not answered)--> resolving
//	    |                                  |
//	    +--(not resolved: a pause)--+      +--(the gateway's counter begins anew)-----> resolving
//	    ^                           |
//	    +---------------------------+
type link struct {
	opts    *Options
	server  string // its address
	eui     radio.EUI64
	place   *radio.Place // of the gateway; nil: not known
	cancel  context.CancelFunc
	uplinks chan radio.Uplink
	replies chan reply
	renewed chan struct{}

	mu     sync.Mutex
	counts Counts
	open   bool      // there is a socket
	answer bool      // the server answers
	since  time.Time // when answer last changed
	fault  error     // why it does not
}

func newLink(o *Options, server string, eui radio.EUI64, at *radio.Place, cancel context.CancelFunc) *link {
	return &link{
		opts: o, server: server, eui: eui, place: at, cancel: cancel, since: time.Now(),
		uplinks: make(chan radio.Uplink, queueSize), replies: make(chan reply, 2*maxAsked),
		renewed: make(chan struct{}, 1),
	}
}

// uplink takes a frame of the gateway.
func (l *link) uplink(up *radio.Uplink, selected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Heard++
	if !selected {
		return
	}
	if l.open {
		select {
		case l.uplinks <- *up:
			return
		default:
		}
	}
	l.counts.Lost++
}

// renew opens the socket anew.
func (l *link) renew() {
	select {
	case l.renewed <- struct{}{}:
	default:
	}
}

func (l *link) count(f func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.counts)
}

// state returns how it goes, as that of a server with one gateway.
func (l *link) state() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{Counts: l.counts}
	if l.answer {
		s.Answered = 1
		return s
	}
	s.Silence = time.Since(l.since)
	if l.fault != nil {
		s.Fault = l.fault.Error()
	}
	return s
}

// answers notes that the server answers, or with a fault why it does not.
func (l *link) answers(fault error) {
	l.mu.Lock()
	changed := l.answer != (fault == nil) || l.fault == nil && fault != nil
	if l.answer != (fault == nil) {
		l.answer, l.since = fault == nil, time.Now()
	}
	l.fault = fault
	l.mu.Unlock()
	if changed {
		l.opts.Changed(l.server, l.eui, fault)
	}
}

func (l *link) setOpen(open bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = open
	for len(l.uplinks) > 0 && !open { // they would be late
		<-l.uplinks
		l.counts.Lost++
	}
}

var (
	errRenewed = errors.New("forward: the counter of the gateway has begun anew")
	errSilent  = errors.New("forward: the server does not answer PULL_DATA")
	errItself  = errors.New("forward: this is the address at which lorawand itself takes packet forwarders")
)

// run serves sockets until ctx ends.
func (l *link) run(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		conn, err := l.connect(ctx)
		if err == nil {
			wait = firstWait
			l.setOpen(true)
			err = newSocket(l, conn).serve(ctx)
			l.setOpen(false)
			if !errors.Is(err, errSilent) {
				continue
			}
			l.answers(err)
			continue
		}
		if ctx.Err() != nil {
			return
		}
		l.answers(err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
	}
}

// connect opens a socket to the server, whose address may be another one each time.
func (l *link) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := l.opts.dial(ctx, l.server)
	if err != nil {
		return nil, err
	}
	if l.opts.isItself(conn) {
		_ = conn.Close()
		return nil, errItself
	}
	return conn, nil
}

// isItself reports whether the far end is this program: then both ends have the same address.
func (o *Options) isItself(conn net.Conn) bool {
	far, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	near, err2 := netip.ParseAddrPort(conn.LocalAddr().String())
	return err == nil && err2 == nil && o.Listens != 0 && far.Port() == o.Listens &&
		far.Addr().Unmap() == near.Addr().Unmap()
}
