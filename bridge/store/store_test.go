package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// openAt opens a store on the disk of the operating system.
func openAt(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Ephemeral: true, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openOn opens a store on a fake disk. It compacts early, and in the order of
// the commits.
func openOn(t *testing.T, f *storetest.Disk) *Store {
	t.Helper()
	s, err := Open("", Options{FS: f, Logger: quiet}.Early(3000).Inline())
	if err != nil {
		t.Fatalf("%v\n%v", err, f)
	}
	return s
}

// state is all that a store holds, as text that can be compared.
func state(s *Store) string { return text(s.All()) }

func text(records map[ID]Record) string { return string(AppendRecords(nil, Sorted(records))) }

func mustCommit(t *testing.T, s *Store, records ...Record) {
	t.Helper()
	if err := s.Commit(records...); err != nil {
		t.Fatal(err)
	}
}

func rec(key, data string) Record { return Record{"device", key, 1, []byte(data)} }

func TestCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openAt(t, dir)
	if got := s.Records("device"); len(got) != 0 {
		t.Errorf("an empty store has %v", got)
	}
	long := bytes.Repeat([]byte{7}, 100_000)
	mustCommit(t, s, Record{"device", "b", 1, []byte("two")}, Record{"device", "a", 2, long},
		Record{"key", "a", 1, []byte{}})
	mustCommit(t, s, Record{"device", "b", 3, []byte("new")}, Record{Kind: "key", Key: "none"})
	mustCommit(t, s)
	if s.Written() < 100_000 || s.BytesWritten() < s.Written() || s.BytesWritten()%PageSize != 0 {
		t.Errorf("%d bytes counted, %d in pages", s.Written(), s.BytesWritten())
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(rec("a", "x")); !errors.Is(err, ErrClosed) {
		t.Errorf("a commit to a closed store: %v", err)
	}
	s = openAt(t, dir)
	defer s.Close()
	got := s.Records("device")
	if len(got) != 2 || got[0].Key != "a" || got[0].Version != 2 || !bytes.Equal(got[0].Data, long) ||
		string(got[1].Data) != "new" || got[1].Version != 3 {
		t.Errorf("records %+v", got)
	}
	if got := s.Records("key"); len(got) != 1 || got[0].Data == nil || len(got[0].Data) != 0 {
		t.Errorf("keys %+v", got)
	}
	if err := s.Commit(Record{Kind: "device", Key: "a"}); err != nil || len(s.Records("device")) != 1 {
		t.Errorf("after a deletion: %v, %v", s.Records("device"), err)
	}
	if st := s.Stats(); st.Records != 2 || st.Commits != 1 || st.Generation != 1 || st.JournalSize < 100_000 ||
		st.Behind || st.LastError != nil {
		t.Errorf("%+v", st)
	}
	for _, f := range []string{MarkName, LockName, JournalName(1)} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st, err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", st, err)
	}
}

// What the caller does with its bytes afterwards is no matter.
func TestCommitCopies(t *testing.T) {
	s := openOn(t, storetest.NewDisk(nil))
	data := []byte("one")
	mustCommit(t, s, Record{"device", "a", 1, data})
	data[0] = 'X'
	if got := s.Records("device"); string(got[0].Data) != "one" {
		t.Errorf("%s", got[0].Data)
	}
}

