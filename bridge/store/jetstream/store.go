// Package jetstream keeps the records of a store on a stream of NATS JetStream, so that
// another machine can go on where this one has failed. One process leads and writes; others
// stand by, follow, and one of them takes the lead when the leader is silent. README.md has the
// protocol, and says what keeps two leaders apart.
package jetstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lorawand/bridge/store"
)

var (
	// ErrLost says that another process leads now, so that this one must not write any more.
	ErrLost = errors.New("another machine leads now")
	// ErrStream says that a stream with the name of the bucket is of no use.
	ErrStream = errors.New("unusable stream")
	// ErrFormat says that the bucket was written by a newer version.
	ErrFormat = store.ErrFormat
	// ErrUncertain says that no server has answered whether something is stored.
	ErrUncertain = errors.New("the servers do not answer")
)

// Options says where a bucket is.
type Options struct {
	Servers     []string      // nats://host:port or tls://host:port
	Bucket      string        // name of the stream; default "lorawand"
	Name        string        // of this machine, for people
	Credentials string        // file with a JWT and its key; "": none
	TLS         *tls.Config   // nil: TLS only if a server asks for it
	Replicas    int           // of a stream that is made; default 3 where the servers are a cluster, else 1
	TTL         time.Duration // how long a lease lives; default 4 s, at least 100 ms
	After       uint64        // number of the last commit that this machine has seen in this bucket
	// Saw is told of the last commit that this machine knows of. It must not block. nil: nobody is.
	Saw func(number uint64)
	// Waits is told why the servers are of no use yet, each time that changes. nil: nobody is.
	Waits  func(why error)
	Logger *slog.Logger // default slog.Default()
}

// DefaultTTL is as long as it has to be for the longest frame, SF12 with 51 bytes, to end before it
// does, and as short as it can be for another machine to take over within 5 s.
const DefaultTTL = 4 * time.Second

var bucketName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (o Options) complete() (Options, error) {
	o.Bucket, o.TTL = cmp.Or(o.Bucket, "lorawand"), cmp.Or(o.TTL, DefaultTTL)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if len(o.Servers) == 0 || !bucketName.MatchString(o.Bucket) || o.TTL < 100*time.Millisecond {
		return o, fmt.Errorf("jetstream: %d servers, bucket %.80q, TTL %v", len(o.Servers), o.Bucket, o.TTL)
	}
	return o, nil
}

func (o *Options) saw(number uint64) {
	if o.Saw != nil {
		o.Saw(number)
	}
}

func (o *Options) waits(why error) {
	if o.Waits != nil && why != nil {
		o.Waits(why)
	}
}

// The times within a TTL.
func (o *Options) beat() time.Duration     { return o.TTL / 8 }  // between two signs of life of the leader
func (o *Options) poll() time.Duration     { return o.TTL / 25 } // between two questions of a standby
func (o *Options) margin() time.Duration   { return o.TTL / 20 } // that a standby waits beyond the TTL
func (o *Options) attempt() time.Duration  { return o.TTL / 4 }  // for a server to answer
func (o *Options) patience() time.Duration { return o.TTL * 3 / 8 }

// where returns the servers without passwords.
func (o *Options) where() string {
	var out []string
	for _, text := range o.Servers {
		if u, err := url.Parse(text); err == nil {
			out = append(out, u.Host)
		}
	}
	return strings.Join(out, ", ")
}

// Store is a bucket that this process leads. It may be used by several goroutines.
type Store struct {
	o    Options
	link *link
	log  *slog.Logger

	cancel context.CancelFunc
	ctx    context.Context // of the goroutines
	wg     sync.WaitGroup

	lease  atomic.Int64 // until when it lives, by monotonic
	lost   chan struct{}
	isLost atomic.Bool
	others others
	epoch  uint64 // sequence of the claim
	since  time.Time

	// writing is held while something is published, and guards the fields below. A goroutine that
	// needs both locks takes writing first.
	writing sync.Mutex
	closed  bool
	w       log
	growth  growth

	mu      sync.Mutex // guards the fields below
	content *store.Content
	number  uint64 // of the last commit
	health  error
	stats   store.Stats
}

// newStore makes the store of a Standby that leads.
func newStore(s *Standby) *Store {
	r := &s.reader
	st := &Store{
		o: s.o, link: s.link, log: s.o.Logger, lost: make(chan struct{}),
		epoch: r.leader.epoch, since: r.leader.since,
		w:       log{link: s.link, id: s.id, last: r.last, count: s.claims, debt: map[[2]string]struct{}{}},
		content: r.content, number: r.number, growth: r.grown,
		others: others{all: map[string]other{}},
	}
	// Of a claim long ago nothing is left: the first beat renews the lease.
	st.lease.Store(s.sent[r.leader.count] + int64(s.o.TTL))
	st.w.renew = func(sent int64) { st.lease.Store(max(st.lease.Load(), sent+int64(s.o.TTL))) }
	st.w.seen.Store(r.last)
	st.ctx, st.cancel = context.WithCancel(context.Background())
	st.wg.Go(st.live)
	if sub, err := s.link.nc.Subscribe(subjectPrefix(s.o.Bucket)+"standby", st.others.heard); err == nil {
		_ = sub.SetPendingLimits(maxOthers, 64<<10)
	}
	return st
}

