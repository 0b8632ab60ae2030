package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

func record(key, data string) store.Record {
	r := store.Record{Kind: "k", Key: key, Version: 1}
	if data != "" {
		r.Data = []byte(data)
	}
	return r
}

// What somebody waits for is in the store when he is told so, and never if he is
// told that it is not; all else is written when the store works again.
func TestKeeper(t *testing.T) {
	lag := func(r ...store.Record) Request { return Request{Records: r, Lag: true} }
	soon := func(r ...store.Record) Request { return Request{Records: r} }
	asks := func(r ...store.Record) Request { return Request{Records: r, Ticket: 7} }
	tests := []struct {
		name         string
		before, then []Request // then: while the store is at its first attempt
		want         string
	}{
		{"asked for", []Request{asks(record("a", "1"))}, nil, ""},
		{"not asked for", []Request{soon(record("a", "1")), lag(record("b", "1"))}, nil, "k/a=1 k/b=1"},
		{
			"asked for over what lags",
			[]Request{lag(record("a", "1")), asks(record("a", "2"), record("b", "2"))},
			nil,
			"k/a=1",
		},
		{
			"asked for twice over what lags",
			[]Request{lag(record("a", "1")), asks(record("a", "2")), asks(record("a", "3"))},
			nil, "k/a=1",
		},
		{"newer than what was asked for", []Request{asks(record("a", "1")), soon(record("a", "2"))}, nil, "k/a=2"},
		{"a deletion that was asked for", []Request{soon(record("a", "1")), asks(record("a", ""))}, nil, "k/a=1"},
		{
			"newer than what has failed",
			[]Request{lag(record("a", "1")), asks(record("b", "1"))},
			[]Request{lag(record("a", "2"))},
			"k/a=2",
		},
		{"many over one that clients are being told of", []Request{
			{Records: []store.Record{record("a", "1")}, Told: true},
			soon(manyAnd(record("a", "2"))...),
		}, nil, "k/a=2"},
		{"asked for over what is failing", []Request{soon(record("a", "1"))}, []Request{asks(record("a", "2"))}, "k/a=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				checkKept(t, tt.before, tt.then, tt.want)
			})
		})
	}
}

// checkKept adds requests before the first attempt and during it, both of which
// fail, and compares the store with what it must hold once it works again.
func checkKept(t *testing.T, before, then []Request, want string) {
	t.Helper()
	st := &storetest.Commits{Block: make(chan struct{})}
	st.Fail(errDisk)
	type kept struct {
		ticket uint64
		err    error
	}
	var told []kept
	k := NewCommitter(st, time.Second, func(ticket uint64, err error) { told = append(told, kept{ticket, err}) },
		slog.New(slog.DiscardHandler))
	asked := 0
	keep := func(es []Request) {
		for _, e := range es {
			k.Add(e)
			if e.Ticket != 0 {
				asked++
			}
		}
	}
	keep(before)
	done := make(chan struct{})
	go func() { k.commit(); close(done) }()
	synctest.Wait()
	keep(then)
	close(st.Block)
	<-done
	k.commit() // fails too
	if len(told) != asked {
		t.Errorf("%d were told, %d have asked", len(told), asked)
	}
	for _, a := range told {
		if a.err == nil || a.ticket != 7 {
			t.Errorf("told %+v", a)
		}
	}
	st.Fail(nil)
	k.commit()
	if got := st.State(); got != want {
		t.Errorf("the store has %q, want %q", got, want)
	}
	if len(k.pending) != 0 {
		t.Errorf("%d are left", len(k.pending))
	}
}

// A store that fails while clients go on to push does not make the committer grow.
func TestKeeperIsBounded(t *testing.T) {
	k := NewCommitter(failing(errDisk), time.Second, func(uint64, error) {}, slog.New(slog.DiscardHandler))
	for i := range 10_000 {
		k.Add(Request{Records: []store.Record{record(fmt.Sprint(i), "x")}, Ticket: 1})
		k.commit()
	}
	if len(k.pending) != 0 {
		t.Errorf("%d records are kept", len(k.pending))
	}
}

// What a commit costs is the uplinks' only where nothing else is in it.
func TestWear(t *testing.T) {
	st := &flashStore{}
	k := NewCommitter(st, time.Second, func(uint64, error) {}, slog.New(slog.DiscardHandler))
	counters, item := record("counters", "x"), store.Record{Kind: KindDownlink, Key: "item", Version: 1}
	for _, tt := range []struct {
		name  string
		keeps []Request
		want  Wear
	}{
		{"an uplink", []Request{{Records: []store.Record{counters}, Lag: true}}, Wear{Uplinks: 4096}},
		{"a push", []Request{{Records: []store.Record{item}, Ticket: 1}}, Wear{4096, 4096}},
		{"what was pushed is sent, with an uplink", []Request{
			{Records: []store.Record{counters}, Lag: true},
			{Records: []store.Record{item}},
		}, Wear{4096, 8192}},
		{"a join", []Request{{Records: []store.Record{record("device", "x")}, Ticket: 2}}, Wear{4096, 8192}},
		{"nothing", nil, Wear{4096, 8192}},
	} {
		for _, e := range tt.keeps {
			k.Add(e)
		}
		if k.commit(); k.Wear() != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, k.Wear(), tt.want)
		}
	}
}

