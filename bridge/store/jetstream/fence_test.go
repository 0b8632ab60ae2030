package jetstream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"lorawand/bridge/store"
	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
)

func record(key, data string) store.Record {
	return store.Record{Kind: "device", Key: key, Version: 1, Data: []byte(data)}
}

// lead opens a bucket, and ends with the test.
func lead(t *testing.T, o jetstream.Options) *jetstream.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := jetstream.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// successor waits in the background for the lead.
func successor(t *testing.T, o jetstream.Options) (*jetstream.Standby, <-chan *jetstream.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	o.Name = "two"
	s, err := jetstream.StandBy(ctx, o)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	leads := make(chan *jetstream.Store, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if st, err := s.Lead(ctx, false); err == nil {
			leads <- st
		}
		close(leads)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s, leads
}

// content returns what a bucket holds, as key=data.
func content(t *testing.T, o jetstream.Options) string {
	t.Helper()
	c, _, err := jetstream.Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range c.All() {
		out = append(out, r.Key+"="+string(r.Data))
	}
	return strings.Join(out, " ")
}

func commit(t *testing.T, s *jetstream.Store, records ...store.Record) {
	t.Helper()
	if err := s.Commit(records...); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !yes(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A leader that the servers do not hear any more has no lease when the next one leads, and what it
// has sent before counts for nothing when it arrives after all.
func TestFencing(t *testing.T) {
	c := natstest.Start(t, 1, freeAddress)
	way := natstest.NewProxy(t, c.Address(0))
	o := options(way.Address())
	first := lead(t, o)
	commit(t, first, record("a", "first"))
	direct := o
	direct.Servers = []string{"nats://" + c.Address(0)}
	_, leads := successor(t, direct)

	way.Cut(true)
	if err := first.Commit(record("a", "late"), record("b", "late")); !errors.Is(err, jetstream.ErrUncertain) {
		t.Errorf("Commit without a server: %v", err)
	}
	second := <-leads
	if second == nil {
		t.Fatal("nobody takes over")
	}
	if left := first.Left(); left != 0 {
		t.Errorf("the first one still has a lease for %v", left)
	}
	if left := second.Left(); left < ttl/2 {
		t.Errorf("the second one has a lease for %v", left)
	}
	commit(t, second, record("b", "second"))
	select {
	case <-first.Lost():
		t.Error("the first one knows what it cannot know")
	default:
	}
	way.Cut(false)
	select {
	case <-first.Lost():
	case <-time.After(30 * time.Second):
		t.Fatal("the first one does not notice")
	}
	if err := first.Commit(record("a", "later")); !errors.Is(err, jetstream.ErrLost) {
		t.Errorf("Commit of the first one: %v", err)
	}
	if got := content(t, direct); got != "a=first b=second" {
		t.Errorf("the bucket has %q", got)
	}
	_ = second.Close()
}

// As long as a leader gives signs of life nobody takes its place, and its lease never ends.
func TestKeepsTheLead(t *testing.T) {
	o := newBucket(t)
	first := lead(t, o)
	s, leads := successor(t, o)
	for end := time.Now().Add(3 * ttl); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if first.Left() == 0 {
			t.Fatal("the lease has ended")
		}
	}
	select {
	case <-leads:
		t.Error("there are two leaders")
	default:
	}
	commit(t, first, record("a", "1"))
	await(t, "the standby has the commit", func() bool { return s.State().Commits == 1 })
	if st := s.State(); st.Leader != "one" || st.Leads || time.Since(st.Since).Abs() > time.Minute || st.Fault != "" {
		t.Errorf("%+v", st)
	}
	await(t, "the leader has heard the standby", func() bool {
		st := first.State()
		return len(st.Standbys) == 1 && st.Standbys[0].Name == "two" && st.Leads && st.Lease > 0
	})
}

// Who ends in good order is followed at once.
func TestResigns(t *testing.T) {
	o := newBucket(t)
	o.TTL = time.Minute
	first := lead(t, o)
	commit(t, first, record("a", "1"))
	_, leads := successor(t, o)
	_ = first.Close()
	select {
	case second := <-leads:
		if second == nil || second.Records("device")[0].Key != "a" {
			t.Fatal("nobody takes over, or without the records")
		}
		_ = second.Close()
	case <-time.After(30 * time.Second):
		t.Error("not followed")
	}
}

// Snapshots take the place of what is before them, between commits, and a standby that follows does
// not mind.
func TestSnapshots(t *testing.T) {
	o := newBucket(t)
	first := lead(t, o)
	_, leads := successor(t, o)
	big := strings.Repeat("x", 300<<10)
	for i := range 5 {
		commit(t, first, record(fmt.Sprint("big", i), big), record("a", fmt.Sprint(i)))
	}
	for round := range 3 {
		done := make(chan error)
		go func() { done <- first.Snapshot() }()
		for i := range 20 {
			commit(t, first, record("a", fmt.Sprint(round, i)), record(fmt.Sprint("n", round, i), "x"))
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		first.Thin()
	}
	commit(t, first, store.Record{Kind: "device", Key: "big0"})
	var want bytes.Buffer
	if err := first.Backup(&want); err != nil {
		t.Fatal(err)
	}
	got, _, err := jetstream.Read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	compare := func(what string, b interface{ Backup(*bytes.Buffer) error }) {
		t.Helper()
		var text bytes.Buffer
		if err := b.Backup(&text); err != nil || !bytes.Equal(text.Bytes(), want.Bytes()) {
			t.Errorf("%s has something else, %v", what, err)
		}
	}
	compare("who reads it", backing(func(b *bytes.Buffer) error { return got.Backup(b) }))
	if n := streamState(t, o).Msgs; n > 100 {
		t.Errorf("the stream has %d messages", n)
	}
	first.Abandon()
	second := <-leads
	compare("the standby", backing(func(b *bytes.Buffer) error { return second.Backup(b) }))
	_ = second.Close()
}

type backing func(*bytes.Buffer) error

func (f backing) Backup(b *bytes.Buffer) error { return f(b) }

// streamState returns how large the stream of a bucket is.
func streamState(t *testing.T, o jetstream.Options) nats.StreamState {
	t.Helper()
	info, err := rawStreams(t, o).StreamInfo(o.Bucket)
	if err != nil {
		t.Fatal(err)
	}
	return info.State
}

// rawStreams is a way to the streams beside lorawand's.
func rawStreams(t *testing.T, o jetstream.Options) nats.JetStreamContext {
	t.Helper()
	nc, err := nats.Connect(o.Servers[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Parts of commits that were given up make a snapshot due too, which deletes them, whoever has written them.
func TestSnapshotsBehindParts(t *testing.T) {
	o := newBucket(t)
	part := bytes.Repeat([]byte("x"), 200<<10)
	first := lead(t, o)
	commit(t, first, record("a", "1"))
	for range 4 {
		if err := first.GiveUp(part); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * ttl / 8) // two beats
	if n := streamState(t, o).Bytes; n < 800<<10 {
		t.Errorf("the stream has %d bytes already", n)
	}
	first.Abandon()
	second := lead(t, o)
	for range 2 {
		if err := second.GiveUp(part); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "a snapshot takes the place of the parts", func() bool { return streamState(t, o).Bytes < 100<<10 })
	if got := content(t, o); got != "a=1" {
		t.Errorf("the bucket has %q", got)
	}
}

// A restored backup takes the place of all, also for a standby that follows.
func TestRestores(t *testing.T) {
	o := newBucket(t)
	first := lead(t, o)
	_, leads := successor(t, o)
	commit(t, first, record("a", "1"), record("b", "1"))
	failed := errors.New("no")
	err := first.Restore(func(*store.Found) ([]store.Record, bool, error) { return nil, false, failed })
	if !errors.Is(err, failed) {
		t.Errorf("a merge that fails: %v", err)
	}
	err = first.Restore(func(old *store.Found) ([]store.Record, bool, error) {
		if len(old.Records("device")) != 2 || !old.Whole {
			t.Errorf("the merge is given %v", old.Records("device"))
		}
		return []store.Record{record("c", "1")}, true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, first, record("d", "1"))
	if got := content(t, o); got != "c=1 d=1" {
		t.Errorf("the bucket has %q", got)
	}
	first.Abandon()
	second := <-leads
	if r := second.Records("device"); len(r) != 2 || r[0].Key != "c" || second.Behind() {
		t.Errorf("the standby has %v", r)
	}
	_ = second.Close()
}

// Servers that have lost commits make the state one that is behind, so that counters skip ahead.
func TestLostCommits(t *testing.T) {
	o := newBucket(t)
	first := lead(t, o)
	for i := range 3 {
		commit(t, first, record("a", fmt.Sprint(i)))
	}
	seen := first.Seen()
	_ = first.Close()
	o.After = seen
	again := lead(t, o)
	if again.Behind() {
		t.Error("behind, though nothing is lost")
	}
	_ = again.Close()
	o.After = seen + 1
	if again = lead(t, o); !again.Behind() {
		t.Error("not behind, though a commit is lost")
	}
	commit(t, again, store.CaughtUp())
	if again.Behind() {
		t.Error("behind for ever")
	}
}

// What is left of a commit that was given up is never part of another one.
func TestDanglingParts(t *testing.T) {
	c := natstest.Start(t, 1, freeAddress)
	way := natstest.NewProxy(t, c.Address(0))
	o := options(way.Address())
	s := lead(t, o)
	long := strings.Repeat("y", 4<<20)
	time.AfterFunc(5*time.Millisecond, func() { way.Cut(true) })
	err := s.Commit(record("a", long), record("b", long))
	for err == nil {
		err = s.Commit(record("a", long), record("b", long))
	}
	way.Cut(false)
	await(t, "it can be written again", func() bool { return s.Commit(record("c", long[:300<<10])) == nil })
	var want bytes.Buffer
	_ = s.Backup(&want)
	got, _, err := jetstream.Read(t.Context(), o)
	var text bytes.Buffer
	if err != nil || got.Backup(&text) != nil || !bytes.Equal(text.Bytes(), want.Bytes()) {
		t.Errorf("who reads it has something else: %v", err)
	}
}

// open opens a bucket and closes it.
func open(t *testing.T, o jetstream.Options) error {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	s, err := jetstream.Open(ctx, o)
	if err == nil {
		_ = s.Close()
	}
	return err
}

// A stream that loses messages is refused.
func TestOtherStreams(t *testing.T) {
	o := newBucket(t)
	js := rawStreams(t, o)
	for name, conf := range map[string]nats.StreamConfig{
		"max age":            {MaxAge: time.Hour},
		"max messages":       {MaxMsgs: 100},
		"max per subject":    {MaxMsgsPerSubject: 1},
		"a queue":            {Retention: nats.WorkQueuePolicy},
		"never gets shorter": {DenyPurge: true},
	} {
		o.Bucket = anyBucket()
		conf.Name, conf.Subjects = o.Bucket, []string{"lorawand." + o.Bucket + ".log.*"}
		if _, err := js.AddStream(&conf); err != nil {
			t.Fatal(err)
		}
		if err := open(t, o); !errors.Is(err, jetstream.ErrStream) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A message that is none of ours, or says what cannot be, is an error and no panic.
func TestOtherMessages(t *testing.T) {
	o := newBucket(t)
	js := rawStreams(t, o)
	head := "\x01\x05" + strings.Repeat("w", 16)
	for name, m := range map[string]string{
		"a group that is cut":      head + "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05abc",
		"parts that are not there": head + "\x01\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00",
		"a gap":                    head + "\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"no claim":                 "\x01\x01" + head[2:] + "{{",
		"no end":                   "\x01\x07" + head[2:] + "{}",
		"a newer form":             "\x02\x05" + head[2:],
	} {
		o.Bucket = anyBucket()
		if err := open(t, o); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish("lorawand."+o.Bucket+".log.x", []byte(m)); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(m, "\x01\x07") {
			if _, err := js.Publish("lorawand."+o.Bucket+".log.end", []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		if err := open(t, o); err == nil || errors.Is(err, store.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
