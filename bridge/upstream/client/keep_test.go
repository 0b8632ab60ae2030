package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A connection is tried again after pauses that get longer, until one has lasted; the other version of MQTT
// is tried at once.
func TestKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		away := errors.New("away")
		tries := []struct {
			loggedIn bool
			err      error
			lasts    time.Duration
			pause    time.Duration // before it, without what is left to chance
		}{
			{err: ErrVersion},
			{err: away},
			{err: away, pause: time.Second},
			{loggedIn: true, lasts: 59 * time.Second, pause: 2 * time.Second},
			{err: away, pause: 4 * time.Second},
			{err: away, pause: 8 * time.Second},
			{err: away, pause: 16 * time.Second},
			{err: away, pause: 30 * time.Second},
			{loggedIn: true, lasts: time.Minute, pause: 30 * time.Second},
			{err: away, pause: time.Second},
			{loggedIn: true, lasts: time.Hour, pause: 2 * time.Second},
		}
		last, n := time.Now(), 0
		var told []error
		k := Keeper{
			Connected: func(_ context.Context, version byte) (bool, error) {
				try := tries[n]
				if pause := time.Since(last); pause < try.pause*3/4 || pause > try.pause*5/4 {
					t.Errorf("try %d: after %v", n, pause)
				}
				if want := V311; n > 0 && version != want || n == 0 && version != V5 {
					t.Errorf("try %d: MQTT %d", n, version)
				}
				time.Sleep(try.lasts)
				last = time.Now()
				if n++; n == len(tries) {
					cancel()
				}
				return try.loggedIn, try.err
			},
			Lost:  func(why error) { told = append(told, why) },
			Pause: func(_ context.Context, wait time.Duration) { time.Sleep(wait) },
		}
		k.Run(ctx)
		want := []error{ErrVersion, away, away, errEnded, away, away, away, away, errEnded, away}
		if !slices.Equal(told, want) {
			t.Errorf("%v", told)
		}
	})
}

// Whatever wakes those who wait, a server that takes each login, and ends it at once, is not flooded with them.
func TestKeeperOfLoginsThatEnd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		loggedIn bool
		from, to int
	}{{"kicked", true, 100, 180}, {"away", false, 1000, 1000}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				n := 0
				k := Keeper{
					Version: V5,
					Connected: func(context.Context, byte) (bool, error) {
						if n++; n == 1000 {
							cancel()
						}
						return tt.loggedIn, nil
					},
					Lost:  func(error) {},
					Pause: func(context.Context, time.Duration) {}, // others wake it at once
				}
				if k.Run(ctx); n < tt.from || n > tt.to {
					t.Errorf("%d logins in an hour", n)
				}
			})
		})
	}
}
