package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// at makes the nth operation of a kind fail, counted from 1; 0 is all of them.
func at(op, name string, n int, err error) func(op, name string) error {
	seen := 0
	return func(o, file string) error {
		if o != op || !strings.HasPrefix(file, name) {
			return nil
		}
		if seen++; n == 0 || seen == n {
			return err
		}
		return nil
	}
}

// nth makes the nth operation that changes something fail, counted from 1, and
// counts them.
func nth(n int, err error, count *int) func(op, name string) error {
	return func(op, _ string) error {
		if op == storetest.OpRead || op == storetest.OpList {
			return nil
		}
		if *count++; *count == n {
			return err
		}
		return nil
	}
}

// used is how many bytes the files take.
func used(f *storetest.Disk) int64 {
	n := int64(0)
	for _, b := range f.Files() {
		n += int64(len(b))
	}
	return n
}

// Whatever fails, the store says why, stays as it was, goes on when the fault
// is gone, and has everything when it is opened again.
func TestFaults(t *testing.T) {
	tests := []struct {
		name  string
		fault func(op, name string) error
		want  error
	}{
		{"read-only", func(op, _ string) error {
			if op == storetest.OpRead || op == storetest.OpList {
				return nil
			}
			return unix.EROFS
		}, unix.EROFS},
		{"disk full", at(storetest.OpWrite, "", 0, unix.ENOSPC), unix.ENOSPC},
		{"no journal can be made", at(storetest.OpCreate, "journal", 0, unix.ENOSPC), unix.ENOSPC},
		{"no write", at(storetest.OpWrite, "", 0, unix.EIO), unix.EIO},
		{"no sync", at(storetest.OpSync, "", 0, unix.EIO), unix.EIO},
		{"no rename", at(storetest.OpRename, "", 0, unix.EIO), unix.EIO},
		{"no sync of the folder", at(storetest.OpSyncDir, "", 0, unix.EIO), unix.EIO},
	}
	for _, begun := range []bool{false, true} {
		for _, tt := range tests {
			f := storetest.NewDisk(nil)
			s := openOn(t, f)
			if begun {
				mustCommit(t, s, rec("a", "one"))
				// What concerns new files only is met after a sync that failed.
				f.Fail(at(storetest.OpSync, "journal", 1, unix.EIO))
				if err := s.Commit(rec("a", "lost")); !errors.Is(err, unix.EIO) {
					t.Fatal(err)
				}
			}
			want := state(s)
			f.Fail(tt.fault)
			for range 3 {
				if err := s.Commit(rec("a", "two"), rec("b", "three")); !errors.Is(err, tt.want) ||
					!errors.Is(s.Health(), tt.want) || !errors.Is(s.Stats().LastError, tt.want) {
					t.Errorf("%s: commit %v, health %v, want %v", tt.name, err, s.Health(), tt.want)
				}
			}
			if state(s) != want {
				t.Errorf("%s: a commit that failed has changed the store", tt.name)
			}
			f.Fail(nil)
			if err := s.Commit(rec("b", "four")); err != nil || s.Health() != nil {
				t.Errorf("%s: it does not recover: %v, %v", tt.name, err, s.Health())
			}
			want = state(s)
			s.Close()
			s = openOn(t, f.After(f.Ops(), storetest.Cut{Name: never, Data: never}))
			if st := s.Stats(); state(s) != want || len(st.Damage) > 0 || st.Behind {
				t.Errorf("%s: after a restart %+v", tt.name, st)
			}
			if files := f.Files(); len(files) > 5 {
				t.Errorf("%s: %d files are left", tt.name, len(files))
			}
		}
	}
}

// Each operation of a trace fails once, in turn. Nothing that was answered is
// missing afterwards.
func TestEachOperationFails(t *testing.T) {
	for _, fault := range []error{unix.EIO, unix.ENOSPC} {
		for n, more := 1, true; more; n++ {
			f, count := storetest.NewDisk(nil), 0
			s := openOn(t, f)
			f.Fail(nth(n, fault, &count))
			failed := 0
			for i := range 60 {
				if s.Commit(rec(string(rune('a'+i%5)), strings.Repeat("x", i*5))) != nil {
					failed++
				}
			}
			if more = count >= n; failed > 1 {
				t.Fatalf("operation %d: %d commits failed", n, failed)
			}
			f.Fail(nil)
			mustCommit(t, s, rec("last", "x"))
			want := state(s)
			s.Close()
			s = openOn(t, f.After(f.Ops(), storetest.Cut{Name: never, Data: never}))
			if st := s.Stats(); state(s) != want || len(st.Damage) > 0 || st.Behind {
				t.Fatalf("operation %d: after a restart %+v\n%v", n, st, f)
			}
			s.Close()
		}
	}
}

