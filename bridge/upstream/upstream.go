// Package upstream hands the messages of applications on to another MQTT broker, and
// takes downlinks from it. While the other broker cannot be reached it keeps messages in
// a journal on the disk; README.md says what is promised. It has three parts:
//
//   - The queue (queue.go) has the messages that are not acknowledged, in memory. Those
//     that wait for too long go to the journal (bridge/upstream/journal).
//   - The lanes (lanes.go) send: the live lane what is in the queue, the backfill lane
//     what is in the journal.
//   - The link (link.go) connects again and again, by bridge/upstream/client.
package upstream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/upstream/client"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// Options configures an Upstream.
type Options struct {
	Name         string   // for people
	Applications []string // whose messages are handed on
	Prefix       string   // of all topics there, such as "site1/"
	Rate         int      // messages a second from the journal

	// Dial connects to the other broker.
	Dial func(context.Context) (net.Conn, error)
	// Client are the login and the last will. Version 0 tries MQTT 5, and 3.1.1 where
	// the other broker has no 5. Window, Filters and functions are set by New.
	Client client.Options

	Folder  store.FS // of the journal
	Journal journal.Options
	// Commit is how long a message may wait for its PUBACK, or a cursor lag, before it
	// is written to the journal.
	Commit time.Duration

	// Push takes a downlink of an application; nil: none are subscribed to.
	Push func(ctx context.Context, application, device string, replace bool, payload []byte) error
	// Calendar tells the time, and the zero time where it is not known.
	Calendar func() time.Time
	// Changed is told when the connection comes up, or ends for a reason. It must not
	// block. nil: nobody is.
	Changed func(up bool, why string)
	Logger  *slog.Logger
}

// Status says how an Upstream does.
type Status struct {
	Name      string
	Connected bool
	Version   byte      // of MQTT, while connected
	Since     time.Time // when that has begun; Go's clock
	Error     string    // why it is not connected
	Unheard   []string  // topic filters that the other broker refuses
	Waiting   int       // messages in memory
	Journal   journal.Stats
	Fault     string // why the journal cannot be written

	Live, Backfilled uint64 // messages that are acknowledged
	Refused          uint64 // messages that the other broker will never take
	Lost             uint64 // messages that had no room in memory, while the journal could not be written
	Downlinks        uint64 // pushes that were taken
}

// Upstream hands messages on.
type Upstream struct {
	o       Options
	log     *slog.Logger
	journal *journal.Journal
	wanted  map[string]bool

	mu     sync.Mutex
	queue  queue
	status Status

	live     chan struct{} // has one element when the queue has something to send
	commit   chan struct{} // has one when the queue should be written
	backfill chan struct{} // has one when the journal has something, or a PUBACK of it has come

	acks  acks
	heard repeats
	told  time.Time // when it was told why there is no connection; for link only

	toldLost time.Time // when it was told that the journal has lost messages; for keep only
}

// window is how many messages may be on their way. The backfill lane takes at most half.
const window = 16

// New opens the journal. Run does the work.
func New(o Options) (*Upstream, error) {
	u := &Upstream{
		o: o, log: cmp.Or(o.Logger, slog.Default()).With("upstream", o.Name), wanted: map[string]bool{},
		live: make(chan struct{}, 1), commit: make(chan struct{}, 1), backfill: make(chan struct{}, 1),
	}
	o.Journal.Owner, o.Journal.Logger = record.Application, u.log
	j, err := journal.Open(o.Folder, o.Journal)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: %w", o.Name, err)
	}
	u.journal = j
	u.status = Status{Name: o.Name, Since: time.Now(), Journal: j.Stats()}
	for _, a := range o.Applications {
		u.wanted[a] = true
	}
	u.o.Client.Window = window
	if o.Push != nil {
		for _, a := range o.Applications {
			for _, suffix := range []string{v3.DownPush, v3.DownReplace} {
				u.o.Client.Filters = append(u.o.Client.Filters, o.Prefix+"v3/"+a+"/devices/+/"+suffix)
			}
		}
		u.o.Client.Received = u.received
		u.o.Client.Unheard = u.unheard
	}
	return u, nil
}

