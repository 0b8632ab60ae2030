package state

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"lorawand/bridge/store"
)

// Committer writes to the store. It gathers records that may lag, keeps the latest
// for each key, and commits them together when the first has waited for an interval, or
// with others before: these it commits at once. A slow or failing disk delays nobody else: the Committer repeats
// what it could not write. A request with a Ticket, however, is written at the
// first attempt or not at all: its sender is told at once and may ask again.
type Committer struct {
	store    Store
	interval time.Duration // 0: nothing lags
	done     func(ticket uint64, err error)
	log      *slog.Logger
	clients  Clients     // nil: nobody knows what they have
	again    *time.Timer // looks whether clients have been told by now

	wake  chan struct{}
	look  chan struct{} // the same for records with Told: others are not written for these alone
	began chan struct{} // has one element when the first record has begun to wait

	mu      sync.Mutex
	waits   bool                    // a record waits since the last commit
	pending map[recordKey]unwritten // bounded by the number of devices and of their downlinks
	large   []sequenced             // requests with many records, which the goroutine of the core does not merge itself
	seq     uint64                  // number of the last Request
	told    time.Time               // until when the last one with Told waits
	holds   bool                    // one with Told waits
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
	Told    bool   // clients are being told of it: it waits for toldFirst
	Decoded bool   // with Told: messages wait for payload formatters, so it waits for toldDecoded
	Due     bool   // without Records: what waits for that is written now
	Ticket  uint64 // 0: nobody waits for the result
}

// toldFirst is how long a record is kept back whose change clients are being told of, such as the end of an
// item: after a crash in between, the store has it as it was, and they are told once more. Stored at
// once, it could be on the disk while the message still waits in the memory that is lost.
const toldFirst = 250 * time.Millisecond

// toldDecoded is the same where the message may wait behind a payload formatter: see formatter.Pool.
const toldDecoded = 1500 * time.Millisecond

// toldLate is how much longer it is kept back at most, where clients have not been told by then: because this machine
// had no time for it, or their network has lost it. A client that acknowledges nothing holds it back for no longer.
const toldLate = 1250 * time.Millisecond

// toldAgain is how often it is looked whether they have.
const toldAgain = 20 * time.Millisecond

// Clients knows what those that are connected have been told.
type Clients interface {
	// Told returns the number that the next message gets, 0 while it is not known; and the lowest number of those that
	// some client has yet to get, or to acknowledge where it does that; math.MaxUint64: there is none.
	Told() (next, first uint64)
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
	after    time.Time     // it is not written before; zero: it may be at once
	with     uint64        // those that wait together have the same number; 0: alone
	mark     uint64        // clients were told of it when they have all messages below this number; 0: not known yet
	late     time.Time     // when it is written all the same; zero: nobody has asked whether they were told
	replaced *store.Record // with asked: the older record that is tried again if this one cannot be written
}

// sequenced is a Request with its number.
type sequenced struct {
	Request
	seq   uint64
	after time.Time // see unwritten
}

// largeRequest is the number of records above which the Committer merges a request,
// and not the goroutine of the core.
const largeRequest = 128

// NewCommitter returns a Committer. It calls done with each Ticket when the records
// are stored or could not be stored. Run does the work.
func NewCommitter(s Store, interval time.Duration, done func(ticket uint64, err error), log *slog.Logger) *Committer {
	k := &Committer{
		store: s, interval: interval, done: done, log: log,
		wake: make(chan struct{}, 1), look: make(chan struct{}, 1), began: make(chan struct{}, 1),
		pending: map[recordKey]unwritten{},
	}
	k.again = time.AfterFunc(time.Hour, func() { notify(k.look) })
	k.again.Stop()
	return k
}

// Heed has records with Told wait for clients. It is called before Run.
func (k *Committer) Heed(c Clients) { k.clients = c }

// Add adds a request. A request without records is reported as not stored.
func (k *Committer) Add(e Request) {
	if len(e.Records) == 0 {
		if e.Due {
			k.mu.Lock()
			regroup(k.pending, func(u unwritten) bool { return u.with != 0 }, 0, time.Time{})
			k.mu.Unlock()
			notify(k.wake)
		}
		if e.Ticket != 0 {
			k.done(e.Ticket, errNothing)
		}
		return
	}
	tell, after := k.wake, time.Time{}
	k.mu.Lock()
	switch {
	case e.Told:
		after = k.holdUntil(e.Decoded)
		tell, k.holds = nil, true
	case e.Lag && k.interval > 0:
		tell = nil
		if !k.waits {
			k.waits, tell = true, k.began
		}
	}
	k.seq++
	if numbered := (sequenced{e, k.seq, after}); len(e.Records) > largeRequest && !e.Told {
		k.large = append(k.large, numbered)
	} else {
		numbered.sortInto(k.pending)
	}
	if e.Ticket != 0 {
		k.tickets = append(k.tickets, e.Ticket)
	}
	k.mu.Unlock()
	notify(tell)
}

