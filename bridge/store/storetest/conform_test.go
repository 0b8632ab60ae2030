package storetest_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// onDisk is a store of files on a disk in memory, as wrap makes it.
func onDisk(wrap func(storetest.Store) storetest.Store) func() storetest.Subject {
	return func() storetest.Subject {
		d := storetest.NewDisk(nil)
		never := func() bool { return false }
		return storetest.Subject{
			Open: func() (storetest.Store, error) {
				s, err := store.Open("", store.Options{FS: d, Logger: quiet})
				if err != nil {
					return nil, err
				}
				return wrap(s), nil
			},
			Cut: func() { d = d.After(d.Ops(), storetest.Cut{Name: never, Data: never}) },
			Break: func(yes bool) {
				d.Fail(func(op, _ string) error {
					if yes && op == storetest.OpSync {
						return unix.EIO
					}
					return nil
				})
			},
		}
	}
}

func same(s storetest.Store) storetest.Store { return s }

func TestFilesConform(t *testing.T) { storetest.Conform(t, onDisk(same)) }

// Without a fault to put in, and on the disk of the operating system.
func TestFolderConforms(t *testing.T) {
	storetest.Conform(t, func() storetest.Subject {
		dir := t.TempDir()
		var last *store.Store
		open := func() (storetest.Store, error) {
			s, err := store.Open(dir, store.Options{Ephemeral: true, Logger: quiet})
			if err != nil {
				return nil, err
			}
			last = s
			return s, nil
		}
		// A process that ends leaves what it has written, and no lock.
		return storetest.Subject{Open: open, Cut: func() { _ = last.Close() }}
	})
}

// faulty changes one thing of a store.
type faulty struct {
	storetest.Store
	commit  func(s storetest.Store, records []store.Record) error
	records func(s storetest.Store, kind string) []store.Record
}

func (f faulty) Commit(records ...store.Record) error {
	if f.commit == nil {
		return f.Store.Commit(records...)
	}
	return f.commit(f.Store, records)
}

func (f faulty) Records(kind string) []store.Record {
	if f.records == nil {
		return f.Store.Records(kind)
	}
	return f.records(f.Store, kind)
}

// told keeps what a check says.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (*told) Helper() {}

func (r *told) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

func (r *told) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// listen returns what a check says, which may end its goroutine.
func listen(check func(*told)) *told {
	r, done := &told{}, make(chan struct{})
	go func() {
		defer close(done)
		check(r)
	}()
	<-done
	return r
}

// The check must be able to fail, for each part of the promise.
func TestConformFails(t *testing.T) {
	one := func(s storetest.Store, records []store.Record) error {
		for _, r := range records {
			if err := s.Commit(r); err != nil {
				return err
			}
		}
		return nil
	}
	for name, tt := range map[string]struct {
		store faulty
		want  string
	}{
		"commits one by one": {faulty{commit: one}, "refusals: records"},
		"the last of a key only by chance": {faulty{commit: func(s storetest.Store, records []store.Record) error {
			records = slices.Clone(records)
			slices.Reverse(records)
			return s.Commit(records...)
		}}, "order: records"},
		"never commits": {faulty{commit: func(storetest.Store, []store.Record) error { return nil }}, "records: records"},
		"empty is deleted": {faulty{commit: func(s storetest.Store, records []store.Record) error {
			records = slices.Clone(records)
			for i := range records {
				if len(records[i].Data) == 0 {
					records[i].Data = nil
				}
			}
			return s.Commit(records...)
		}}, "records: records"},
		"versions are lost": {faulty{records: func(s storetest.Store, kind string) []store.Record {
			out := slices.Clone(s.Records(kind))
			for i := range out {
				out[i].Version = 1
			}
			return out
		}}, "records: records"},
		"not sorted": {faulty{records: func(s storetest.Store, kind string) []store.Record {
			out := slices.Clone(s.Records(kind))
			slices.Reverse(out)
			return out
		}}, "records: records"},
		"answers before it has committed": {faulty{commit: func(s storetest.Store, records []store.Record) error {
			_ = s.Commit(records...)
			return nil
		}}, "a commit that fails: Commit: no error"},
	} {
		t.Run(name, func(t *testing.T) {
			r := listen(func(r *told) {
				storetest.Conform(r, onDisk(func(s storetest.Store) storetest.Store {
					f := tt.store
					f.Store = s
					return f
				}))
			})
			if !slices.ContainsFunc(r.lines, func(line string) bool { return strings.HasPrefix(line, tt.want) }) {
				t.Errorf("%q is not found: %.100q", tt.want, r.lines)
			}
		})
	}
}

// A store that loses what was committed when the power goes is found.
func TestConformFindsLoss(t *testing.T) {
	r := listen(func(r *told) {
		storetest.Conform(r, func() storetest.Subject {
			s := onDisk(same)()
			open := s.Open
			s.Open = func() (storetest.Store, error) { return open() }
			s.Cut = func() { open = onDisk(same)().Open } // another disk, which is empty
			return s
		})
	})
	if !slices.ContainsFunc(r.lines, func(line string) bool { return strings.HasPrefix(line, "opened again: records") }) {
		t.Errorf("%.100q", r.lines)
	}
}
