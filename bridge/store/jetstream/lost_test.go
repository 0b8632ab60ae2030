package jetstream_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
)

// Whoever comes behind a snapshot, which has taken the claim away, knows that somebody leads.
func TestComesBehindASnapshot(t *testing.T) {
	o := newBucket(t)
	first := lead(t, o)
	for i := range 5 {
		commit(t, first, record("a", fmt.Sprint(i)))
	}
	if err := first.Snapshot(); err != nil {
		t.Fatal(err)
	}
	commit(t, first, record("a", "x"))
	if err := open(t, o); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a command beside the leader: %v", err)
	}
	s, leads := successor(t, o)
	if st := s.State(); st.Leader != "one" || st.Since.IsZero() {
		t.Errorf("%+v", st)
	}
	select {
	case second := <-leads:
		t.Errorf("there are two leaders; the first has a lease for %v, the second for %v", first.Left(), second.Left())
		_ = second.Close()
	case <-time.After(3 * ttl):
	}
	first.Abandon()
	second := <-leads
	if second == nil || string(second.Records("device")[0].Data) != "x" {
		t.Error("nobody takes over, or with something else")
	}
	_ = second.Close()
}

// lost are servers that lose the end of a stream, as a power cut makes them.
type lost struct {
	*testing.T
	c     *natstest.Cluster
	o     jetstream.Options
	first *jetstream.Store
	s     *jetstream.Standby
	leads <-chan *jetstream.Store
	old   string
}

// newLost returns a leader and a standby that have some commits, which the servers are going to lose.
func newLost(t *testing.T) *lost {
	t.Helper()
	c := natstest.Start(t, 1, freeAddress)
	x := &lost{T: t, c: c, o: options(c.Address(0)), old: t.TempDir()}
	x.first = lead(t, x.o)
	commit(t, x.first, record("a", "1"))
	x.s, x.leads = successor(t, x.o)
	c.Stop(0)
	if err := os.CopyFS(x.old, os.DirFS(c.Dir(0))); err != nil {
		t.Fatal(err)
	}
	c.Revive(0)
	await(t, "the server is back", func() bool { return x.first.Commit(record("a", "2")) == nil })
	for range 10 {
		commit(t, x.first, record("lost", "x"))
	}
	await(t, "the standby follows", func() bool { return x.s.State().Commits == x.first.Seen() })
	return x
}

// lose makes the servers lose them.
func (x *lost) lose(meanwhile func()) {
	x.Helper()
	x.c.Stop(0)
	if err := os.RemoveAll(x.c.Dir(0)); err != nil {
		x.Fatal(err)
	}
	if err := os.CopyFS(x.c.Dir(0), os.DirFS(x.old)); err != nil {
		x.Fatal(err)
	}
	meanwhile()
	x.c.Revive(0)
}

// A standby that knows more than the servers have left takes over, and knows that something is lost.
func TestLostEndAndLeader(t *testing.T) {
	x := newLost(t)
	x.lose(x.first.Abandon)
	select {
	case second := <-x.leads:
		if second == nil || !second.Behind() {
			t.Fatal("nobody knows that commits are lost")
		}
		_ = second.Close()
		if c, _, err := jetstream.Read(t.Context(), x.o); err != nil || !c.Behind() {
			t.Errorf("the next one does not know that commits are lost: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("nobody ever leads: %+v", x.s.State())
	}
}

// A standby notices that the stream has lost its end before it believes another leader's messages.
func TestLostEnd(t *testing.T) {
	x := newLost(t)
	x.lose(func() {})
	select {
	case <-x.first.Lost():
	case second := <-x.leads: // before the first one has noticed
		if second == nil || !second.Behind() {
			t.Error("the second one is not behind")
		}
		_ = second.Close()
		return
	case <-time.After(time.Minute):
		t.Fatal("the leader does not notice")
	}
	x.first.Abandon()
	x.o.After = x.first.Seen()
	third, err := jetstream.Open(t.Context(), x.o)
	if errors.Is(err, store.ErrLocked) { // the standby was first
		second := <-x.leads
		if second == nil || !second.Behind() {
			t.Error("the second one is not behind")
		}
		_ = second.Close()
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if !third.Behind() {
		t.Error("the next one is not behind")
	}
	for i := range 15 {
		commit(t, third, record("new", fmt.Sprint(i)))
	}
	await(t, "the standby has what the leader has", func() bool {
		st := x.s.State()
		return st.Leader == "one" && st.Commits == third.Seen() && st.Last <= third.State().Last
	})
	select {
	case <-x.leads:
		t.Error("there are two leaders")
	default:
	}
}

// Messages of others count for nothing: whoever leads goes on.
func TestStrayMessages(t *testing.T) {
	o := newBucket(t)
	first, js := lead(t, o), rawStreams(t, o)
	for i, text := range []string{
		"", "x", "hello, this is a message of somebody else", "\x01\x63 none of the kinds there are",
	} {
		if _, err := js.Publish("lorawand."+o.Bucket+".log.group", []byte(text)); err != nil {
			t.Fatal(err)
		}
		commit(t, first, record("a", fmt.Sprint(i)))
	}
	if got := content(t, o); got != "a=3" {
		t.Errorf("the bucket has %q", got)
	}
}

// A bucket that is gone, or empty, though it had something, is not begun anew by itself.
func TestGoneBucket(t *testing.T) {
	o := newBucket(t)
	o.After = 7
	if err := open(t, o); !errors.Is(err, jetstream.ErrStream) {
		t.Errorf("a stream that is gone: %v", err)
	}
	o.After = 0
	if err := open(t, o); err != nil {
		t.Fatal(err)
	}
	o.After = 7
	if err := open(t, o); !errors.Is(err, jetstream.ErrStream) {
		t.Errorf("a stream that is empty: %v", err)
	}
}

// The highest number that was seen is told to whoever keeps it.
func TestSaw(t *testing.T) {
	o := newBucket(t)
	var saw uint64
	o.Saw = func(n uint64) { saw = n }
	s := lead(t, o)
	commit(t, s, record("a", "1"))
	commit(t, s, record("a", "2"))
	if saw != 2 || s.Seen() != 2 {
		t.Errorf("told %d, has %d", saw, s.Seen())
	}
}
