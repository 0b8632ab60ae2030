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
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/radio"
)

// Server is another network server.
type Server struct {
	Address   string // host:port
	Selection foreign.Selection

	// Dial opens a connection of a gateway; each Read of it returns one datagram, and each Write
	// sends one. An io.EOF says that it is over. nil: a UDP socket.
	Dial func(ctx context.Context, gateway radio.EUI64) (net.Conn, error)
	// KeepAlive is the time between two PULL_DATA; default 10 s.
	KeepAlive time.Duration
	// Trusted says that the server is one of ours: any number of downlinks a second may come.
	Trusted bool
	// Watch is told how it goes with the frames of devices of ours; nil: nobody is.
	Watch Watcher
}

// Watcher is told what becomes of frames that are for a server. Its methods must not block, nor
// change the frames.
type Watcher interface {
	Handed(phy []byte)       // a frame of a device of ours is for the server
	Sent(phy []byte)         // a frame, of this one or of another device, was written to it
	Acknowledged(phy []byte) // the server has it: PUSH_ACK has come, of this one or of another's frame
	Answered()               // the server has answered something
}

func dialUDP(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "udp", address)
}

// nobody is the Watcher of a server without one.
type nobody struct{}

func (nobody) Handed([]byte)       {}
func (nobody) Sent([]byte)         {}
func (nobody) Acknowledged([]byte) {}
func (nobody) Answered()           {}

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

// New returns the links to the servers. Their Run does the work.
func New(o Options) (*links.Links, error) {
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
		o.dial = dialUDP
	}
	var servers []links.Server
	for _, s := range o.Servers {
		if s.Dial == nil {
			s.Dial = func(ctx context.Context, _ radio.EUI64) (net.Conn, error) { return o.socket(ctx, s.Address) }
		}
		if s.KeepAlive == 0 {
			s.KeepAlive = keepAlive
		}
		if s.Watch == nil {
			s.Watch = nobody{}
		}
		servers = append(servers, links.Server{
			Address: s.Address, Selection: s.Selection,
			Worker: func(l *links.Link) links.Worker { return newLink(&o, &s, l) },
		})
	}
	return links.New(servers, o.Changed), nil
}
