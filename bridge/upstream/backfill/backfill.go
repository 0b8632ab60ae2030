// Package backfill posts the messages of an outage to a The Things Stack that has the same
// devices: those whose frames we could not hand to it. README.md says what is promised. It
// has three parts:
//
//   - The watch (watch.go) sees what becomes of the frames, and so which messages were missed.
//   - The journal (bridge/upstream/journal) has these on the disk.
//   - The sender (send.go, api.go) posts them, one after the other.
package backfill

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// Options configures a Backfill.
type Options struct {
	Name         string   // for people
	Applications []string // whose messages are posted
	Rate         int      // requests a second
	Agent        string   // User-Agent of the requests

	URL *url.URL // of the server, such as https://eu1.cloud.thethings.network
	// Dial connects to the server, with TLS if its URL says so.
	Dial func(context.Context) (net.Conn, error)
	// Key returns the API key. It is called for each connection.
	Key func() (string, error)

	Folder  store.FS // of the journal
	Journal journal.Options
	// Commit is how long a message that was missed may wait, or a cursor lag, before it is
	// written to the journal.
	Commit time.Duration
	// Calendar tells the time, and the zero time where it is not known. It is called from Run on.
	Calendar func() time.Time
	Logger   *slog.Logger
}

// Status says how a Backfill does.
type Status struct {
	Name    string
	Since   time.Time // when Error has become what it is; Go's clock
	Error   string    // why nothing can be posted; "": nothing is known to be in the way
	Waiting int       // messages in memory of which it is known that they were missed
	Journal journal.Stats
	Fault   string // why the journal cannot be written

	Missed     uint64 // messages whose frames the server did not get
	Posted     uint64 // of these, those that it has taken
	Elsewhere  uint64 // of these, those of devices that it does not have
	Refused    uint64 // of these, those that it will never take
	Unanswered uint64 // posts without an answer, which were done once more
	Lost       uint64 // messages that had no room in memory
}

// Backfill posts messages.
type Backfill struct {
	o       Options
	log     *slog.Logger
	journal *journal.Journal
	wanted  map[string]bool

	mu     sync.Mutex
	watch  watch
	missed missed
	status Status

	toldLost time.Time // when it was told that the journal has lost messages

	watching chan struct{} // has one element when there is something to watch
	commit   chan struct{} // has one when what was missed should be written
	send     chan struct{} // has one when the journal has something
	again    chan struct{} // has one when the server answers again
}

