package chirpstack

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"lorawand/bridge/foreign/links"
	"lorawand/bridge/upstream/client"
	"lorawand/radio"
)

const (
	// commandQueue bounds the commands that wait to be read.
	commandQueue = 32
	// window is how many messages may have no PUBACK.
	window = 64
)

// link is one gateway on the way to one server. Its goroutine logs in and works (conversation.go), again
// and again:
//
//	connecting --(CONNACK)--> connected --(the connection ends)--> pause --> connecting
//	    |                                                            ^
//	    +----------------------(refused, no way)---------------------+
type link struct {
	*links.Link
	opts     *Options
	server   *Server
	codec    codec
	topic    string // its begin
	firstEra era
	tally    *tally // the lock of the Link guards it
	replies  chan reply
	commands chan client.Received
	wished   string    // version of the channels that people were told of; belongs to the conversation
	wishedAt time.Time // when they were
}

// heard is a frame, with the era of the gateway's counter and the place of the gateway.
type heard struct {
	radio.Uplink
	era   era
	place *radio.Place
}

func newLink(o *Options, s *Server, l *links.Link) *link {
	out := &link{
		Link: l, opts: o, server: s, codec: protobuf{}, topic: s.Prefix + "gateway/" + hexOf(l.EUI) + "/",
		firstEra: newEra(), tally: newTally(), replies: make(chan reply, 2*maxAsked),
		commands: make(chan client.Received, commandQueue),
	}
	if s.JSON {
		out.codec = jsonForm{}
	}
	return out
}

// hexOf writes an EUI as ChirpStack does.
func hexOf(eui radio.EUI64) string { return hex.EncodeToString(eui[:]) }

// Heard implements links.Worker.
func (l *link) Heard(up *radio.Uplink, _, _ bool) {
	l.Count(func(*links.Counts) { l.tally.heard(up) })
}

// era returns that of the gateway's counter which has begun anew so often.
func (l *link) era(renewals uint32) era { return l.firstEra + era(renewals) }

// Run keeps a connection until ctx ends.
func (l *link) Run(ctx context.Context) {
	k := client.Keeper{Version: l.server.Client.Version, Connected: l.connected, Lost: l.Answers, Pause: l.Pause}
	k.Run(ctx)
}

// connected logs in, and works until the connection or ctx ends.
func (l *link) connected(ctx context.Context, version byte) (loggedIn bool, err error) {
	c, err := client.Open(ctx, l.server.Dial, l.client(version))
	if err != nil {
		return false, err
	}
	l.SetOpen(true)
	defer l.SetOpen(false)
	l.Answers(nil)
	return true, newConversation(l, c).run(ctx)
}

// client returns how the gateway logs in.
func (l *link) client(version byte) client.Options {
	o := l.server.Client
	o.Version, o.Window = version, window
	o.ClientID += hexOf(l.EUI)
	o.Filters = []string{l.topic + "command/+"}
	o.Birth = &client.Message{Topic: l.topic + "state/conn", Payload: l.codec.state(l.EUI, true), Retain: true}
	o.Will = &client.Message{Topic: l.topic + "state/conn", Payload: l.codec.state(l.EUI, false), Retain: true}
	o.Unheard = func(filter string) {
		l.Answers(errors.New("the broker refuses the subscription to " + filter))
	}
	o.Received = func(_ context.Context, m client.Received) error {
		select {
		case l.commands <- m:
		default: // a flood: what it reads are the PUBACKs too, and must not wait
			l.Count(func(c *links.Counts) { c.Refused++ })
		}
		return nil
	}
	return o
}