// holdUntil returns until when clients are told of a change: of one after the other. The lock is held.
func (k *Committer) holdUntil(decoded bool) time.Time {
	wait := toldFirst
	if decoded {
		wait = toldDecoded
	}
	if at := time.Now().Add(wait); at.After(k.told) {
		k.told = at
	}
	time.AfterFunc(time.Until(k.told), func() { notify(k.look) })
	return k.told
}

// notify wakes who receives from a channel of one element. It does nothing with nil.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// regroup has some of the pending records wait with others.
func regroup(pending map[recordKey]unwritten, which func(unwritten) bool, with uint64, after time.Time) {
	for id, u := range pending {
		if which(u) {
			u.with, u.after, u.mark, u.late = with, after, 0, time.Time{}
			pending[id] = u
		}
	}
}

// sortInto adds the records to the pending ones, except where a later one is
// pending. What waits together with an older one goes with its successor: all or none.
func (s *sequenced) sortInto(pending map[recordKey]unwritten) {
	for _, r := range s.Records {
		id := recordKey{r.Kind, r.Key}
		u := unwritten{Record: r, seq: s.seq, asked: s.Ticket != 0, lags: s.Lag, after: s.after}
		old, ok := pending[id]
		if ok && old.seq > s.seq {
			continue
		}
		if !s.after.IsZero() {
			u.with = s.seq
		}
		if ok && old.asked {
			u.after, u.with = time.Time{}, 0 // who has asked for the older one is told with the next commit
		}
		if ok && old.with != 0 {
			regroup(pending, func(o unwritten) bool { return o.with == old.with }, u.with, u.after)
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

// retryEvery is the pause after a failure where nothing lags.
const retryEvery = 5 * time.Second

// Run commits until ctx ends, and then commits what is pending.
func (k *Committer) Run(ctx context.Context) {
	due := time.NewTimer(time.Hour)
	defer due.Stop()
	due.Stop()
	armed := false
	for {
		select {
		case <-ctx.Done():
			k.write(true)
			return
		case <-k.began:
			if !armed {
				due.Reset(k.interval)
				armed = true
			}
			continue
		case <-k.look:
			if !k.someTold() {
				continue
			}
		case <-k.wake:
		case <-due.C:
		}
		due.Stop()
		k.commit()
		if armed = k.Fault() != nil; armed {
			due.Reset(cmp.Or(k.interval, retryEvery))
		}
	}
}

// commit writes what is due.
func (k *Committer) commit() { k.write(false) }

// write writes what is due, or all.
func (k *Committer) write(all bool) {
	now := time.Now() // before they are asked: of what comes later they know nothing
	next, first := k.askClients()
	k.mu.Lock()
	batch, large, tickets := k.takeDue(all, now, next, first), k.large, k.tickets
	k.large, k.tickets, k.waits = nil, nil, false
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
	for i := range large {
		if err == nil {
			k.outdate(&large[i])
		}
	}
	for _, t := range tickets {
		k.done(t, err)
	}
}

// takeDue takes the pending records that may be written at a time, or all; for next and first see Clients. The lock
// is held.
func (k *Committer) takeDue(all bool, now time.Time, next, first uint64) map[recordKey]unwritten {
	batch := k.pending
	k.pending, k.holds = map[recordKey]unwritten{}, false
	for id, u := range batch {
		if waits := u.after.After(now); !all && (waits || !u.told(now, next, first)) {
			k.pending[id] = u
			delete(batch, id)
			if k.holds = true; !waits {
				k.again.Reset(toldAgain)
			}
		}
	}
	return batch
}

// someTold reports whether a record with Told may be written now. While one only waits for clients, it is looked again
// soon: else what may lag would be written with each look.
func (k *Committer) someTold() bool {
	now := time.Now()
	next, first := k.askClients()
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, u := range k.pending {
		switch {
		case u.with == 0 || u.after.After(now):
			continue
		case u.told(now, next, first):
			return true
		}
		k.pending[id] = u
		k.again.Reset(toldAgain)
	}
	return false
}

// askClients returns what Clients know, if a record waits for that. No lock is held: they have locks of their own.
func (k *Committer) askClients() (next, first uint64) {
	k.mu.Lock()
	asks := k.holds && k.clients != nil
	k.mu.Unlock()
	if asks {
		return k.clients.Told()
	}
	return 1, 1
}

// told reports whether clients have been told of it, or cannot be waited for any longer.
func (u *unwritten) told(now time.Time, next, first uint64) bool {
	if u.with == 0 {
		return true
	}
	if u.late.IsZero() {
		u.late = now.Add(toldLate)
	}
	if u.mark == 0 {
		u.mark = next
	}
	return u.mark != 0 && u.mark <= first || now.After(u.late)
}

// outdate drops the pending records that a large request, which was written, replaces.
func (k *Committer) outdate(by *sequenced) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pending) == 0 {
		return
	}
	for _, r := range by.Records {
		if id := (recordKey{r.Kind, r.Key}); k.pending[id].seq < by.seq {
			delete(k.pending, id)
		}
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
		case !ok, newer.seq < u.seq && !u.asked: // the other one was held back
			k.pending[id] = unwritten{Record: *lasting}
		case newer.lasting() == nil:
			newer.replaced = lasting
			k.pending[id] = newer
		}
	}
}
