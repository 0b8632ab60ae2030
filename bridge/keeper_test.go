package bridge

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/store"
)

// state is what the commits of a fakeStore come to: "kind/key=data".
func (f *fakeStore) state() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := map[string]string{}
	for _, c := range f.commits {
		for _, r := range c {
			if delete(m, r.Kind+"/"+r.Key); r.Data != nil {
				m[r.Kind+"/"+r.Key] = string(r.Data)
			}
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, " ")
}

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
	lag := func(r ...store.Record) Keep { return Keep{Records: r, Lag: true} }
	soon := func(r ...store.Record) Keep { return Keep{Records: r} }
	asks := func(r ...store.Record) Keep { return Keep{Records: r, Ticket: 7} }
	tests := []struct {
		name         string
		before, then []Keep // then: while the store is at its first attempt
		want         string
	}{
		{"asked for", []Keep{asks(record("a", "1"))}, nil, ""},
		{"not asked for", []Keep{soon(record("a", "1")), lag(record("b", "1"))}, nil, "k/a=1 k/b=1"},
		{"asked for over what lags", []Keep{lag(record("a", "1")), asks(record("a", "2"), record("b", "2"))}, nil, "k/a=1"},
		{"asked for twice over what lags", []Keep{lag(record("a", "1")), asks(record("a", "2")), asks(record("a", "3"))}, nil, "k/a=1"},
		{"newer than what was asked for", []Keep{asks(record("a", "1")), soon(record("a", "2"))}, nil, "k/a=2"},
		{"a deletion that was asked for", []Keep{soon(record("a", "1")), asks(record("a", ""))}, nil, "k/a=1"},
		{"newer than what has failed", []Keep{lag(record("a", "1")), asks(record("b", "1"))}, []Keep{lag(record("a", "2"))}, "k/a=2"},
		{"asked for over what is failing", []Keep{soon(record("a", "1"))}, []Keep{asks(record("a", "2"))}, "k/a=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := &fakeStore{err: errDisk, block: make(chan struct{})}
				var told []Kept
				k := newKeeper(st, time.Second, func(k Kept) { told = append(told, k) }, slog.New(slog.DiscardHandler))
				asked := 0
				keep := func(es []Keep) {
					for _, e := range es {
						k.keep(e)
						if e.Ticket != 0 {
							asked++
						}
					}
				}
				keep(tt.before)
				done := make(chan struct{})
				go func() { k.commit(); close(done) }()
				synctest.Wait()
				keep(tt.then)
				close(st.block)
				<-done
				k.commit() // fails too
				if len(told) != asked {
					t.Errorf("%d were told, %d have asked", len(told), asked)
				}
				for _, a := range told {
					if a.Err == nil || a.Ticket != 7 {
						t.Errorf("told %+v", a)
					}
				}
				st.fail(nil)
				k.commit()
				if got := st.state(); got != tt.want {
					t.Errorf("the store has %q, want %q", got, tt.want)
				}
				if len(k.pending) != 0 {
					t.Errorf("%d are left", len(k.pending))
				}
			})
		})
	}
}

// A store that fails while clients go on to push does not make the keeper grow.
func TestKeeperIsBounded(t *testing.T) {
	k := newKeeper(&fakeStore{err: errDisk}, time.Second, func(Kept) {}, slog.New(slog.DiscardHandler))
	for i := range 10_000 {
		k.keep(Keep{Records: []store.Record{record(fmt.Sprint(i), "x")}, Ticket: 1})
		k.commit()
	}
	if len(k.pending) != 0 {
		t.Errorf("%d records are kept", len(k.pending))
	}
}

// What a commit costs is the uplinks' only where nothing else is in it.
func TestWear(t *testing.T) {
	st := &flashStore{}
	k := newKeeper(st, time.Second, func(Kept) {}, slog.New(slog.DiscardHandler))
	counters, item := record("counters", "x"), store.Record{Kind: KindDownlink, Key: "item", Version: 1}
	for _, tt := range []struct {
		name  string
		keeps []Keep
		want  Wear
	}{
		{"an uplink", []Keep{{Records: []store.Record{counters}, Lag: true}}, Wear{Uplinks: 4096}},
		{"a push", []Keep{{Records: []store.Record{item}, Ticket: 1}}, Wear{4096, 4096}},
		{"what was pushed is sent, with an uplink", []Keep{{Records: []store.Record{counters}, Lag: true}, {Records: []store.Record{item}}}, Wear{4096, 8192}},
		{"a join", []Keep{{Records: []store.Record{record("device", "x")}, Ticket: 2}}, Wear{4096, 8192}},
		{"nothing", nil, Wear{4096, 8192}},
	} {
		for _, e := range tt.keeps {
			k.keep(e)
		}
		if k.commit(); k.worn() != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, k.worn(), tt.want)
		}
	}
}

// flashStore takes a page for each commit.
type flashStore struct {
	fakeStore
	bytes int64
}

func (f *flashStore) Commit(records ...store.Record) error {
	f.bytes += 4096
	return f.fakeStore.Commit(records...)
}

func (f *flashStore) BytesWritten() int64 { return f.bytes }
