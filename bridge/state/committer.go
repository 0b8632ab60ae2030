package state

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/store"
)

// committer owns the writing to the store. Records that may lag are gathered and
// committed together once in an interval, the latest for each key; the rest at
// once. A disk that fails or is slow is met by nobody but the committer: what it
// could not write it tries again. But what somebody waits for is written at the
// first attempt or not at all: he is told at once, and asks again or does without.
type Committer struct {
	store    Store
	interval time.Duration // 0: nothing lags
	done     func(ticket uint64, err error)
	log      *slog.Logger

	wake chan struct{}

	mu      sync.Mutex
	pending map[recordKey]unwritten // bounded by the number of devices and of their downlinks
	large   []sequenced             // the same, of Requests with many records: the core does not sort them in
	seq     uint64                  // of the last Request
	tickets []uint64                // of those who wait for what is pending
	failure error                   // why the last commit has failed; nil: it has not
	wear    Wear
}

// Wear is what the flash has taken of what devices and applications send, in
// bytes. Joins, changes by people and snapshots are in neither.
type Wear struct {
	Uplinks int64 // commits of nothing but what lags
	Pushes  int64 // commits with items of downlink queues: put in, sent, acknowledged
}

// flashCounter is a store that tells what the flash has taken.
type flashCounter interface{ BytesWritten() int64 }

// bytesWritten returns what the flash has taken so far; 0 where the store does not tell.
func (k *Committer) bytesWritten() int64 {
	if c, ok := k.store.(flashCounter); ok {
		return c.BytesWritten()
	}
	return 0
}

// countWear notes what a commit has cost.
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

// worn returns what the flash has taken.
func (k *Committer) Wear() Wear {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wear
}

// Request asks for records to be stored, all or none. Lagging ones may wait
// for the commit interval; a later record with the same key replaces an earlier
// one. What cannot be written is tried again; but whoever has a Ticket other than
// 0 is told, and what he is told is not in the store does not come there later.
type Request struct {
	Records []store.Record
	Lag     bool
	Ticket  uint64
}

// committer is what a committer needs of a store.
type Store interface {
	Commit(records ...store.Record) error
}

// errNothing is the reason for not storing nothing.
var errNothing = errors.New("there is nothing to be stored")

type recordKey struct{ kind, key string }

// unwritten is a record that is to be written.
type unwritten struct {
	store.Record
	seq      uint64        // of its Request
	asked    bool          // somebody waits for it
	lags     bool          // it could wait for the commit interval
	replaced *store.Record // with asked: what it has replaced, and is tried again
}

// sequenced is a Request with its number.
type sequenced struct {
	Request
	seq uint64
}

// largeRequest is how many records the core sorts in itself.
const largeRequest = 128

func NewCommitter(s Store, interval time.Duration, done func(ticket uint64, err error), log *slog.Logger) *Committer {
	return &Committer{
		store: s, interval: interval, done: done, log: log,
		wake: make(chan struct{}, 1), pending: map[recordKey]unwritten{},
	}
}

// Add takes records. Whoever asks for none to be stored is told that they are
// not.
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

// sortInto adds the records to what is to be written, but for those that are
// older than what is there.
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

// lasting is what is tried again if the store fails, or nil.
func (u unwritten) lasting() *store.Record {
	if u.asked {
		return u.replaced
	}
	return &u.Record
}

// retryEvery is how long to wait after a failure.
const retryEvery = 5 * time.Second

// run commits until ctx ends, and then what is left.
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

// fault returns why the last commit has failed, or nil.
func (k *Committer) Fault() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// settle notes how a commit has gone.
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