func TestCommitRefuses(t *testing.T) {
	s := openOn(t, storetest.NewDisk(nil))
	huge, data := make([]Record, 9), make([]byte, MaxData)
	for i := range huge {
		huge[i] = Record{"x", fmt.Sprint(i), 1, data}
	}
	for _, tt := range []struct {
		name string
		bad  []Record
	}{
		{"no kind", []Record{{Kind: ""}}},
		{"long kind", []Record{{Kind: strings.Repeat("x", 256)}}},
		{"long key", []Record{{Kind: "x", Key: strings.Repeat("x", 65536)}}},
		{"kind is no text", []Record{{Kind: "\xff"}}},
		{"key is no text", []Record{{Kind: "x", Key: "\xff"}}},
		{"much data", []Record{{Kind: "x", Data: make([]byte, MaxData+1)}}},
		{"much in all", huge},
	} {
		if err := s.Commit(append([]Record{rec("good", "x")}, tt.bad...)...); err == nil {
			t.Errorf("%s: taken", tt.name)
		}
	}
	if got := s.Records("device"); len(got) != 0 {
		t.Errorf("half of a commit is there: %v", got)
	}
	if err := s.Health(); err != nil {
		t.Errorf("what callers do wrong is no fault of the disk: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, dir)
	if _, err := Open(dir, Options{Ephemeral: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v, want ErrLocked", err)
	}
	if err := restoreText(dir, sealed(0, head), Options{Ephemeral: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("restored while it is open: %v, want ErrLocked", err)
	}
	s.Close()
	openAt(t, dir).Close()
}

func TestEphemeral(t *testing.T) {
	const shm = "/dev/shm"
	if CheckFileSystem(shm) == nil {
		t.Skip("no tmpfs at " + shm)
	}
	dir, err := os.MkdirTemp(shm, "lorawand-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrEphemeral) {
		t.Errorf("%v, want ErrEphemeral", err)
	}
	openAt(t, dir).Close()
}

// Commits from several goroutines go on while snapshots are written, backups
// are made and the store is asked how it is.
func TestConcurrent(t *testing.T) {
	const workers, commits = 4, 60
	dir := t.TempDir()
	open := func() *Store {
		s, err := Open(dir, Options{Ephemeral: true, Logger: quiet}.Early(2000))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range commits {
				if err := s.Commit(rec(fmt.Sprint("w", w), fmt.Sprint(i)),
					rec(fmt.Sprint("w", w, "-", i), strings.Repeat("x", 20))); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					_, _ = s.Stats(), s.Health()
					if err := s.Backup(&bytes.Buffer{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	s.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Compactions == 0 || st.Commits != workers*commits {
		t.Errorf("%+v", st)
	}
	want := state(s)
	s = open()
	defer s.Close()
	if got := state(s); got != want {
		t.Errorf("%d bytes of state, %d before", len(got), len(want))
	}
}

// The folder holds two generations and nothing unfinished.
func TestGenerations(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	for i := range 400 {
		mustCommit(t, s, rec(fmt.Sprint(i%7), strings.Repeat("x", 40)))
		if i%97 == 0 {
			s.Close()
			s = openOn(t, f)
		}
	}
	var names []string
	for name := range f.Files() {
		names = append(names, name)
	}
	st := s.Stats()
	if len(names) != 5 || st.Generation < 5 || st.SnapshotSize < 7*40 || st.JournalSize > 4*PageSize {
		t.Errorf("files %v, %+v", names, st)
	}
	for g := st.Generation - 1; g <= st.Generation; g++ {
		if f.Files()[SnapshotName(g)] == nil || f.Files()[JournalName(g)] == nil {
			t.Errorf("generation %d is not in %v", g, names)
		}
	}
}

// A store that is closed does not wait for a snapshot to be written.
func TestCloseStopsCompaction(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	var records []Record
	for i := range 40 {
		records = append(records, rec(fmt.Sprint(i), strings.Repeat("x", PartSize/2)))
	}
	f.Fail(func(op, name string) error {
		if op == storetest.OpWrite && strings.HasPrefix(name, "snapshot") {
			s.Interrupt()
		}
		return nil
	})
	mustCommit(t, s, records...)
	if st := s.Stats(); st.Compactions != 0 || st.LastError != nil || f.Files()[SnapshotName(2)+EndingNew] != nil {
		t.Errorf("%+v", st)
	}
	want := state(s)
	s.Close()
	f.Fail(nil)
	if got := state(openOn(t, f)); got != want {
		t.Error("the state is not as before")
	}
}
