package jetstream

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"lorawand/bridge/store"
)

// Standby follows a bucket, which another process may lead.
type Standby struct {
	o    Options
	link *link
	id   writer

	reader   reader
	loaded   bool
	silence  int64 // since when the leader is silent for us, by monotonic
	answered int64 // since when the servers answer without a break; 0: they do not
	polls    int
	claims   uint64           // that were sent
	sent     map[uint64]int64 // when the last ones were sent

	mu    sync.Mutex
	state State
}

// State says who leads a bucket.
type State struct {
	Leader    string    `json:"leader,omitempty"` // its name; "": nobody has led yet
	Since     time.Time `json:"since"`            // since when, by the clock of the servers
	Leads     bool      `json:"leads"`            // it is this process
	Lease     float64   `json:"lease_s"`          // with Leads: how long its lease still lives; 0: it has none
	Silent    float64   `json:"silent_s"`         // without Leads: how long nothing was heard of the leader
	Last      uint64    `json:"last"`             // sequence of the last message that this process knows
	Commits   uint64    `json:"commits"`          // the number of the last commit
	Connected string    `json:"connected,omitempty"`
	Fault     string    `json:"fault,omitempty"` // what keeps this process from following or leading
	Standbys  []Other   `json:"standbys,omitempty"`
}

// Other is a process that follows the bucket.
type Other struct {
	Name    string  `json:"name"`
	Behind  uint64  `json:"behind"`    // messages that it had not read when it was heard last
	Silence float64 `json:"silence_s"` // since then
}

