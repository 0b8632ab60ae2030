// Package forward hands frames on to other network servers, as a packet forwarder would: by the
// Semtech UDP protocol, version 2. Each server gets its own selection of frames. A server that
// answers with a downlink gets the place of it from the core, which has the last word: see package
// foreign.
//
// The protocol's downlinks do not name their gateway. So each gateway has a socket of its own to
// each server, which opens when the gateway connects (link.go). When the gateway's counter begins
// anew, the socket is opened anew: what the server has sent to the old one has times of the old
// counter, and comes nowhere.
package forward

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/radio"
)

// Server is another network server.
type Server struct {
	Address   string // host:port
	Selection Selection
}

// Options configures a Forwarder.
type Options struct {
	Servers []Server

	// Ask plans a downlink of a server, and has reply called with each foreign.Result. Neither
	// blocks. Required.
	Ask func(r foreign.Request, reply func(foreign.Result))
	// Changed is told when a server begins to answer a gateway, with nil, and when it does so no
	// more, with the reason. It must not block. nil: nobody is told.
	Changed func(server string, gateway radio.EUI64, fault error)
	// Listens is the port on which this program takes packet forwarders; 0: it does not. A server
	// at this port of this host is this program itself: frames would go round for ever.
	Listens  uint16
	Calendar func() radio.WallTime // default: not known

	dial func(ctx context.Context, address string) (net.Conn, error) // default: UDP
}

// maxLinks bounds the gateways that are forwarded to a server: each has a socket.
const maxLinks = 64

// Forwarder hands frames on. Its methods may be called by any goroutine, and return at once.
type Forwarder struct {
	opts    Options
	servers []*server
	wake    chan struct{} // there are links that were not begun

	mu sync.Mutex
}

// server is a Server at work. The Forwarder's lock guards it.
type server struct {
	Server
	links  map[radio.EUI64]*link
	begin  []func() // links that were not begun
	counts Counts   // of links that have ended
}

// New returns a Forwarder. Run does the work.
func New(o Options) (*Forwarder, error) {
	if o.Ask == nil {
		return nil, errors.New("forward: nobody plans downlinks")
	}
	if o.Calendar == nil {
		o.Calendar = func() radio.WallTime { return radio.WallTime{} }
	}
	if o.Changed == nil {
		o.Changed = func(string, radio.EUI64, error) {}
	}
	if o.dial == nil {
		o.dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", address)
		}
	}
	f := &Forwarder{opts: o, wake: make(chan struct{}, 1)}
	for _, s := range o.Servers {
		f.servers = append(f.servers, &server{Server: s, links: map[radio.EUI64]*link{}})
	}
	return f, nil
}

// Run hands on until ctx ends, and waits for what it has started.
func (f *Forwarder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer f.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.wake:
			f.begin(&wg)
		}
	}
}

// begin starts the links that were not begun.
func (f *Forwarder) begin(wg *sync.WaitGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		for _, run := range s.begin {
			wg.Go(run)
		}
		s.begin = nil
	}
}

// stop ends all links.
func (f *Forwarder) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		for eui := range s.links {
			s.end(eui)
		}
	}
}

// Uplink hands a frame to the servers that it is for: see bridge.Forwarder.
func (f *Forwarder) Uplink(up radio.Uplink, own bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		if l := s.links[up.Gateway]; l != nil {
			l.uplink(&up, s.Selection.Takes(up.PHYPayload, own))
		}
	}
}

// Gateway takes what has become of a gateway: see bridge.Forwarder.
func (f *Forwarder) Gateway(eui radio.EUI64, connected bool, at *radio.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		l := s.links[eui]
		switch {
		case !connected && l != nil:
			s.end(eui)
		case connected && l != nil:
			l.renew()
		case connected && len(s.links) < maxLinks:
			ctx, cancel := context.WithCancel(context.Background())
			l = newLink(&f.opts, s.Address, eui, at, cancel)
			s.links[eui] = l
			s.begin = append(s.begin, func() { l.run(ctx) })
		}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// end ends a link.
func (s *server) end(eui radio.EUI64) {
	l := s.links[eui]
	l.cancel()
	delete(s.links, eui)
	s.counts.add(l.state().Counts)
}

// Counts are what has happened since the start.
type Counts struct {
	Heard        uint64 // frames
	Forwarded    uint64 // of these, in PUSH_DATA
	Acknowledged uint64 // of these, with PUSH_ACK
	Lost         uint64 // of those that were selected: there was no way to the server
	Downlinks    uint64 // PULL_RESP
	Malformed    uint64 // datagrams of the server, among them PULL_RESP
	Refused      uint64 // PULL_RESP
	Transmitted  uint64
}

func (c *Counts) add(o Counts) {
	c.Heard += o.Heard
	c.Forwarded += o.Forwarded
	c.Acknowledged += o.Acknowledged
	c.Lost += o.Lost
	c.Downlinks += o.Downlinks
	c.Malformed += o.Malformed
	c.Refused += o.Refused
	c.Transmitted += o.Transmitted
}

// State is how it goes with a server.
type State struct {
	Address  string
	Gateways int           // that are connected, and so are to be forwarded
	Answered int           // of these, whose PULL_DATA the server answers
	Silence  time.Duration // the longest of those that it does not answer
	Fault    string        // the reason for that, as text
	Counts
}

// States returns how it goes with each server.
func (f *Forwarder) States() (out []State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.servers {
		sum := State{Address: s.Address, Gateways: len(s.links), Counts: s.counts}
		for _, l := range s.links {
			is := l.state()
			sum.Counts.add(is.Counts)
			if is.Answered > 0 {
				sum.Answered++
			} else if is.Silence >= sum.Silence {
				sum.Silence, sum.Fault = is.Silence, is.Fault
			}
		}
		out = append(out, sum)
	}
	return out
}
