// Package links keeps what is the same on all ways to the servers of other networks, to which frames are
// handed on: a Link for each gateway and each server, from the moment when the gateway connects until it is
// gone; which frames wait there; the counts; and whether the server answers. A Worker has the protocol.
package links

import (
	"context"
	"sync"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/radio"
)

// Worker is what a protocol does with a Link.
type Worker interface {
	// Heard is told of each frame of the gateway, before it may wait in Frames. It must not block.
	Heard(up *radio.Uplink, own, selected bool)
	// Run hands on what waits until ctx ends, and waits for what it has started.
	Run(ctx context.Context)
}

// Server is a server of another network.
type Server struct {
	Address   string // for people
	Selection foreign.Selection
	// Worker returns that of a Link.
	Worker func(*Link) Worker
	// Rest is how long after the end of a Worker the next one of the same gateway begins.
	Rest time.Duration
}

// Max bounds the gateways that are handed to a server: each has a connection.
const Max = 64

// Links are the links of all gateways to some servers. Their methods may be called by any goroutine, and
// return at once.
type Links struct {
	servers []*server
	wake    chan struct{} // there are links that were not begun

	mu sync.Mutex
}

// server is a Server at work. The lock of Links guards it.
type server struct {
	Server
	all     *Links
	changed func(server string, gateway radio.EUI64, fault error)
	links   map[radio.EUI64]*Link
	begin   []func() // links that were not begun
	ending  []*Link  // those of gateways that are gone, whose work goes on
	counts  Counts   // of those whose work is over
}

// New returns Links to servers. Run does the work. changed is told when a server begins to answer a gateway,
// with nil, and when it does so no more, with the reason. It must not block.
func New(servers []Server, changed func(server string, gateway radio.EUI64, fault error)) *Links {
	a := &Links{wake: make(chan struct{}, 1)}
	for _, s := range servers {
		a.servers = append(a.servers, &server{Server: s, all: a, changed: changed, links: map[radio.EUI64]*Link{}})
	}
	return a
}

// Run hands on until ctx ends, and waits for what it has started.
func (a *Links) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer a.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.wake:
			a.begin(&wg)
		}
	}
}

// begin starts the links that were not begun.
func (a *Links) begin(wg *sync.WaitGroup) {
	a.mu.Lock()
	for _, s := range a.servers {
		for _, run := range s.begin {
			wg.Go(run)
		}
		s.begin = nil
	}
	a.mu.Unlock()
}

// stop ends all links.
func (a *Links) stop() {
	a.mu.Lock()
	for _, s := range a.servers {
		for eui := range s.links {
			s.end(eui)
		}
	}
	a.mu.Unlock()
}

// Uplink hands a frame to the servers that it is for: see bridge.Forwarder.
func (a *Links) Uplink(up radio.Uplink, own bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.servers {
		if l := s.links[up.Gateway]; l != nil {
			selected := s.Selection.Takes(up.PHYPayload, own)
			l.worker.Heard(&up, own, selected)
			l.uplink(&up, selected)
		}
	}
}

// Gateway takes what has become of a gateway: see bridge.Forwarder.
func (a *Links) Gateway(eui radio.EUI64, connected bool, at *radio.Place) {
	a.mu.Lock()
	for _, s := range a.servers {
		l := s.links[eui]
		switch {
		case !connected && l != nil:
			s.end(eui)
		case connected && l != nil:
			l.renew()
		case connected && len(s.links) < Max:
			s.start(eui, at)
		}
	}
	a.mu.Unlock()
	ring(a.wake)
}

// start makes a link. The work of the one before, if it is ending, must be over first.
func (s *server) start(eui radio.EUI64, at *radio.Place) {
	ctx, cancel := context.WithCancel(context.Background())
	l := newLink(s, eui, at, cancel)
	l.worker = s.Worker(l)
	var before *Link
	for _, b := range s.ending {
		if b.EUI == eui {
			before = b
		}
	}
	s.links[eui] = l
	s.begin = append(s.begin, func() {
		defer s.over(l)
		if before != nil {
			<-before.ended
			select {
			case <-ctx.Done():
			case <-time.After(s.Rest):
			}
		}
		if ctx.Err() == nil {
			l.worker.Run(ctx)
		}
	})
}

// end ends a link.
func (s *server) end(eui radio.EUI64) {
	l := s.links[eui]
	l.cancel()
	delete(s.links, eui)
	s.ending = append(s.ending, l)
}

// over forgets a link whose work is over.
func (s *server) over(l *Link) {
	s.all.mu.Lock()
	for i, e := range s.ending {
		if e == l {
			s.ending = append(s.ending[:i], s.ending[i+1:]...)
			break
		}
	}
	s.counts.add(l.State().Counts)
	s.all.mu.Unlock()
	close(l.ended)
}

// wakeUp ends the pauses of the links that the server does not answer.
func (s *server) wakeUp() {
	s.all.mu.Lock()
	for _, l := range s.links {
		if l.State().Answered == 0 {
			ring(l.Woken)
		}
	}
	s.all.mu.Unlock()
}

// Counts are what has happened since the start.
type Counts struct {
	Heard        uint64 // frames
	Forwarded    uint64 // of these, those that were handed to the server; by MQTT those with a PUBACK
	Acknowledged uint64 // of these, those with a PUSH_ACK; MQTT has none
	Lost         uint64 // of those that were selected: there was no way to the server
	Downlinks    uint64 // that the server wanted sent
	Malformed    uint64 // messages of the server that cannot be read
	Refused      uint64 // downlinks that were not sent
	Transmitted  uint64 // downlinks that were
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
	Gateways int           // that are connected, and so are to be handed on
	Answered int           // of these, those that the server answers
	Silence  time.Duration // the longest of those that it does not answer
	Fault    string        // the reason for that, as text
	Counts
}

// States returns how it goes with each server.
func (a *Links) States() (out []State) {
	a.mu.Lock()
	for _, s := range a.servers {
		sum := State{Address: s.Address, Gateways: len(s.links), Counts: s.counts}
		for _, l := range s.links {
			is := l.State()
			sum.add(is.Counts)
			if is.Answered > 0 {
				sum.Answered++
			} else if is.Silence >= sum.Silence {
				sum.Silence, sum.Fault = is.Silence, is.Fault
			}
		}
		for _, l := range s.ending {
			sum.add(l.State().Counts)
		}
		out = append(out, sum)
	}
	a.mu.Unlock()
	return out
}
