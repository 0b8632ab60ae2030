package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// stage starts a part that runs until the returned function is called. An error of
// a part ends all parts.
func stage(ctx context.Context, fail context.CancelCauseFunc, run func(context.Context) error) (stop func()) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := run(own); err != nil {
			fail(err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// stopLimit is how long a stop waits for the parts. The user was promised 5 s.
const stopLimit = 4 * time.Second

// errStop is the reason for ending before all parts have ended.
var errStop = errors.New("not all parts have ended: the disk may not answer, and what was not committed is lost")

// stop stops the parts and closes the store. It waits for a disk that hangs only
// for stopLimit; then the process ends anyway.
func (d *daemon) stop(parts []func()) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, part := range parts {
			part()
		}
		_ = d.store.Close()
	}()
	patience := time.NewTimer(stopLimit)
	defer patience.Stop()
	select {
	case <-ended:
		return nil
	case <-patience.C:
		d.log.Error("lorawand does not wait any longer", "reason", errStop)
		return errStop
	}
}
