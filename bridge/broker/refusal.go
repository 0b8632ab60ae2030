package broker

import (
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// Refused is something that a client is refused.
type Refused struct {
	What        Refusal
	Why         string // as one word
	Address     string
	Application string // as the client says, if it has not logged in
	LoggedIn    bool
	Client      string // its id
	Topic       string // or the filter
}

// Refusal is what a client is refused.
type Refusal uint8

// Refusals.
const (
	LoginRefused Refusal = iota
	PublishRefused
	SubscribeRefused
	PacketRefused // and with it the connection
)

// Why publishes, subscriptions and logins are refused, besides access.Refusal.
const (
	noRight           = "no_right"
	tooManyUnfinished = "too_many_unfinished" // publishes of QoS 2 that were not released
	tooManyRefused    = "too_many_refused"    // publishes of the application
	tooFast           = "too_fast"            // packets without a pause
	noPush            = "no_topic_of_a_push"  // the topic is another, such as one of another application
	notOwn            = "not_of_the_application"
	tooLong           = "filter_too_long"
	tooMany           = "too_many_subscriptions"
	tooManyOthers     = "too_many_clients"
	tooManyOpen       = "too_many_connections"
	noHandshake       = "handshake_failed" // of TLS or WebSocket
	notConnect        = "no_connect"       // the first packet is another
	unfinishedPacket  = "unfinished_packet"
)

// refuses tells of a refusal. A stranger, or one application, can cause as many as it likes: of one reason it is told
// of one a second, and others meanwhile. What comes from a client is cut short.
func (b *Broker) refuses(c *conn, what Refusal, why, topic string) {
	b.refused(c.login.Application, Refused{
		What: what, Why: why, Address: c.addr.String(), Application: c.claims, Client: clip(c.id), Topic: clip(topic),
	})
}

// refused tells of a refusal, which counts against those of an application.
func (b *Broker) refused(application string, r Refused) {
	r.LoggedIn = application != ""
	if _, ok := b.often.Of(fmt.Sprint(r.What, r.Why, application)).Take(time.Now()); ok && b.opts.Refused != nil {
		b.opts.Refused(r)
	}
}

// reason returns the reason of a refused login as one word.
func reason(err error) string {
	why, _ := errors.AsType[access.Refusal](err)
	return string(why)
}

// checkPush reports whether a client may push to a topic, and tells if not.
func (b *Broker) checkPush(c *conn, topic string) (device, suffix string, ok bool) {
	device, suffix, ok = v3.ParsePush(topic, c.login.Application, c.login.Tenant)
	why := noPush
	if ok {
		ok, why = c.login.Rights.Has(access.TrafficDownWrite), noRight
	}
	if !ok {
		b.refuses(c, PublishRefused, why, topic)
	}
	return device, suffix, ok
}
