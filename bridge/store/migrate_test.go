package store_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// readFiles returns the files of a folder of testdata.
func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join("testdata", dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// with returns files with another one in place; nil removes it.
func with(files map[string][]byte, name string, b []byte) map[string][]byte {
	files = maps.Clone(files)
	files[name] = b
	if b == nil {
		delete(files, name)
	}
	return files
}

// format1Files is a store that the version with format 1 has written.
func format1Files(t *testing.T) map[string][]byte { return readFiles(t, "format1") }

// format1State is what is in it.
func format1State() map[ID]Record {
	records := map[ID]Record{}
	Put(records, []Record{
		{"device", "app1/dev1", 1, []byte(`{"ID":{"Application":"app1","Device":"dev1"}}`)},
		{"device", "app1/dev2", 2, []byte{}},
		{"counters", "app1/dev1", 1, []byte{1, 1, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}},
		{"api-key", "k1", 1, []byte(`{"Name":"one"}`)},
	})
	return records
}

// checkMigrated checks a store that was of format 1.
func checkMigrated(t *testing.T, f *storetest.Disk, s *Store, want string) {
	t.Helper()
	if st := s.Stats(); state(s) != want || len(st.Damage) > 0 || st.Behind || s.Health() != nil {
		t.Errorf("%+v, health %v", st, s.Health())
	}
	files, old := f.Files(), format1Files(t)[MarkName]
	if !bytes.Equal(files[Format1Name], old) && !bytes.Equal(files[MarkName], old) {
		t.Error("the file of format 1 is not kept")
	}
}

func TestMigrate(t *testing.T) {
	f := storetest.NewDisk(format1Files(t))
	s := openOn(t, f)
	checkMigrated(t, f, s, text(format1State()))
	if s.Stats().Generation != 1 {
		t.Errorf("%+v", s.Stats())
	}
	mustCommit(t, s, rec("new", "x"))
	want := state(s)
	s.Close()
	s = openOn(t, f)
	checkMigrated(t, f, s, want)
	s.Close()
	// The older version sees a format that it does not know.
	if mark := f.Files()[MarkName]; string(mark[:12]) != "lorawand\x02\x00\x00\x00" {
		t.Errorf("mark %x", mark)
	}

	// It was put back by hand, and the older version has run.
	files := f.Files()
	files[MarkName] = files[Format1Name]
	delete(files, Format1Name)
	f = storetest.NewDisk(files)
	s = openOn(t, f)
	checkMigrated(t, f, s, text(format1State()))
	mustCommit(t, s, rec("newer", "x"))
	want = state(s)
	s.Close()
	s = openOn(t, f)
	checkMigrated(t, f, s, want)
	s.Close()

	// What was there before that does not go on with what came after it.
	files = f.Files()
	s = openOn(t, storetest.NewDisk(with(files, SnapshotName(2), flip(files[SnapshotName(2)], 60))))
	if got := s.Records("device"); !s.Behind() ||
		slices.ContainsFunc(got, func(r Record) bool { return r.Key == "newer" }) {
		t.Errorf("%v, %+v", got, s.Stats())
	}
}

// A migration that is interrupted, by the power or a fault, is done again.
func TestMigrateInterrupted(t *testing.T) {
	f := storetest.NewDisk(format1Files(t))
	s := openOn(t, f)
	migrated := f.Ops()
	mustCommit(t, s, rec("new", "x"))
	before, later := text(format1State()), state(s)
	w := newWorkload(2)
	for n := 0; n <= f.Ops(); n++ {
		for v, cut := range variants(w.rnd, 6) {
			d := f.After(n, cut)
			allowed := []string{before}
			if n > migrated {
				allowed = append(allowed, later)
			}
			if n == f.Ops() {
				allowed = allowed[1:]
			}
			s, ok := checkAfterCut(t, d, allowed...)
			if !ok {
				t.Fatalf("behind %d operations, cut %d\n%v", n, v, f)
			}
			checkMigrated(t, d, s, state(s))
			if !goesOn(t, s, d) {
				t.Fatalf("behind %d operations, cut %d\n%v", n, v, f)
			}
		}
	}
	for _, fault := range []error{unix.EIO, unix.ENOSPC} {
		for n := 1; n <= migrated; n++ {
			f, count := storetest.NewDisk(format1Files(t)), 0
			f.Fail(nth(n, fault, &count))
			s := openOn(t, f)
			if state(s) != before {
				t.Fatalf("operation %d: the state is another", n)
			}
			mustCommit(t, s, rec("new", "x"))
			s.Close()
			d := f.After(f.Ops(), storetest.Cut{Name: never, Data: never})
			checkMigrated(t, d, openOn(t, d), later)
		}
	}
}

func TestRefusedFormats(t *testing.T) {
	good, old := format2Files(t), format1Files(t)
	tests := []struct {
		name  string
		files map[string][]byte
		want  error
	}{
		{"newer mark", with(good, MarkName, newer(good[MarkName])), ErrFormat},
		{"newer snapshot", with(good, SnapshotName(3), newer(good[SnapshotName(3)])), ErrFormat},
		{"newer journal", with(good, JournalName(3), newer(good[JournalName(3)])), ErrFormat},
		{"newer mark, nothing else", map[string][]byte{MarkName: newer(good[MarkName])}, ErrFormat},
		{"format 1, cut off", map[string][]byte{MarkName: old[MarkName][:50]}, ErrCorrupt},
		{"some other file", map[string][]byte{MarkName: []byte("# logrotate")}, ErrCorrupt},
		{"an empty file", map[string][]byte{MarkName: {}}, ErrCorrupt},
	}
	for _, tt := range tests {
		f := storetest.NewDisk(tt.files)
		if _, err := Open("", Options{FS: f, Logger: quiet}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if !maps.EqualFunc(f.Files(), tt.files, bytes.Equal) || f.Ops() != 0 {
			t.Errorf("%s: what was refused was changed", tt.name)
		}
	}
}

// newer returns a file with the header of the format behind this one.
func newer(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(Magic)]++
	return append(appendCRC(b[:HeaderSize-4]), b[HeaderSize:]...)
}

func TestFormat1Damage(t *testing.T) {
	good := format1Files(t)[MarkName]
	if r, err := DecodeFormat1(good); err != nil || text(r) != text(format1State()) {
		t.Fatalf("%v, %v", r, err)
	}
	for i := range good {
		if _, err := DecodeFormat1(good[:i]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut off at %d: %v", i, err)
		}
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if _, err := DecodeFormat1(b); !errors.Is(err, ErrCorrupt) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
	if _, err := DecodeFormat1(append(bytes.Clone(good), 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("too long: %v", err)
	}
}

// On a disk of the operating system too.
func TestMigrateOnDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/format1")); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, dir)
	if state(s) != text(format1State()) {
		t.Error("the state is another")
	}
	s.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "journal-00000001 lock snapshot-00000001 state state.v1" {
		t.Errorf("files %s", got)
	}
}