// A disk that is too small for a third generation gives the oldest one up.
func TestDiskFull(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	one := func(i int) Record { return rec(string(rune('a'+i%20)), strings.Repeat("x", 300)) }
	for i := range 20 {
		mustCommit(t, s, one(i))
	}
	f.SetCapacity(40_000)
	for i := range 2000 {
		if err := s.Commit(one(i)); err != nil {
			t.Fatalf("commit %d: %v\n%+v", i, err, s.Stats())
		}
	}
	if n := s.Stats().Compactions; n < 5 {
		t.Errorf("%d snapshots", n)
	}
	// Something else fills the disk.
	f.SetCapacity(used(f) + 10)
	var err error
	for i := 0; i < 500 && err == nil; i++ {
		err = s.Commit(one(i))
	}
	if !NoSpace(err) || !NoSpace(s.Health()) {
		t.Fatalf("a full disk: %v, health %v", err, s.Health())
	}
	want := state(s)
	f.SetCapacity(0)
	mustCommit(t, s, Record{Kind: "device", Key: "none"})
	s.Close()
	if s = openOn(t, f); state(s) != want || s.Behind() {
		t.Error("not as before the disk was full")
	}
}

// What a write has half done does not stand between the commits behind it.
func TestPartialWrite(t *testing.T) {
	f := storetest.NewDisk(nil)
	s, err := Open("", Options{FS: f, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, rec("a", strings.Repeat("x", 2500)))
	f.SetCapacity(used(f) + 900)
	if err := s.Commit(rec("b", strings.Repeat("y", 950))); !NoSpace(err) {
		t.Fatalf("%v", err)
	}
	f.SetCapacity(0)
	mustCommit(t, s, rec("c", "x"))
	mustCommit(t, s, rec("d", strings.Repeat("z", 2000))) // begins a page
	want := state(s)
	s.Close()
	s = openOn(t, f)
	if st := s.Stats(); state(s) != want || len(st.Damage) > 0 {
		t.Errorf("%+v", st)
	}
}

// A compaction that fails does not fail the commits, and is tried again.
func TestCompactionFails(t *testing.T) {
	for _, fault := range []func(op, name string) error{
		at(storetest.OpCreate, "snapshot", 0, unix.ENOSPC), at(storetest.OpSync, "snapshot", 0, unix.EIO),
		at(storetest.OpCreate, "journal-00000002", 0, unix.EIO),
		at(storetest.OpRename, "snapshot", 0, unix.EIO),
	} {
		f := storetest.NewDisk(nil)
		s := openOn(t, f)
		mustCommit(t, s, rec("a", "x"))
		f.Fail(fault)
		for range 150 {
			mustCommit(t, s, rec("a", strings.Repeat("x", 100)))
		}
		st := s.Stats()
		if st.Compactions != 0 || st.LastError == nil || s.Health() != nil || st.JournalSize < 15_000 {
			t.Errorf("%+v, health %v", st, s.Health())
		}
		if n := len(f.Files()); n > 2+1+int(st.JournalSize)/3000 {
			t.Errorf("%d files for %d bytes", n, st.JournalSize)
		}
		f.Fail(nil)
		for range 50 {
			mustCommit(t, s, rec("a", strings.Repeat("x", 100)))
		}
		if st := s.Stats(); st.Compactions == 0 || st.JournalSize > 10_000 {
			t.Errorf("it is not tried again: %+v", st)
		}
		want := state(s)
		s.Close()
		if s = openOn(t, f); state(s) != want {
			t.Error("not as before")
		}
	}
}

// slowDisk holds up the making of snapshots, and then does it.
type slowDisk struct {
	*storetest.Disk
	begun, goOn chan struct{}
}

func (f slowDisk) Create(name string) (File, error) {
	if strings.HasPrefix(name, "snapshot") {
		f.begun <- struct{}{}
		<-f.goOn
	}
	return f.Disk.Create(name)
}

// Commits and questions do not wait for a snapshot. A journal that fails while
// one is written does: what comes next begins when it is done.
func TestSlowSnapshot(t *testing.T) {
	f := slowDisk{storetest.NewDisk(nil), make(chan struct{}), make(chan struct{})}
	s, err := Open("", Options{FS: f, Logger: quiet}.Early(1000))
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, rec("a", strings.Repeat("x", 2000)))
	<-f.begun
	for range 20 {
		mustCommit(t, s, rec("b", strings.Repeat("x", 100)))
	}
	if st := s.Stats(); s.Health() != nil || len(s.Records("device")) != 2 || st.Compactions != 0 || st.Generation != 2 {
		t.Errorf("%+v", st)
	}
	f.Fail(at(storetest.OpSync, "journal", 1, unix.EIO))
	if err := s.Commit(rec("c", "x")); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Commit(rec("d", "x")) }()
	select {
	case <-f.begun:
		t.Fatal("two snapshots at a time")
	case <-time.After(20 * time.Millisecond):
	}
	f.goOn <- struct{}{}
	<-f.begun
	f.goOn <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Compactions != 2 || st.JournalSize <= 0 || st.JournalSize > 300 {
		t.Errorf("%+v", st)
	}
	want := state(s)
	s.Close()
	if s = openOn(t, f.Disk.After(f.Ops(), storetest.Cut{Name: never, Data: never})); state(s) != want || s.Behind() {
		t.Errorf("opened again: %+v", s.Stats())
	}
}

