package chirpstack

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"lorawand/bridge/foreign"
	"lorawand/bridge/foreign/links"
	"lorawand/bridge/upstream/client"
	"lorawand/radio"
)

const (
	// statsEvery is the time between two statuses. Default of the ChirpStack Gateway Bridge.
	statsEvery = 30 * time.Second
	// farewell is how long the end waits for PUBACKs that are due.
	farewell = time.Second

	// maxAsked bounds the downlinks of a server that have no acknowledgement: see package forward.
	maxAsked = 16
	// maxBurst and perSecond bound the downlinks that reach the core.
	maxBurst  = 16
	perSecond = 8
	// acceptAfter is how long a gateway may be silent until the server is told that a planned downlink is
	// accepted. Some gateways get a frame shortly before its time, and the longest delay of RX1 is 15 s; ChirpStack
	// 4 forgets a downlink without an acknowledgement after 30 s (chirpstack/src/storage/downlink_frame.rs).
	acceptAfter = 20 * time.Second
	sweepEvery  = time.Second
	// askedFor is how long the core may have an item without a Result: see package forward.
	askedFor = 3 * time.Minute

	// maxName bounds the name of a version that people are told of, in characters, and wishEvery is the
	// time between two: a server that wishes for another one sends it again after each status.
	maxName   = 64
	wishEvery = time.Minute
)

// conversation is the work of a gateway over one connection. It belongs to the goroutine of its link;
// another one runs the connection.
type conversation struct {
	*link
	conn     *client.Conn
	running  context.Context // of the connection
	asked    map[key]*asked  // downlinks that are not acknowledged
	tokens   float64         // downlinks that may reach the core now
	tokensAt time.Time
	flying   uint64 // frames without a PUBACK; the lock of the Link guards it
}

// key names a downlink.
type key struct {
	token uint32
	id    string
}

// asked is a downlink of the server.
type asked struct {
	command
	statuses []status  // of the items
	next     int       // the item that the core was asked for
	at       time.Time // when it was asked
	planned  time.Time // when that has got its place; zero: it has none
}

// reply is a Result for an item of a downlink.
type reply struct {
	to     *asked
	result foreign.Result
}

func newConversation(l *link, c *client.Conn) *conversation {
	return &conversation{link: l, conn: c, asked: map[key]*asked{}, tokens: maxBurst, tokensAt: time.Now()}
}

// run works until ctx or the connection ends, and says why that has ended. At the end of ctx it says that the
// gateway is off line.
func (v *conversation) run(ctx context.Context) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	v.running = running
	stopLater := context.AfterFunc(ctx, func() { // also if the network takes nothing
		select {
		case <-running.Done():
		case <-time.After(farewell):
			stop()
		}
	})
	defer stopLater()
	ended := make(chan error, 1)
	go func() {
		err := v.conn.Run(running)
		stop()
		ended <- err
	}()
	v.work(ctx)
	stop()
	err := <-ended
	v.Count(func(c *links.Counts) { c.Lost += v.flying })
	return err
}

// work works until ctx or the connection ends.
func (v *conversation) work(ctx context.Context) {
	stats, sweep := time.NewTicker(statsEvery), time.NewTicker(sweepEvery)
	defer stats.Stop()
	defer sweep.Stop()
	v.status()
	for {
		select {
		case <-v.running.Done():
			return
		case <-ctx.Done():
			v.leave()
			return
		case f := <-v.Frames:
			v.uplink(&heard{f.Uplink, v.era(f.Era), v.Place})
		case m := <-v.commands:
			v.command(m)
		case r := <-v.replies:
			v.reply(r)
		case <-sweep.C:
			v.sweep()
		case <-stats.C:
			v.status()
		}
	}
}

