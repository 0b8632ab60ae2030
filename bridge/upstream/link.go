package upstream

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"lorawand/bridge/upstream/client"
)

// Times of connecting.
const (
	dialTimeout  = 30 * time.Second
	firstPause   = time.Second // before the second try
	longestPause = 30 * time.Second
	tellAgain    = 10 * time.Minute // of another reason why there is no connection
	steady       = time.Minute      // a connection that has lasted for so long begins with firstPause again
	farewell     = 1 * time.Second  // how long the end waits for PUBACKs that are due
)

// link keeps a connection until ctx ends.
func (u *Upstream) link(ctx context.Context) {
	v, pause := newVersions(u.o.Client.Version), firstPause
	for ctx.Err() == nil {
		began := time.Now()
		loggedIn, err := u.connected(ctx, v.next)
		if ctx.Err() != nil {
			return
		}
		u.down(err)
		if v.after(loggedIn, err) {
			continue
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		// Many gateways lose the same broker at the same time.
		if !sleep(ctx, pause*3/4+rand.N(pause/2)) {
			return
		}
		pause = min(2*pause, longestPause)
	}
}

// versions decides which version of MQTT is tried next.
type versions struct {
	next    byte
	fixed   bool
	said    bool // the other broker has said that it does not speak the other version
	hasFive bool // it has spoken MQTT 5
}

func newVersions(configured byte) *versions {
	if configured != 0 {
		return &versions{next: configured, fixed: true}
	}
	return &versions{next: client.V5}
}

// after takes how a connection has ended. at once says that the other version is to be
// tried without a pause.
func (v *versions) after(loggedIn bool, err error) (atOnce bool) {
	v.hasFive = v.hasFive || loggedIn && v.next == client.V5
	switch {
	case v.fixed:
	case errors.Is(err, client.ErrVersion):
		atOnce = !v.said // but not both again and again
		v.next, v.said = client.V5+client.V311-v.next, true
	case v.next == client.V5 && !v.hasFive && errors.Is(err, client.ErrClosed):
		// An older one may end the connection, and so may a bad network: MQTT 5 is tried
		// again later.
		v.next, atOnce = client.V311, true
	case v.next == client.V311 && !v.said:
		v.next = client.V5
	}
	return atOnce
}

func sleep(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connected connects, and works until the connection or ctx ends.
func (u *Upstream) connected(ctx context.Context, version byte) (loggedIn bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := u.o.Dial(dialing)
	if err != nil {
		return false, err
	}
	o := u.o.Client
	o.Version = version
	c, err := client.Connect(ctx, nc, o)
	if err != nil {
		return false, err
	}
	u.up(version)
	return true, u.serve(ctx, c)
}

// serve runs the lanes over a connection. At the end of ctx it waits a moment for the
// PUBACKs of what is on its way: else it would be sent again after the next start.
func (u *Upstream) serve(ctx context.Context, c *client.Conn) error {
	lanes, stopLanes := context.WithCancel(ctx)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var sending, watching sync.WaitGroup
	for _, lane := range []func(context.Context, *client.Conn) error{u.sendLive, u.sendBackfill} {
		sending.Go(func() {
			if err := lane(lanes, c); err != nil && lanes.Err() == nil {
				c.Close()
			}
		})
	}
	watching.Go(func() {
		select {
		case <-running.Done():
		case <-ctx.Done():
			sending.Wait()
			for end := time.Now().Add(farewell); c.Flying() > 0 && time.Now().Before(end); {
				if !sleep(running, 5*time.Millisecond) {
					break
				}
			}
			stop()
		}
	})
	err := c.Run(running)
	stopLanes()
	stop()
	sending.Wait()
	watching.Wait()
	u.moveCursor()
	u.mu.Lock()
	u.queue.requeue()
	u.mu.Unlock()
	return err
}

// up notes that there is a connection.
func (u *Upstream) up(version byte) {
	u.mu.Lock()
	u.status.Connected, u.status.Version, u.status.Since = true, version, time.Now()
	u.status.Error, u.status.Unheard = "", nil
	u.mu.Unlock()
	u.log.Info("connected to the other broker", "mqtt", versionText(version))
	if u.o.Changed != nil {
		u.o.Changed(true, "")
	}
}

func versionText(version byte) string {
	if version == client.V311 {
		return "3.1.1"
	}
	return "5"
}

// down notes why there is none. That is told when the connection has ended, and another
// reason seldom: each try of a long outage may have one.
func (u *Upstream) down(err error) {
	why := "the connection has ended"
	if err != nil {
		why = err.Error()
	}
	u.mu.Lock()
	was, before := u.status.Connected, u.status.Error
	u.status.Connected, u.status.Version, u.status.Error = false, 0, why
	if was {
		u.status.Since = time.Now()
	}
	u.mu.Unlock()
	if now := time.Now(); was || before == "" || before != why && now.Sub(u.told) >= tellAgain {
		u.told = now
	} else {
		return
	}
	u.log.Warn("the other broker cannot be reached", "error", why)
	if u.o.Changed != nil {
		u.o.Changed(false, why)
	}
}

// unheard notes a filter that the other broker refuses.
func (u *Upstream) unheard(filter string) {
	u.mu.Lock()
	u.status.Unheard = append(u.status.Unheard, filter)
	u.mu.Unlock()
	u.log.Warn("the other broker refuses a subscription: no downlinks come from there", "filter", filter)
}
