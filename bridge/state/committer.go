package state

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/store"
)

// Committer writes to the store. It gathers records that may lag, keeps the latest
// for each key, and commits them together once in an interval; it commits the
// others at once. A slow or failing disk delays nobody else: the Committer repeats
// what it could not write. A request with a Ticket, however, is written at the
// first attempt or not at all: its sender is told at once and may ask again.
type Committer struct {
	store    Store
	interval time.Duration // 0: nothing lags
	done     func(ticket uint64, err error)
	log      *slog.Logger

	wake chan struct{}

	mu      sync.Mutex
	pending map[recordKey]unwritten // bounded by the number of devices and of their downlinks
	large   []sequenced             // requests with many records, which the goroutine of the core does not merge itself
	seq     uint64                  // number of the last Request
	tickets []uint64                // tickets of the pending requests
	failure error                   // why the last commit failed; nil: it succeeded
	wear    Wear
}

// Wear counts the bytes written to the flash because of messages of devices and
// applications. Joins, changes by people and snapshots are in neither counter.
type Wear struct {
	Uplinks int64 // commits with nothing but records that may lag
	Pushes  int64 // commits with items of downlink queues: added, sent, acknowledged
}

// flashCounter is a store that counts the bytes written to the flash.
type flashCounter interface{ BytesWritten() int64 }

// bytesWritten returns the bytes written to the flash, or 0 where the store does
// not count them.
func (k *Committer) bytesWritten() int64 {
	if c, ok := k.store.(flashCounter); ok {
		return c.BytesWritten()
	}
	return 0
}

// countWear adds the bytes of a commit to the counter it belongs to.
func (k *Committer) countWear(batch map[recordKey]unwritten, bytes int64) {
	uplinks, push := true, false
	for id, u := range batch {
		uplinks, push = uplinks && u.lags, push || id.kind == KindDownlink
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case push:
		k.wear.Pushes += bytes
	case uplinks:
		k.wear.Uplinks += bytes
	}
}

// Wear returns the bytes written to the flash.
func (k *Committer) Wear() Wear {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wear
}

// Request asks the Committer to store records, all or none. A later record replaces
// an earlier one with the same key. Records that cannot be written are tried again.
// With a Ticket, however, the result is reported once, and records reported as not
// stored are never stored later.
type Request struct {
	Records []store.Record
	Lag     bool   // may wait for the commit interval
	Ticket  uint64 // 0: nobody waits for the result
}

// Store has the methods of a store that a Committer uses.
type Store interface {
	Commit(records ...store.Record) error
}

// errNothing is the reason for refusing a Request without records.
var errNothing = errors.New("there is nothing to be stored")

type recordKey struct{ kind, key string }

// unwritten is a record that waits to be written.
type unwritten struct {
	store.Record
	seq      uint64        // number of its Request
	asked    bool          // its Request has a Ticket
	lags     bool          // it may wait for the commit interval
	replaced *store.Record // with asked: the older record that is tried again if this one cannot be written
}

// sequenced is a Request with its number.
type sequenced struct {
	Request
	seq uint64
}

// largeRequest is the number of records above which the Committer merges a request,
// and not the goroutine of the core.
const largeRequest = 128

// NewCommitter returns a Committer. It calls done with each Ticket when the records
// are stored or could not be stored. Run does the work.
func NewCommitter(s Store, interval time.Duration, done func(ticket uint64, err error), log *slog.Logger) *Committer {
	return &Committer{
		store: s, interval: interval, done: done, log: log,
		wake: make(chan struct{}, 1), pending: map[recordKey]unwritten{},
	}
}

// Add adds a request. A request without records is reported as not stored.
func (k *Committer) Add(e Request) {
	if len(e.Records) == 0 {
		if e.Ticket != 0 {
			k.done(e.Ticket, errNothing)
		}
		return
	}
	now := !e.Lag || k.interval == 0
	k.mu.Lock()
	k.seq++
	if numbered := (sequenced{e, k.seq}); len(e.Records) > largeRequest {
		k.large = append(k.large, numbered)
	} else {
		numbered.sortInto(k.pending)
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

// sortInto adds the records to the pending ones, except where a later one is
// pending.
func (s *sequenced) sortInto(pending map[recordKey]unwritten) {
	for _, r := range s.Records {
		id, u := recordKey{r.Kind, r.Key}, unwritten{Record: r, seq: s.seq, asked: s.Ticket != 0, lags: s.Lag}
		old, ok := pending[id]
		if ok && old.seq > s.seq {
			continue
		}
		if ok && u.asked {
			u.replaced = old.lasting()
		}
		pending[id] = u
	}
}

// lasting returns the record that is tried again after a failure, or nil.
func (u unwritten) lasting() *store.Record {
	if u.asked {
		return u.replaced
	}
	return &u.Record
}

// retryEvery is the pause after a failure.
const retryEvery = 5 * time.Second

// Run commits until ctx ends, and then commits what is pending.
func (k *Committer) Run(ctx context.Context) {
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

func (k *Committer) commit() {
	k.mu.Lock()
	batch, large, tickets := k.pending, k.large, k.tickets
	k.pending, k.large, k.tickets = map[recordKey]unwritten{}, nil, nil
	k.mu.Unlock()
	for i := range large {
		large[i].sortInto(batch)
	}
	records := make([]store.Record, 0, len(batch))
	for _, u := range batch {
		records = append(records, u.Record)
	}
	var err error
	if len(records) > 0 {
		before := k.bytesWritten()
		err = k.store.Commit(records...)
		k.countWear(batch, k.bytesWritten()-before)
		k.settle(batch, err)
	}
	for _, t := range tickets {
		k.done(t, err)
	}
}

// Fault returns why the last commit failed, or nil.
func (k *Committer) Fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// settle records the result of a commit.
func (k *Committer) settle(batch map[recordKey]unwritten, err error) {
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
		k.log.Error("the store cannot be written; uplinks go on, and it is tried again", "error", err, "records", len(batch))
	}
	k.failure = err
	for id, u := range batch {
		lasting := u.lasting()
		if lasting == nil {
			continue
		}
		newer, ok := k.pending[id]
		switch {
		case !ok:
			k.pending[id] = unwritten{Record: *lasting}
		case newer.lasting() == nil:
			newer.replaced = lasting
			k.pending[id] = newer
		}
	}
}
