package state

import (
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