// Publish takes a message, if its application is handed on. It never blocks.
func (u *Upstream) Publish(m v3.Message) {
	if m.IsStatus() || m.Again || !u.wanted[m.Application] {
		return
	}
	u.mu.Lock()
	full := u.queue.add(m, time.Now())
	u.status.Lost += uint64(u.queue.shorten())
	store := full || !u.status.Connected && u.o.Commit == 0
	// A journal that cannot be written is tried again by the clock only.
	store = store && u.status.Fault == ""
	u.mu.Unlock()
	ring(u.live)
	if store {
		ring(u.commit)
	}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// Status returns how it does.
func (u *Upstream) Status() Status {
	u.mu.Lock()
	s := u.status
	s.Waiting = len(u.queue.items)
	u.mu.Unlock()
	return s
}

// lastCommit is how long Run waits at its end for the journal.
const lastCommit = 2 * time.Second

// Run works until ctx ends. Then it writes what is not acknowledged to the journal; but
// for a disk that hangs it waits no longer than lastCommit, and leaves goroutines behind.
func (u *Upstream) Run(ctx context.Context) error {
	stored := make(chan struct{})
	linked := make(chan struct{})
	go func() {
		defer close(linked)
		u.link(ctx)
	}()
	go func() {
		defer close(stored)
		u.keep(ctx)
		<-linked
		u.fault(u.store(true))
		if err := u.journal.Close(); err != nil {
			u.log.Error("the journal is not complete", "error", err)
		}
	}()
	<-ctx.Done()
	patience := time.NewTimer(farewell + lastCommit)
	defer patience.Stop()
	select {
	case <-stored:
	case <-patience.C:
		u.log.Error("the disk does not answer: messages that were not acknowledged are lost", "messages", u.Status().Waiting)
	}
	return nil
}

// keep writes what waits for too long to the journal, until ctx ends.
func (u *Upstream) keep(ctx context.Context) {
	t := time.NewTicker(max(u.o.Commit, time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.commit:
			u.fault(u.store(false))
		case <-t.C:
			err := u.store(false)
			u.journal.Expire(u.o.Calendar())
			if err == nil {
				err = u.journal.StoreCursor()
			}
			u.fault(err)
		}
	}
}

// store writes messages of the queue to the journal: those that wait for longer than
// Commit; all that are not on their way while there is no connection, or no room; with
// all, all.
func (u *Upstream) store(all bool) error {
	u.mu.Lock()
	items := u.queue.storing(all, !u.status.Connected, time.Now().Add(-u.o.Commit))
	u.mu.Unlock()
	if len(items) == 0 {
		return nil
	}
	records := make([][]byte, len(items))
	for i, it := range items {
		records[i] = record.Append(nil, &it.m)
	}
	n, err := u.journal.Append(records, u.o.Calendar())
	u.mu.Lock()
	u.queue.stored(items, n)
	u.status.Lost += uint64(u.queue.shorten())
	u.mu.Unlock()
	ring(u.live)
	ring(u.backfill)
	return err
}

// fault notes why the journal cannot be written, or that it can, and what it has.
func (u *Upstream) fault(err error) {
	stats := u.journal.Stats()
	u.mu.Lock()
	if stats.Lost > u.status.Journal.Lost && time.Since(u.toldLost) >= tellAgain {
		u.toldLost = time.Now()
		u.log.Warn("the journal is full or too old: messages are lost", "lost", stats.Lost)
	}
	u.status.Journal = stats
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && u.status.Fault == "" {
		u.log.Error("the journal cannot be written; messages wait in memory", "error", err)
	}
	u.status.Fault = text
	u.mu.Unlock()
}