// New opens the journal. Run does the work.
func New(o Options) (*Backfill, error) {
	b := &Backfill{
		o: o, log: cmp.Or(o.Logger, slog.Default()).With("backfill", o.Name), wanted: map[string]bool{},
		watching: make(chan struct{}, 1), commit: make(chan struct{}, 1), send: make(chan struct{}, 1),
		again: make(chan struct{}, 1),
		watch: newWatch(time.Now()),
	}
	o.Journal.Owner, o.Journal.Logger = record.Application, b.log
	j, err := journal.Open(o.Folder, o.Journal)
	if err != nil {
		return nil, fmt.Errorf("backfill %s: %w", o.Name, err)
	}
	b.journal = j
	b.status = Status{Name: o.Name, Since: time.Now(), Journal: j.Stats()}
	for _, a := range o.Applications {
		b.wanted[a] = true
	}
	return b, nil
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// Publish takes a message. It never blocks. What came by a simulation is never posted: so
// nothing goes round between servers that backfill each other.
func (b *Backfill) Publish(m v3.Message) {
	if m.IsStatus() || m.Again || !b.wanted[m.Application] || isSimulated(&m) ||
		m.Suffix != v3.Up && m.Suffix != v3.Solved {
		return
	}
	b.mu.Lock()
	more := b.watch.publish(m, time.Now())
	b.take(more)
	b.mu.Unlock()
	ring(b.watching)
}

// Handed implements forward.Watcher.
func (b *Backfill) Handed(phy []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch.handed(phy, time.Now())
}

// Sent implements forward.Watcher.
func (b *Backfill) Sent(phy []byte) {
	b.mu.Lock()
	b.watch.sent(phy)
	b.mu.Unlock()
}

// Acknowledged implements forward.Watcher.
func (b *Backfill) Acknowledged(phy []byte) {
	b.mu.Lock()
	b.watch.acknowledged(phy)
	b.mu.Unlock()
}

// Answered implements forward.Watcher.
func (b *Backfill) Answered() {
	b.mu.Lock()
	again := b.watch.answered(time.Now())
	b.mu.Unlock()
	if again {
		ring(b.again) // a pause after a try that has failed is over
	}
}

// take takes messages that were missed. mu is held.
func (b *Backfill) take(list []item) {
	if len(list) == 0 {
		return
	}
	b.status.Missed += uint64(len(list))
	full := b.missed.add(list)
	b.status.Lost += uint64(b.missed.shorten())
	// A journal that cannot be written is tried again by the clock only.
	if full && b.status.Fault == "" {
		ring(b.commit)
	}
}

// Status returns how it does.
func (b *Backfill) Status() Status {
	b.mu.Lock()
	s := b.status
	s.Waiting = len(b.missed.list)
	b.mu.Unlock()
	return s
}

// lastCommit is how long Run waits at its end for the journal.
const lastCommit = 2 * time.Second

// Run works until ctx ends. Then it writes what was missed to the journal; but for a disk that
// hangs it waits no longer than lastCommit, and leaves goroutines behind.
func (b *Backfill) Run(ctx context.Context) error {
	b.journal.Expire(b.o.Calendar())
	stored, sent := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sent)
		b.sendAll(ctx)
	}()
	go func() {
		defer close(stored)
		b.keep(ctx)
		<-sent
		b.mu.Lock()
		b.take(b.watch.end(time.Now()))
		b.mu.Unlock()
		b.fault(b.store(true))
		if err := b.journal.Close(); err != nil {
			b.log.Error("the journal is not complete", "error", err)
		}
	}()
	<-ctx.Done()
	patience := time.NewTimer(lastCommit)
	defer patience.Stop()
	select {
	case <-stored:
	case <-patience.C:
		b.log.Error("the disk does not answer: messages that were missed are lost", "messages", b.Status().Waiting)
	}
	return nil
}

// keep watches, and writes to the journal what was missed, until ctx ends. While there is
// nothing to do it sleeps.
func (b *Backfill) keep(ctx context.Context) {
	look := time.NewTimer(time.Hour)
	look.Stop()
	defer look.Stop()
	t := time.NewTicker(max(b.o.Commit, time.Second))
	defer t.Stop()
	watched := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.watching:
			if !watched {
				watched = true
				look.Reset(lookEvery)
			}
		case <-look.C:
			var wait time.Duration
			if wait, watched = b.look(); watched {
				look.Reset(wait)
			}
		case <-b.commit:
			b.fault(b.store(true))
		case <-t.C:
			err := b.store(false)
			b.journal.Expire(b.o.Calendar())
			if err == nil {
				err = b.journal.StoreCursor()
			}
			b.fault(err)
		}
	}
}

// look takes what was missed, and reports whether there is more to watch, and when.
func (b *Backfill) look() (wait time.Duration, more bool) {
	b.mu.Lock()
	now := time.Now()
	b.take(b.watch.look(now))
	wait, more = b.watch.wait(now)
	b.mu.Unlock()
	return wait, more
}

// store writes what was missed to the journal: with all, also what may still turn out not to be.
func (b *Backfill) store(all bool) error {
	b.mu.Lock()
	list, late := b.missed.begin(time.Now(), all)
	b.status.Missed -= uint64(late)
	b.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	records := make([][]byte, len(list))
	for i := range list {
		records[i] = record.Append(nil, &list[i].m)
	}
	n, err := b.journal.Append(records, b.o.Calendar())
	b.mu.Lock()
	b.missed.stored(n)
	b.status.Lost += uint64(b.missed.shorten())
	b.mu.Unlock()
	ring(b.send)
	return err
}

// fault notes why the journal cannot be written, or that it can, and what it has.
func (b *Backfill) fault(err error) {
	stats := b.journal.Stats()
	b.mu.Lock()
	if stats.Lost > b.status.Journal.Lost && time.Since(b.toldLost) >= tellAgain {
		b.toldLost = time.Now()
		b.log.Warn("the journal is full or too old: messages are lost", "lost", stats.Lost)
	}
	b.status.Journal = stats
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && b.status.Fault == "" {
		b.log.Error("the journal cannot be written; messages wait in memory", "error", err)
	}
	b.status.Fault = text
	b.mu.Unlock()
}