// flashStore takes a page for each commit.
type flashStore struct {
	storetest.Commits
	bytes int64
}

func (f *flashStore) Commit(records ...store.Record) error {
	f.bytes += 4096
	return f.Commits.Commit(records...)
}

func (f *flashStore) BytesWritten() int64 { return f.bytes }

// Many records at once are sorted in by the committer, as if they had come one by
// one.
func TestKeeperSortsIn(t *testing.T) {
	st := &storetest.Commits{}
	k := NewCommitter(st, time.Hour, func(uint64, error) {}, nil)
	k.Add(Request{Records: []store.Record{record("key-000", "before"), record("other", "before")}, Lag: true})
	var many []store.Record
	for i := range largeRequest + 1 {
		many = append(many, record(fmt.Sprintf("key-%03d", i), "many"))
	}
	k.Add(Request{Records: many, Ticket: 1})
	k.Add(Request{Records: []store.Record{record("key-001", "after")}, Lag: true})
	k.commit()
	got := " " + st.State() + " "
	for _, want := range []string{" k/key-000=many ", " k/key-001=after ", " k/key-002=many ", " k/other=before "} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	if commits, records := st.Count(); commits != 1 || records != largeRequest+2 {
		t.Errorf("%d commits, %d records", commits, records)
	}
}

var errDisk = errors.New("the disk is full")

// failing is a store that fails.
func failing(err error) *storetest.Commits {
	c := &storetest.Commits{}
	c.Fail(err)
	return c
}

// Who asks for nothing to be stored is told that it is not.
func TestNothingIsNotStored(t *testing.T) {
	var got error
	NewCommitter(&storetest.Commits{}, 0, func(_ uint64, err error) { got = err }, nil).Add(Request{Ticket: 1})
	if got == nil {
		t.Error("told that it is stored")
	}
}

// What may lag is written when it has lagged for the interval, with all that came meanwhile; what is
// committed before takes it along, and the next interval begins with the next record.
func TestLagsForAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, began := &storetest.Commits{}, time.Now()
		k := NewCommitter(st, 15*time.Second, func(uint64, error) {}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		at := func(s int, r Request) { time.Sleep(time.Until(began.Add(time.Duration(s) * time.Second))); k.Add(r) }
		note := func(s, commits int) {
			t.Helper()
			time.Sleep(time.Until(began.Add(time.Duration(s)*time.Second - time.Millisecond)))
			before, _ := st.Count()
			time.Sleep(2 * time.Millisecond)
			after, _ := st.Count()
			if after-before != 1 || after != commits {
				t.Errorf("%d s: %d and then %d commits, want the last to be number %d", s, before, after, commits)
			}
		}
		at(7, Request{Records: []store.Record{record("a", "1")}, Lag: true})
		at(21, Request{Records: []store.Record{record("b", "1")}, Lag: true})
		note(22, 1)
		at(30, Request{Records: []store.Record{record("a", "2")}, Lag: true})
		at(40, Request{Records: []store.Record{record("c", "1")}})
		at(41, Request{Records: []store.Record{record("b", "2")}, Lag: true})
		note(56, 3) // 2 was at 40 s
		time.Sleep(time.Minute)
		st.Fail(errDisk)
		at(120, Request{Records: []store.Record{record("a", "3")}, Lag: true})
		at(136, Request{Records: []store.Record{record("b", "3")}, Lag: true})
		time.Sleep(time.Second)
		st.Fail(nil)
		note(150, 4) // tried at 135 s
		cancel()
		<-done
		if got := st.State(); got != "k/a=3 k/b=3 k/c=1" {
			t.Errorf("the store has %q", got)
		}
	})
}

// manyAnd returns a record among so many deletions that a request has too many for the core.
func manyAnd(r store.Record) []store.Record {
	out := []store.Record{r}
	for i := range largeRequest {
		out = append(out, record(fmt.Sprint("many", i), ""))
	}
	return out
}

// toldStep is a request at a time.
type toldStep struct {
	at   time.Duration
	adds Request // none: nothing is added
	want string  // in the store behind it
}

