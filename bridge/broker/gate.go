package broker

import (
	"slices"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"

	"lorawand/bridge/access"
)

// gate counts connections and keeps them within the limits. Where there are too many, somebody has to go, so that one
// who floods costs himself and no other: before the login one whose login was refused, else the oldest that has not
// said enough yet, else the oldest; after it the newest of the application that has the most.
type gate struct {
	limits    Limits
	listeners []*listener

	mu       sync.Mutex
	conns    map[*conn]struct{}
	waiting  []*conn // that have not logged in, oldest first; at most Limits.Unauthenticated
	loggedIn []*conn // oldest first; at most Limits.Clients, and those that take another one over
	refused  uint64
	closed   bool
}

func newGate(l Limits) *gate {
	return &gate{limits: l, conns: map[*conn]struct{}{}}
}

// enter admits a connection, in the place of another one if need be, which is the
// victim. ok is false when the broker stops.
func (g *gate) enter(c *conn) (victim *conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, false
	}
	if victim = g.inTheWay(c); victim != nil {
		g.refused++
		g.waiting = slices.DeleteFunc(g.waiting, func(o *conn) bool { return o == victim })
		victim.cut()
	}
	g.conns[c] = struct{}{}
	g.waiting = append(g.waiting, c)
	return victim, true
}

// inTheWay returns the connection that has to go before another may wait for its
// login, or nil. A quarter of the places is for clients of this host.
func (g *gate) inTheWay(c *conn) *conn {
	same := func(o *conn) bool { return o.source == c.source }
	abroad := func(o *conn) bool { return !o.addr.IsLoopback() }
	all := func(*conn) bool { return true }
	count := func(is func(*conn) bool) (n int) {
		for _, o := range g.waiting {
			if is(o) {
				n++
			}
		}
		return n
	}
	switch {
	case count(same) >= g.limits.PerAddress:
		return g.leastWorth(same)
	case abroad(c) && count(abroad) >= g.limits.Unauthenticated-g.limits.Unauthenticated/4:
		return g.leastWorth(abroad)
	case len(g.waiting) < g.limits.Unauthenticated:
		return nil
	case count(abroad) > 0:
		return g.leastWorth(abroad)
	}
	return g.leastWorth(all)
}

// leastWorth returns the connection that goes first among those that wait and are meant.
func (g *gate) leastWorth(meant func(*conn) bool) (out *conn) {
	worth := func(c *conn) int {
		switch {
		case c.failed.Load():
			return 0
		case !c.spoke.Load():
			return 1
		}
		return 2
	}
	for _, c := range g.waiting {
		if meant(c) && (out == nil || worth(c) < worth(out)) {
			out = c
		}
	}
	return out
}

// admit takes a connection that logs in among the clients. Where there are too
// many, victim is the one that has to go; ok is false if that is this one itself. One that
// takes an earlier connection of the same client over has the place of that.
func (g *gate) admit(c *conn) (victim *conn, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.loggedIn) >= g.limits.Clients && !g.takesOver(c) {
		counts := map[string]int{}
		for _, o := range g.loggedIn {
			counts[o.login.Application]++
		}
		most := counts[c.login.Application]
		for _, o := range g.loggedIn { // the newest of the largest application is the last one found
			if counts[o.login.Application] > most || victim != nil && counts[o.login.Application] == most {
				most, victim = counts[o.login.Application], o
			}
		}
		if victim == nil || most <= counts[c.login.Application]+1 {
			g.refused++
			return nil, false
		}
		g.loggedIn = slices.DeleteFunc(g.loggedIn, func(o *conn) bool { return o == victim })
	}
	g.waiting = slices.DeleteFunc(g.waiting, func(o *conn) bool { return o == c })
	g.loggedIn = append(g.loggedIn, c)
	return victim, true
}

// takesOver reports whether one connection of the same client is there: a second one that
// waits for its end would be one too many. The lock is held.
func (g *gate) takesOver(c *conn) bool {
	n := 0
	for _, o := range g.loggedIn {
		if o.login.Application == c.login.Application && o.id == c.id {
			n++
		}
	}
	return n == 1
}

func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	is := func(o *conn) bool { return o == c }
	g.waiting, g.loggedIn = slices.DeleteFunc(g.waiting, is), slices.DeleteFunc(g.loggedIn, is)
	delete(g.conns, c)
}

// close closes every connection: those that never sent a CONNECT are not known
// to the library, which would wait for them for ever.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for c := range g.conns {
		_ = c.Close()
	}
}

// tellable lists the clients that a DISCONNECT can be sent to.
func (g *gate) tellable() []*mqtt.Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*mqtt.Client
	for c := range g.conns {
		if cl := c.client.Load(); cl != nil && c.version == 5 {
			out = append(out, cl)
		}
	}
	return out
}

// matching lists the connections that have logged in and match.
func (g *gate) matching(match func(access.Login) bool) (out []*conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		if c.client.Load() != nil && match(c.login) {
			out = append(out, c)
		}
	}
	return out
}

func (g *gate) counts() (refused uint64, clients int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused, len(g.loggedIn)
}