// A store that can only be read is opened, and written when that is possible.
func TestOpenReadOnly(t *testing.T) {
	for name, files := range map[string]map[string][]byte{"format 1": format1Files(t), "format 2": format2Files(t), "damaged": damagedFiles(t)} {
		f := storetest.NewDisk(files)
		f.SetReadOnly(true)
		s, err := Open("", Options{FS: f, Logger: quiet})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Records("device")) == 0 {
			t.Errorf("%s: no records", name)
		}
		if (name == "format 2") != (s.Health() == nil) {
			t.Errorf("%s: health %v", name, s.Health())
		}
		if err := s.Commit(rec("x", "y")); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s: commit %v", name, err)
		}
		f.SetReadOnly(false)
		mustCommit(t, s, rec("x", "y"))
		want := state(s)
		s.Close()
		s = openOn(t, f)
		if state(s) != want || s.Behind() {
			t.Errorf("%s: not as before", name)
		}
	}
}

// A folder cannot be opened for reasons that the owner has to see.
func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "store"), Options{Ephemeral: true}); !errors.Is(err, unix.ENOTDIR) ||
		!strings.Contains(err.Error(), file) {
		t.Errorf("below a file: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{Ephemeral: true}); !errors.Is(err, unix.EISDIR) {
		t.Errorf("the mark is a folder: %v", err)
	}
	for _, op := range []string{storetest.OpList, storetest.OpRead} {
		f := storetest.NewDisk(format2Files(t))
		f.Fail(at(op, "", 0, unix.EACCES))
		if _, err := Open("", Options{FS: f, Logger: quiet}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", op, err)
		}
		f.Fail(nil)
		openOn(t, f).Close() // the lock is free
	}
}

// The log has what nobody else would tell.
func TestLog(t *testing.T) {
	var b bytes.Buffer
	f := storetest.NewDisk(damagedFiles(t))
	s, err := Open("", Options{FS: f, Logger: slog.New(slog.NewTextHandler(&b, nil))}.Inline().Early(3000))
	if err != nil {
		t.Fatal(err)
	}
	f.Fail(at(storetest.OpCreate, "snapshot", 0, unix.EIO))
	for range 100 {
		mustCommit(t, s, rec("a", strings.Repeat("x", 100)))
	}
	for _, want := range []string{
		"level=ERROR", "the store is damaged", "snapshot-00000003: damaged", "level=WARN",
		"cannot compact", "input/output error",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
}
