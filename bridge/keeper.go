package bridge

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/store"
)

// keeper owns the writing to the store. Records that may lag are gathered and
// committed together once in an interval, the latest for each key; the rest at
// once. A disk that fails or is slow is met by nobody but the keeper: what it
// could not write it tries again, and those who wait for it are told at once.
type keeper struct {
	store    committer
	interval time.Duration // 0: nothing lags
	tell     func(Kept)
	log      *slog.Logger

	wake chan struct{}

	mu      sync.Mutex
	pending map[recordID]store.Record // bounded by the number of devices and of their downlinks
	tickets []uint64                  // of those who wait for what is pending
	failure error                     // why the last commit has failed; nil: it has not
}

// committer is what a keeper needs of a store.
type committer interface {
	Commit(records ...store.Record) error
}

type recordID struct{ kind, key string }

func newKeeper(s committer, interval time.Duration, tell func(Kept), log *slog.Logger) *keeper {
	return &keeper{store: s, interval: interval, tell: tell, log: log, wake: make(chan struct{}, 1), pending: map[recordID]store.Record{}}
}

// keep takes records.
func (k *keeper) keep(e Keep) {
	now := !e.Lag || k.interval == 0
	k.mu.Lock()
	for _, r := range e.Records {
		k.pending[recordID{r.Kind, r.Key}] = r
	}
	if e.Ticket != 0 {
		k.tickets = append(k.tickets, e.Ticket)
	}
	k.mu.Unlock()
	if now {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
}

// retryEvery is how long to wait after a failure.
const retryEvery = 5 * time.Second

// run commits until ctx ends, and then what is left.
func (k *keeper) run(ctx context.Context) {
	interval := k.interval
	if interval == 0 {
		interval = retryEvery
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.commit()
			return
		case <-k.wake:
			k.commit()
		case <-tick.C:
			k.commit()
		}
	}
}

func (k *keeper) commit() {
	k.mu.Lock()
	records := make([]store.Record, 0, len(k.pending))
	for _, r := range k.pending {
		records = append(records, r)
	}
	clear(k.pending)
	tickets := k.tickets
	k.tickets = nil
	k.mu.Unlock()
	var err error
	if len(records) > 0 {
		err = k.store.Commit(records...)
		k.settle(records, err)
	}
	for _, t := range tickets {
		k.tell(Kept{t, err})
	}
}

// fault returns why the last commit has failed, or nil.
func (k *keeper) fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// settle notes how a commit has gone.
func (k *keeper) settle(records []store.Record, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		if k.failure != nil {
			k.log.Info("the store can be written again")
		}
		k.failure = nil
		return
	}
	if k.failure == nil {
		k.log.Error("the store cannot be written; uplinks go on, and it is tried again", "error", err, "records", len(records))
	}
	k.failure = err
	for _, r := range records {
		id := recordID{r.Kind, r.Key}
		if _, newer := k.pending[id]; !newer {
			k.pending[id] = r
		}
	}
}
