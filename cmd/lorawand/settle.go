package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/pages"
)

// startOver is when whatever the start of a daemon sets going has gone.
const startOver = 10 * time.Second

// settle gives back the memory that only the start of the daemon has needed,
// once it is over. The returned function ends that, and waits.
func settle(ctx context.Context, log *slog.Logger) (stop func()) {
	own, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-own.Done():
		case <-time.After(startOver):
			if err := pages.Release(); err != nil {
				log.Debug("memory of the start is kept", "reason", err)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}
