package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/pages"
)

// startOver is the time after which the start of a daemon is over.
const startOver = 10 * time.Second

// settle frees the memory that only the start of the daemon has needed, when the
// start is over. The returned function ends settle and waits for its end.
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