// StandBy connects to the servers, makes the stream if there is none, and reads it. It returns
// when that is done, or ctx ends.
func StandBy(ctx context.Context, o Options) (*Standby, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	l, err := dial(ctx, &o)
	if err != nil {
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	s := &Standby{o: o, link: l, reader: reader{link: l}, sent: map[uint64]int64{}}
	_, _ = rand.Read(s.id[:]) // never fails
	if err := s.begin(ctx); err != nil {
		l.nc.Close()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return s, nil
}

// begin reads the stream. It tries until ctx ends, but for what does not pass by itself.
func (s *Standby) begin(ctx context.Context) error {
	for {
		err := s.link.ensure(ctx, &s.o)
		if err == nil {
			err = s.reader.load(ctx)
		}
		if err == nil {
			err = s.emptied()
		}
		if err == nil || errors.Is(err, ErrStream) || errors.Is(err, ErrFormat) || errors.Is(err, store.ErrCorrupt) {
			s.loaded, s.silence = err == nil, monotonic()
			s.note(nil)
			return err
		}
		s.o.waits(err)
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(s.o.poll()):
		}
	}
}

// Lead follows until this process leads, and returns the store, or until ctx ends. The Standby is
// over then. With busy it returns store.ErrLocked as soon as it hears that another process leads.
func (s *Standby) Lead(ctx context.Context, busy bool) (*Store, error) {
	first := true
	for told := int64(0); ; {
		heard, err := s.follow(ctx)
		if mine := err == nil && s.reader.leader.writer == s.id; mine {
			return s.leads()
		}
		if busy && heard && !first && !s.reader.leader.resigned {
			l := &s.reader.leader
			return nil, s.fail(fmt.Errorf("%w: %s leads since %s", store.ErrLocked, l.Name, l.since.Format(time.DateTime)))
		}
		if errors.Is(err, store.ErrCorrupt) || errors.Is(err, ErrFormat) || busy && errors.Is(err, ErrStream) {
			return nil, s.fail(err)
		}
		s.note(err)
		if err == nil && s.due() {
			if err = s.reader.whole(ctx); err == nil && s.claim(ctx) {
				return s.leads()
			}
			s.loaded = s.loaded && !errors.Is(err, errGap)
		}
		if now := monotonic(); now-told > int64(s.o.TTL)/4 {
			s.tell()
			told = now
		}
		first = false
		select {
		case <-ctx.Done():
			return nil, s.fail(ctx.Err())
		case <-time.After(s.o.poll()):
		}
	}
}

// leads returns the store. If the servers have lost commits, it says so in the store first, so that
// whoever is next knows that too.
func (s *Standby) leads() (*Store, error) {
	st := newStore(s)
	if s.reader.number >= s.o.After {
		return st, nil
	}
	why := fmt.Sprintf("the servers have lost commits: %d is the last, it was %d", s.reader.number, s.o.After)
	if err := st.Commit(store.FellBehind(why)); err != nil {
		_ = st.Close()
		return nil, err
	}
	return st, nil
}

func (s *Standby) fail(err error) error {
	s.Close()
	return fmt.Errorf("jetstream: %w", err)
}

// Close ends a Standby that does not lead.
func (s *Standby) Close() { s.link.nc.Close() }

// follow reads what is new.
func (s *Standby) follow(ctx context.Context) (heard bool, err error) {
	if s.loaded {
		heard, err = s.reader.read(ctx)
	}
	if s.polls++; err == nil && s.loaded && !heard && s.polls%checkEvery == 0 {
		err = s.reader.whole(ctx)
	}
	if s.loaded = s.loaded && !errors.Is(err, errGap); !s.loaded {
		s.o.After = max(s.o.After, s.reader.number)
		err = s.reader.load(ctx)
		s.loaded, heard = err == nil, true
	}
	if err == nil {
		err = s.emptied()
	}
	if err != nil {
		s.answered = 0
		return heard, err
	}
	if s.reader.number >= s.o.After { // else that is told first: see leads
		s.o.saw(s.reader.number)
	}
	now := monotonic()
	if s.answered == 0 {
		s.answered = now
	}
	if heard {
		s.silence = now
	}
	return heard, nil
}

// emptied returns ErrStream if the stream has nothing of what this machine has seen in it.
func (s *Standby) emptied() error {
	if s.reader.number == 0 && s.o.After > 0 {
		return fmt.Errorf("%w: it is empty, and had %d commits", ErrStream, s.o.After)
	}
	return nil
}

// checkEvery is how many polls there are between two looks at whether the stream has lost its end.
const checkEvery = 5

// due reports whether it is time to claim the lead. The leader counts its lease from when it sent
// a message, and this process its silence from when it has read it, which is later. Where the
// servers did not answer, the leader gets a chance before: it could not renew its lease either.
func (s *Standby) due() bool {
	now, l := monotonic(), &s.reader.leader
	if r := &s.reader; r.last == 0 || l.resigned {
		return true
	}
	ttl := max(s.o.TTL, time.Duration(l.TTL)*time.Millisecond)
	return now-s.silence > int64(ttl+s.o.margin()) && now-s.answered > int64(3*s.o.beat())
}

// claim claims the lead, and reports whether this process has it. A claim whose answer is lost may
// have been stored: then it is read later.
func (s *Standby) claim(ctx context.Context) bool {
	body := jsonBody(claim{Name: s.o.Name, TTL: s.o.TTL.Milliseconds()})
	s.claims++
	s.sent[s.claims] = monotonic()
	delete(s.sent, s.claims-claimsKept)
	m := &message{kind: isClaim, writer: s.id, count: s.claims, body: body}
	seq, err := s.link.publish(ctx, m, s.reader.last)
	if err != nil {
		last, wrong := wrongLast(err)
		s.loaded = s.loaded && !(wrong && last < s.reader.last) // else it is refused for ever
		s.o.Logger.Info("the lead cannot be had yet", "reason", err)
		return false
	}
	m.seq, m.at = seq, time.Now().UTC().Format(time.RFC3339Nano)
	_ = s.reader.apply(m)
	s.reader.last = seq
	return true
}

// claimsKept is of how many claims it is known when they were sent.
const claimsKept = 16

// note notes the state for others.
func (s *Standby) note(err error) {
	r, now := &s.reader, monotonic()
	st := State{
		Leader: r.leader.Name, Since: r.leader.since, Last: r.last, Commits: r.number,
		Connected: s.link.nc.ConnectedAddr(),
		Silent:    time.Duration(now - cmp.Or(s.silence, now)).Seconds(),
	}
	if err != nil {
		st.Fault = err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
}

// State says who leads. It may be called by any goroutine.
func (s *Standby) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// following is what a standby tells the leader.
type following struct {
	Name string `json:"name"`
	Last uint64 `json:"last"`
}

// tell tells the leader how far this process has come. It is no matter if that is lost.
func (s *Standby) tell() {
	_ = s.link.nc.PublishMsg(&nats.Msg{
		Subject: subjectPrefix(s.o.Bucket) + "standby", Data: jsonBody(following{s.o.Name, s.reader.last}),
	})
}

// Read returns what a bucket holds, whoever leads it.
func Read(ctx context.Context, o Options) (*store.Content, State, error) {
	s, err := StandBy(ctx, o)
	if err != nil {
		return nil, State{}, err
	}
	defer s.Close()
	return s.reader.content, s.State(), nil
}

// Open is StandBy and Lead for a command: it returns store.ErrLocked if another process leads.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := StandBy(ctx, o)
	if err != nil {
		return nil, err
	}
	return s.Lead(ctx, true)
}

// others are the standbys that the leader has heard.
type others struct {
	mu  sync.Mutex
	all map[string]other
}

type other struct {
	last uint64
	at   int64
}

// maxOthers bounds them.
const maxOthers = 16

func (o *others) heard(m *nats.Msg) {
	var f following
	if json.Unmarshal(m.Data, &f) != nil || len(f.Name) > 255 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.all[f.Name]; !known && len(o.all) >= maxOthers {
		return
	}
	o.all[f.Name] = other{f.Last, monotonic()}
}
