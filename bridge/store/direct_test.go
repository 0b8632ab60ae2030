package store_test

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// filesOf returns what is in a folder, as a process that is killed leaves it.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = b
	}
	return files
}

// A journal in a folder of this host is written in sectors, or however the file system can: after each
// commit, whatever its size, the files hold exactly what was committed, and nothing that looks like a
// write that was interrupted. It goes on after a kill, and after a clean end.
func TestSectors(t *testing.T) {
	dir, rnd := filepath.Join(t.TempDir(), "store"), rand.New(rand.NewSource(1))
	open := func() *Store {
		t.Helper()
		s, err := Open(dir, Options{Ephemeral: true, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	for n := range 400 {
		size := rnd.Intn([]int{20, 600, 5000, 50_000}[rnd.Intn(4)])
		mustCommit(t, s, rec(fmt.Sprint(n%20), strings.Repeat("x", size)))
		s.Wait()
		killed, err := Open("", Options{FS: storetest.NewDisk(filesOf(t, dir)), Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if st := killed.Stats(); state(killed) != state(s) || st.DroppedTail != 0 || len(st.Damage) > 0 || killed.Behind() {
			t.Fatalf("commit %d of %d bytes: %+v", n, size, st)
		}
		killed.Close()
		if n == 0 && !IsDirect(s.Journal()) {
			t.Log("this file system takes no sectors: nothing is written directly")
		}
		if rnd.Intn(20) == 0 {
			s.Close()
			s = open()
		}
	}
	s.Close()
}

// Where the kernel refuses to write to a file directly, it is written as any other.
func TestSectorsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	folder, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := folder.Create(JournalName(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"abc", "def", "ghi"} {
		if _, err := f.WriteAt([]byte(text), int64(3*i)); err != nil {
			t.Fatal(err)
		}
		if i == 0 && !Refuse(f) {
			t.Skip("nothing is written directly on this file system")
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Error(err)
	}
	text := string(filesOf(t, dir)[JournalName(1)])
	if padding := strings.TrimPrefix(text, "abcdefghi"); padding != strings.Repeat("\xff", len(text)-9) {
		t.Errorf("the file has %q", text)
	}
}

// Where the kernel begins to refuse that, the padding behind the last commit stays in front of the
// next page: it is no damage.
func TestSectorsRefusedInFrontOfPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	open := func() *Store {
		t.Helper()
		s, err := Open(dir, Options{Ephemeral: true, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	mustCommit(t, s, rec("a", strings.Repeat("x", 3000)))
	if !Refuse(s.Journal()) {
		t.Skip("nothing is written directly on this file system")
	}
	mustCommit(t, s, rec("b", strings.Repeat("y", 3000))) // does not fit into the same page
	want := state(s)
	s.Close()
	journal := string(filesOf(t, dir)[JournalName(1)])
	if len(journal) < 4096 || !strings.Contains(journal[:4096], "x\xff") {
		t.Fatalf("of %d bytes no padding is in front of the second page", len(journal))
	}
	s = open()
	defer s.Close()
	if st := s.Stats(); state(s) != want || len(st.Damage) > 0 || st.DroppedTail != 0 {
		t.Errorf("%+v", st)
	}
}