// leave says that the gateway is off line, and waits for the PUBACKs.
func (v *conversation) leave() {
	v.publish("state/conn", v.codec.state(v.EUI, false), &client.Message{Retain: true})
	for v.conn.Flying() > 0 && v.running.Err() == nil {
		select {
		case <-v.running.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// publish publishes m with a topic and a payload. It waits while too many have no PUBACK.
func (v *conversation) publish(topic string, payload []byte, m *client.Message) {
	m.Topic, m.Payload = v.topic+topic, payload
	if err := v.conn.Publish(v.running, m); err != nil {
		v.conn.Close()
	}
}

func (v *conversation) uplink(u *heard) {
	v.Count(func(*links.Counts) { v.flying++ })
	v.publish("event/up", v.codec.uplink(u), &client.Message{Done: func(err error) {
		v.Count(func(c *links.Counts) {
			v.flying--
			if err != nil {
				c.Lost++
			} else {
				c.Forwarded++
			}
		})
	}})
}

func (v *conversation) status() {
	v.publish("event/stats", v.codec.stats(v.report()), &client.Message{})
}

// command takes a message of the server.
func (v *conversation) command(m client.Received) {
	switch strings.TrimPrefix(m.Topic, v.topic+"command/") {
	case "down":
		v.down(m.Payload)
	case "config":
		version, err := v.codec.channels(m.Payload)
		if err != nil {
			v.Count(func(c *links.Counts) { c.Malformed++ })
		} else if version = name(version); version != v.wished && time.Since(v.wishedAt) >= wishEvery {
			v.wished, v.wishedAt = version, time.Now()
			v.opts.Wishes(v.server.Address, v.EUI, version)
		}
	default: // command/exec runs programs, command/raw is for one kind of gateway: both are not for us
		v.Count(func(c *links.Counts) { c.Malformed++ })
	}
}

// name returns the begin of a name that a server gives, of printable characters.
func name(s string) string {
	out := make([]rune, 0, maxName)
	for _, r := range s {
		if len(out) == maxName {
			break
		}
		if !strconv.IsPrint(r) {
			r = utf8.RuneError
		}
		out = append(out, r)
	}
	return string(out)
}

// down takes a downlink.
func (v *conversation) down(payload []byte) {
	c, err := v.codec.downlink(payload)
	if err != nil || len(c.items) == 0 {
		v.Count(func(c *links.Counts) { c.Malformed++ })
		return
	}
	v.Count(func(c *links.Counts) { c.Downlinks++ })
	if v.asked[key{c.token, c.id}] != nil {
		return // the same once more
	}
	a := &asked{command: c, statuses: make([]status, min(len(c.items), maxItems))}
	switch {
	case len(c.items) > maxItems || !v.forUs(&c):
		v.refuse(a, internalError)
	case len(v.asked) >= maxAsked || !v.spend():
		v.refuse(a, queueFull)
	default:
		v.asked[key{c.token, c.id}] = a
		v.try(a)
	}
}

// forUs reports whether a downlink names no other gateway.
func (v *conversation) forUs(c *command) bool {
	for _, g := range c.gateways {
		if g != v.EUI {
			return false
		}
	}
	return true
}

// spend reports whether one more downlink may reach the core.
func (v *conversation) spend() bool {
	now := time.Now()
	v.tokens = min(maxBurst, v.tokens+now.Sub(v.tokensAt).Seconds()*perSecond)
	v.tokensAt = now
	if v.tokens < 1 {
		return false
	}
	v.tokens--
	return true
}

// try asks the core for the next item that it can be asked for.
func (v *conversation) try(a *asked) {
	for ; a.next < len(a.items); a.next++ {
		d, why := v.downlink(&a.items[a.next])
		if why != ignored {
			a.statuses[a.next] = why
			continue
		}
		a.at = time.Now()
		replies := v.replies
		v.opts.Ask(foreign.Request{Network: v.server.Address, Downlink: d, EIRP: true}, func(r foreign.Result) {
			select {
			case replies <- reply{a, r}:
			default: // the connection of the downlink is over, and so are those of many after it
			}
		})
		return
	}
	v.finish(a)
}

// reply takes what becomes of an item.
func (v *conversation) reply(r reply) {
	a := r.to
	if v.asked[key{a.token, a.id}] != a {
		return // of a connection before, or it is acknowledged
	}
	if r.result.Planned {
		a.planned = time.Now()
		return
	}
	a.statuses[a.next] = statusOf(r.result.Answer)
	if a.statuses[a.next] == accepted {
		v.finish(a)
		return
	}
	a.next++
	a.planned = time.Time{}
	v.try(a)
}

// sweep acknowledges the downlinks that are planned, and that their gateway has not refused for long. It
// forgets those of which the core has said nothing, as their server has.
func (v *conversation) sweep() {
	for k, a := range v.asked {
		switch {
		case a.planned.IsZero() && time.Since(a.at) > askedFor:
			delete(v.asked, k)
		case !a.planned.IsZero() && time.Since(a.planned) >= acceptAfter:
			a.statuses[a.next] = accepted
			v.finish(a)
		}
	}
}

// refuse acknowledges a downlink, none of whose items is tried.
func (v *conversation) refuse(a *asked, why status) {
	for i := range a.statuses {
		a.statuses[i] = why
	}
	v.finish(a)
}

// finish acknowledges a downlink.
func (v *conversation) finish(a *asked) {
	if k := (key{a.token, a.id}); v.asked[k] == a {
		delete(v.asked, k)
	}
	v.Count(func(c *links.Counts) {
		v.tally.answered(a)
		if a.sent() {
			c.Transmitted++
		} else {
			c.Refused++
		}
	})
	v.publish("event/ack", v.codec.ack(v.EUI, a), &client.Message{})
}

// sent reports whether an item is accepted.
func (a *asked) sent() bool {
	for _, s := range a.statuses {
		if s == accepted {
			return true
		}
	}
	return false
}

// why returns the status of the last item that was refused, or ignored if one is accepted.
func (a *asked) why() (last status) {
	for _, s := range a.statuses {
		if s == accepted {
			return ignored
		}
		if s != ignored {
			last = s
		}
	}
	return last
}

// rssi returns a level in whole dBm.
func rssi(d radio.Decibel) int32 {
	if d < 0 {
		return int32(d-50) / 100
	}
	return int32(d+50) / 100
}
