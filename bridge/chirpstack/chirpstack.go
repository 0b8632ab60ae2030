// Package chirpstack hands frames on to ChirpStack networks: our gateways appear there as if a ChirpStack
// Gateway Bridge stood beside each, over MQTT.
//
// A gateway has one connection to each server, as the will of a connection tells of one gateway. Its
// topics begin with the prefix of the server's region, "gateway/" and the EUI:
//
//	event/up, event/stats, event/ack   what was heard, counts each 30 s, one status for each item of a downlink
//	state/conn                         retained: ONLINE, and OFFLINE as last will
//	command/down, command/config       downlinks, and the channels that the network wishes for
//
// The messages are protobuf as of ChirpStack 3 (protobuf.go), which ChirpStack 4 reads too where its
// v4_migrate is on, or JSON as of ChirpStack 4 (json.go), which that recognises by itself. The library
// has the types of ChirpStack 3 only, so those of the JSON form are our own.
//
// A downlink has items, one for each receive window. The core is asked for them in their order until one
// has a place: see package foreign, which has the last word.
package chirpstack

import (
	"context"
	"errors"
	"net"
	"time"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/bridge/upstream/client"
	"lorawand/radio"
)

// Server is the MQTT broker of a ChirpStack network, with one of its regions.
type Server struct {
	Address   string // for people
	Prefix    string // of the topics, such as "eu868/"
	JSON      bool   // JSON as of ChirpStack 4; else protobuf as of ChirpStack 3
	Selection foreign.Selection
	// Client says how to log in. ClientID is followed by the EUI of each gateway.
	Client client.Options
	Dial   func(ctx context.Context) (net.Conn, error)
}

// Options configures a Forwarder.
type Options struct {
	Servers []Server

	// Ask plans a downlink of a server, and has reply called with each foreign.Result. Neither
	// blocks. Required.
	Ask func(r foreign.Request, reply func(foreign.Result))
	// Changed is told when a gateway is connected to a server, with nil, and when it is so no
	// more, with the reason. It must not block. nil: nobody is told.
	Changed func(server string, gateway radio.EUI64, fault error)
	// Wishes is told of the channels that a server wants a gateway to have, by the name of their
	// version, at most once a minute for each gateway. The name has at most 64 characters, all printable.
	// The gateway keeps its plan. It must not block. nil: nobody is told.
	Wishes   func(server string, gateway radio.EUI64, version string)
	Calendar func() radio.WallTime // default: not known
	Now      func() radio.HostTime // of the tokens of uplinks. Required.
}

// afterEnd is how long after the end of a connection the gateway connects again. A broker that reads the
// new one first takes the old one for lost, and then tells that the gateway is off line.
const afterEnd = time.Second

// New returns the links to the servers. Their Run does the work.
func New(o Options) (*links.Links, error) {
	if o.Ask == nil || o.Now == nil {
		return nil, errors.New("chirpstack: nobody plans downlinks, or tells the time")
	}
	if o.Calendar == nil {
		o.Calendar = func() radio.WallTime { return radio.WallTime{} }
	}
	if o.Changed == nil {
		o.Changed = func(string, radio.EUI64, error) {}
	}
	if o.Wishes == nil {
		o.Wishes = func(string, radio.EUI64, string) {}
	}
	var servers []links.Server
	for i := range o.Servers {
		s := &o.Servers[i]
		servers = append(servers, links.Server{
			Address: s.Address, Selection: s.Selection, Rest: afterEnd,
			Worker: func(l *links.Link) links.Worker { return newLink(&o, s, l) },
		})
	}
	return links.New(servers, o.Changed), nil
}