// What clients are being told of is not in the store before they can have heard it, whatever else is
// written meanwhile; what comes later for the same key goes before it.
func TestToldFirst(t *testing.T) {
	const ms = time.Millisecond
	told := func(key, data string) Request { return Request{Records: []store.Record{record(key, data)}, Told: true} }
	soon := func(key, data string) Request { return Request{Records: []store.Record{record(key, data)}} }
	asks := func(key, data string) Request { return Request{Records: []store.Record{record(key, data)}, Ticket: 1} }
	both := Request{Records: []store.Record{record("a", "1"), record("b", "1")}, Told: true}
	large := Request{Records: manyAnd(record("a", "2")), Ticket: 1}
	tests := []struct {
		name  string
		steps []toldStep
	}{
		{"alone", []toldStep{{0, told("a", "1"), ""}, {249 * ms, Request{}, ""}, {251 * ms, Request{}, "k/a=1"}}},
		{"beside others", []toldStep{
			{0, told("a", "1"), ""},
			{100 * ms, asks("b", "1"), "k/b=1"},
			{200 * ms, soon("c", "1"), "k/b=1 k/c=1"},
			{251 * ms, Request{}, "k/a=1 k/b=1 k/c=1"},
		}},
		{"each in its time", []toldStep{
			{0, told("a", "1"), ""},
			{100 * ms, told("b", "1"), ""},
			{251 * ms, Request{}, "k/a=1"},
			{351 * ms, Request{}, "k/a=1 k/b=1"},
		}},
		{"replaced by a later one", []toldStep{
			{0, told("a", "1"), ""}, {100 * ms, asks("a", "2"), "k/a=2"}, {time.Second, Request{}, "k/a=2"},
		}},
		{"replaced by a later one among many", []toldStep{
			{0, told("a", "1"), ""}, {100 * ms, large, "k/a=2"}, {time.Second, Request{}, "k/a=2"},
		}},
		{"behind a formatter", []toldStep{
			{0, Request{Records: []store.Record{record("a", "1")}, Told: true, Decoded: true}, ""},
			{100 * ms, told("b", "1"), ""},
			{1499 * ms, Request{}, ""},
			{1501 * ms, Request{}, "k/a=1 k/b=1"},
		}},
		{"together with one that is told of again", []toldStep{
			{0, both, ""},
			{100 * ms, told("b", "2"), ""},
			{200 * ms, told("b", "3"), ""},
			{449 * ms, Request{}, ""},
			{451 * ms, Request{}, "k/a=1 k/b=3"},
		}},
		{"together with one that is replaced", []toldStep{
			{0, both, ""}, {100 * ms, told("b", "2"), ""}, {200 * ms, asks("b", "3"), "k/a=1 k/b=3"},
		}},
		{"before what replaces all", []toldStep{
			{0, told("a", "1"), ""}, {100 * ms, Request{Due: true}, "k/a=1"}, {101 * ms, told("b", "1"), "k/a=1"},
		}},
		{"told of again", []toldStep{
			{0, told("a", "1"), ""}, {100 * ms, told("a", "2"), ""}, {349 * ms, Request{}, ""}, {351 * ms, Request{}, "k/a=2"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { checkTold(t, tt.steps, told("last", "1")) })
		})
	}
}

// messages are those of clients who have them late.
type messages struct {
	knownIn, toldIn time.Duration // until then the next number is not known, and until then they have not got it
	began           time.Time
}

func (m messages) Told() (next, first uint64) {
	if time.Since(m.began) >= m.knownIn {
		next = 5
	}
	if first = 4; time.Since(m.began) >= m.toldIn {
		first = 5
	}
	return next, first
}

// What clients are being told of waits for them where that takes long, but not for ever.
func TestToldLate(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name            string
		knownIn, toldIn time.Duration
		want            time.Duration // when it is stored, to 21 ms
	}{
		{"in time", 0, 0, 250 * ms},
		{"late", 0, 700 * ms, 700 * ms},
		{"not dispatched for long", 800 * ms, 0, 800 * ms},
		{"both", 600 * ms, 900 * ms, 900 * ms},
		{"never", 0, time.Hour, 1500 * ms},
		{"never dispatched", time.Hour, 0, 1500 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, began := &storetest.Commits{}, time.Now()
				k := NewCommitter(st, time.Minute, func(uint64, error) {}, slog.New(slog.DiscardHandler))
				k.Heed(messages{tt.knownIn, tt.toldIn, began})
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); k.Run(ctx) }()
				k.Add(Request{Records: []store.Record{record("a", "1"), record("b", "1")}, Told: true})
				for !strings.Contains(st.State(), "k/a=1") {
					k.Add(Request{Records: []store.Record{record("c", "1")}, Lag: true})
					time.Sleep(ms)
					synctest.Wait()
				}
				if after := time.Since(began); after < tt.want || after > tt.want+21*ms || st.State() != "k/a=1 k/b=1 k/c=1" {
					t.Errorf("after %v the store has %q, want it after %v", after, st.State(), tt.want)
				}
				if n, _ := st.Count(); n != 1 { // what may lag is not written each time that clients are asked
					t.Errorf("%d commits", n)
				}
				cancel()
				<-done
			})
		})
	}
}

// checkTold adds requests, each in its time, and a last one just before the end.
func checkTold(t *testing.T, steps []toldStep, last Request) {
	t.Helper()
	st, began := &storetest.Commits{}, time.Now()
	k := NewCommitter(st, time.Minute, func(uint64, error) {}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	for _, s := range steps {
		time.Sleep(time.Until(began.Add(s.at)))
		if s.adds.Records != nil || s.adds.Due {
			k.Add(s.adds)
		}
		synctest.Wait()
		if got := st.State(); got != s.want {
			t.Errorf("after %v the store has %q, want %q", s.at, got, s.want)
		}
	}
	k.Add(last)
	cancel()
	<-done
	if got := st.State(); !strings.HasSuffix(got, "k/last=1") {
		t.Errorf("at the end the store has %q", got)
	}
}
