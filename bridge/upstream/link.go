package upstream

import (
	"context"
	"sync"
	"time"

	"lorawand/bridge/upstream/client"
)

const (
	tellAgain = 10 * time.Minute // of another reason why there is no connection, or of more losses
	farewell  = 1 * time.Second  // how long the end waits for PUBACKs that are due
)

// link keeps a connection until ctx ends.
func (u *Upstream) link(ctx context.Context) {
	k := client.Keeper{Version: u.o.Client.Version, Connected: u.connected, Lost: u.down, Pause: client.Sleep}
	k.Run(ctx)
}

// connected connects, and works until the connection or ctx ends.
func (u *Upstream) connected(ctx context.Context, version byte) (loggedIn bool, err error) {
	o := u.o.Client
	o.Version = version
	c, err := client.Open(ctx, u.o.Dial, o)
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
			timer := time.AfterFunc(farewell, c.Close) // also if the network takes nothing
			defer timer.Stop()
			sending.Wait()
			for c.Flying() > 0 && running.Err() == nil {
				client.Sleep(running, 5*time.Millisecond)
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
	why := err.Error()
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
