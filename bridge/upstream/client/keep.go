package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"
)

// Times of connecting.
const (
	dialTimeout  = 30 * time.Second
	firstPause   = time.Second // before the second try
	longestPause = 30 * time.Second
	steady       = time.Minute // a connection that has lasted for so long begins with firstPause again
)

var errEnded = errors.New("the connection has ended")

// Keeper has a connection opened again and again.
type Keeper struct {
	// Version is the version of MQTT. 0 tries 5, and 3.1.1 where the server has no 5.
	Version byte
	// Connected logs in, and works until the connection or ctx ends.
	Connected func(ctx context.Context, version byte) (loggedIn bool, err error)
	// Lost is told why there is no connection.
	Lost func(why error)
	// Pause waits for so long, or less if ctx ends or there is another reason. It is not asked after a login: a server
	// that takes each, and ends it at once, would have gateways that wake each other log in without end.
	Pause func(ctx context.Context, wait time.Duration)
}

// Run keeps a connection until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	v, pause := NewVersions(k.Version), firstPause
	for ctx.Err() == nil {
		began := time.Now()
		loggedIn, err := k.Connected(ctx, v.Next)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errEnded
		}
		k.Lost(err)
		if v.After(loggedIn, err) {
			continue
		}
		if time.Since(began) >= steady {
			pause = firstPause
		}
		wait := k.Pause
		if loggedIn {
			wait = Sleep
		}
		wait(ctx, pause*3/4+rand.N(pause/2)) // many gateways lose the same server at the same time
		pause = min(2*pause, longestPause)
	}
}

// Sleep waits for so long, or until ctx ends.
func Sleep(ctx context.Context, wait time.Duration) {
	t := time.NewTimer(wait)
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	t.Stop()
}

// Open dials and logs in.
func Open(ctx context.Context, dial func(context.Context) (net.Conn, error), o Options) (*Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	nc, err := dial(dialing)
	if err != nil {
		return nil, err
	}
	return Connect(ctx, nc, o)
}
