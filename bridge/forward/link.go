package forward

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"lorawand/bridge/foreign/links"
	"lorawand/radio"
)

const (
	// dialTimeout bounds the resolution of the server's name.
	dialTimeout = 10 * time.Second
	// firstWait and lastWait bound the pause before a name that is not resolved is tried again.
	firstWait = 5 * time.Second
	lastWait  = time.Minute
	// lostWait is the pause after a connection that is over, unless the server was silent.
	lostWait = time.Second
)

// link is one gateway on the way to one server. Its goroutine opens a socket and serves it
// (socket.go), again and again:
//
//	resolving --(the name is resolved)--> open --(three PULL_DATA were not answered)--> resolving
//	    |                                  |
//	    +--(not resolved: a pause)--+      +--(the gateway's counter begins anew)-----> resolving
//	    ^                           |      |
//	    +---------------------------+      +--(the connection is over: a pause)-------> resolving
type link struct {
	*links.Link
	opts    *Options
	server  *Server
	replies chan reply
}

func newLink(o *Options, server *Server, l *links.Link) *link {
	return &link{Link: l, opts: o, server: server, replies: make(chan reply, 2*maxAsked)}
}

// Heard implements links.Worker.
func (l *link) Heard(up *radio.Uplink, own, selected bool) {
	if selected && own {
		l.server.Watch.Handed(up.PHYPayload)
	}
}

var (
	errRenewed = errors.New("forward: the counter of the gateway has begun anew")
	errSilent  = errors.New("forward: the server does not answer PULL_DATA")
	errItself  = errors.New("forward: this is the address at which lorawand itself takes packet forwarders")
)

// Run serves sockets until ctx ends.
func (l *link) Run(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		opened, err := l.serve(ctx)
		pause := time.Duration(0)
		switch {
		case err == nil || errors.Is(err, errRenewed):
		case errors.Is(err, errSilent):
			l.Answers(err)
		case opened:
			l.Answers(err)
			pause = lostWait
		case ctx.Err() == nil:
			l.Answers(err)
			pause, wait = wait, min(2*wait, lastWait)
		}
		if opened {
			wait = firstWait
		}
		if pause > 0 {
			l.Pause(ctx, pause)
		}
	}
}

// serve opens a socket and serves it.
func (l *link) serve(ctx context.Context) (opened bool, err error) {
	conn, err := l.connect(ctx)
	if err != nil {
		return false, err
	}
	l.SetOpen(true)
	defer l.SetOpen(false)
	return true, newSocket(l, conn).serve(ctx)
}

// connect opens a socket to the server, whose address may be another one each time.
func (l *link) connect(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return l.server.Dial(ctx, l.EUI)
}

// socket opens a UDP socket to a server.
func (o *Options) socket(ctx context.Context, server string) (net.Conn, error) {
	conn, err := o.dial(ctx, server)
	if err != nil {
		return nil, err
	}
	if o.isItself(conn) {
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