// Left returns how long the lease still lives. Nobody else leads before; at 0 somebody may.
func (s *Store) Left() time.Duration {
	if s.isLost.Load() {
		return 0
	}
	return max(0, time.Duration(s.lease.Load()-monotonic()))
}

// Lost is closed when another process leads. The store is of no more use then.
func (s *Store) Lost() <-chan struct{} { return s.lost }

// lose notes that another process leads.
func (s *Store) lose(why error) {
	if s.isLost.CompareAndSwap(false, true) {
		s.log.Error("the lead is lost", "reason", why)
		close(s.lost)
	}
}

// Seen returns the number of the last commit, for Options.After.
func (s *Store) Seen() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number
}

// State says how it goes.
func (s *Store) State() State {
	st := State{
		Leader: s.o.Name, Since: s.since, Leads: !s.isLost.Load(), Lease: s.Left().Seconds(),
		Connected: s.link.nc.ConnectedAddr(), Commits: s.Seen(), Last: s.w.seen.Load(),
	}
	if err := s.Health(); err != nil {
		st.Fault = err.Error()
	}
	now := monotonic()
	s.others.mu.Lock()
	defer s.others.mu.Unlock()
	for name, o := range s.others.all {
		silence := time.Duration(now - o.at)
		if silence > time.Hour {
			delete(s.others.all, name)
			continue
		}
		st.Standbys = append(st.Standbys, Other{name, st.Last - min(o.last, st.Last), silence.Seconds()})
	}
	slices.SortFunc(st.Standbys, func(a, b Other) int { return cmp.Compare(a.Name, b.Name) })
	return st
}

// Records returns the records of a kind, sorted by key. The caller must not change their data.
func (s *Store) Records(kind string) []store.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Records(kind)
}

// Commit stores records, all or none, in their order. After it has returned nil, they are on most
// of the servers. When it returns an error, the store is as before; but the next leader may have
// them. It returns ErrLost when another process leads.
func (s *Store) Commit(records ...store.Record) error {
	if len(records) == 0 {
		return nil
	}
	if _, err := store.EncodeRecords(records); err != nil {
		return err
	}
	kept := slices.Clone(records)
	for i := range kept {
		kept[i].Data = slices.Clone(kept[i].Data)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.ended(s.commit(kept))
}

// ended notes how a write has ended.
func (s *Store) ended(err error) error {
	s.mu.Lock()
	s.health = err
	if err != nil {
		s.stats.LastError = err
	}
	s.mu.Unlock()
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrLost) {
		s.lose(err)
	}
	return fmt.Errorf("jetstream: %w", err)
}

// Behind reports whether the records may be older than those that were committed, as that of
// store.Store does.
func (s *Store) Behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content.Behind()
}

// Stats returns the counters of the store. Nothing of it is written to the flash of this machine.
func (s *Store) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Records, st.Behind = s.content.Len(), s.content.Behind()
	return st
}

// BytesWritten is 0: nothing is written to the flash of this machine.
func (s *Store) BytesWritten() int64 { return 0 }

// Health returns why the last write failed, or nil.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Backup is that of store.Store.
func (s *Store) Backup(w io.Writer) error {
	s.mu.Lock()
	c := store.NewContent(s.content.All()...)
	s.mu.Unlock()
	return c.Backup(w)
}

// Close resigns, so that another process can lead at once, and disconnects.
func (s *Store) Close() error {
	if s.end(true) {
		s.wg.Wait()
		s.link.nc.Close()
	}
	return nil
}

// end ends what the store does. It reports whether it had not ended before.
func (s *Store) end(resign bool) bool {
	s.cancel() // a write that waits for the servers ends
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	s.w.renew = func(int64) {} // what is acknowledged from here on gives no lease
	s.lease.Store(0)
	if resign && !s.isLost.Load() {
		if err := s.resign(); err != nil {
			s.log.Warn("the lead cannot be given up in time: another machine waits before it takes it", "reason", err)
		}
	}
	return true
}

// resign gives up the lead, and takes back before what is stored though it was told that it is not.
func (s *Store) resign() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.attempt())
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return err
	}
	if owed := s.owed(); len(owed) > 0 {
		bytes, err := store.EncodeRecords(owed)
		if err != nil {
			return err
		}
		for _, m := range messages(s.Seen()+1, bytes, nil) {
			if err := s.put(ctx, m); err != nil {
				return err
			}
		}
	}
	return s.put(ctx, &sent{kind: isResign})
}
