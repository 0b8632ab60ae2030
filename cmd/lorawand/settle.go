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

// releaseEvery is the time between two releases. A release makes the next uplink
// wait for some 200 page faults: less than 1 ms on a fast machine, some ms on a
// slow one, which is far less than the time that is left before RX1.
const releaseEvery = 30 * time.Second

// settle frees the code and the constants that only rare work needs: the start of
// the daemon, a join, an import, a web page that was looked at. The first time is
// when the start is over. The returned function ends settle and waits for its end.
func settle(ctx context.Context, log *slog.Logger) (stop func()) {
	own, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { release(own, log) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func release(ctx context.Context, log *slog.Logger) {
	for next := time.After(startOver); ; next = time.After(releaseEvery) {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		if err := pages.Release(); err != nil {
			log.Debug("memory of rare work is kept", "reason", err)
			return
		}
	}
}
