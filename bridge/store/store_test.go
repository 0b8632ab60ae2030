package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir)
	if got := s.Records("device"); len(got) != 0 {
		t.Errorf("an empty store has %v", got)
	}
	long := bytes.Repeat([]byte{7}, 100_000)
	if err := s.Commit(Record{"device", "b", 1, []byte("two")}, Record{"device", "a", 2, long}, Record{"key", "a", 1, []byte{}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(Record{"device", "b", 3, []byte("new")}, Record{Kind: "key", Key: "none"}); err != nil {
		t.Fatal(err)
	}
	if s.Written() < 200_000 {
		t.Errorf("%d bytes counted", s.Written())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	got := s.Records("device")
	if len(got) != 2 || got[0].Key != "a" || got[0].Version != 2 || !bytes.Equal(got[0].Data, long) || string(got[1].Data) != "new" || got[1].Version != 3 {
		t.Errorf("records %+v", got)
	}
	if got := s.Records("key"); len(got) != 1 || len(got[0].Data) != 0 {
		t.Errorf("keys %+v", got)
	}
	if err := s.Commit(Record{Kind: "device", Key: "a"}); err != nil || len(s.Records("device")) != 1 {
		t.Errorf("after a deletion: %v, %v", s.Records("device"), err)
	}
	for _, f := range []string{stateName, lockName} {
		if st, err := os.Stat(filepath.Join(dir, f)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", st.Mode(), err)
	}
}

func TestCommitRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for _, r := range []Record{{Kind: ""}, {Kind: string(make([]byte, 256))}, {Kind: "x", Key: string(make([]byte, 65536))}, {Kind: "x", Data: make([]byte, maxRecord)}} {
		if err := s.Commit(Record{"device", "good", 1, []byte("x")}, r); err == nil {
			t.Errorf("taken: kind of %d, key of %d, data of %d bytes", len(r.Kind), len(r.Key), len(r.Data))
		}
	}
	if got := s.Records("device"); len(got) != 0 {
		t.Errorf("half of a commit is there: %v", got)
	}
}

func TestCommitFails(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer s.Close()
	if err := s.Commit(Record{"device", "a", 1, []byte("one")}); err != nil {
		t.Fatal(err)
	}
	// A folder in the way of the new file is an error even for root.
	if err := os.MkdirAll(filepath.Join(dir, stateName+".new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(Record{"device", "a", 1, []byte("two")}, Record{"device", "b", 1, []byte("three")}); err == nil {
		t.Fatal("no error")
	}
	if got := s.Records("device"); len(got) != 1 || string(got[0].Data) != "one" {
		t.Errorf("after a failed commit: %+v", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, stateName+".new")); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(Record{"device", "a", 1, []byte("two")}); err != nil {
		t.Errorf("it does not recover: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir, Options{Ephemeral: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v, want ErrLocked", err)
	}
	s.Close()
	open(t, dir).Close()
}

func TestEphemeral(t *testing.T) {
	const shm = "/dev/shm"
	if checkFileSystem(shm, Options{}) == nil {
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
	open(t, dir).Close()
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	var recs []Record
	for i := range 20 {
		recs = append(recs, Record{"device", fmt.Sprint(i), 1, []byte(fmt.Sprint("data ", i))})
	}
	if err := s.Commit(recs...); err != nil {
		t.Fatal(err)
	}
	s.Close()
	name := filepath.Join(dir, stateName)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		if _, err := decode(b); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		check(fmt.Sprintf("cut off at %d", i), good[:i])
	}
	rnd := rand.New(rand.NewSource(1))
	for range 2000 {
		b := bytes.Clone(good)
		i := rnd.Intn(len(b))
		b[i] ^= 1 << rnd.Intn(8)
		check(fmt.Sprintf("bit flipped in byte %d", i), b)
	}
	check("too long", append(bytes.Clone(good), 0))
	if err := os.WriteFile(name, good[:50], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{Ephemeral: true}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged store: %v, want ErrCorrupt", err)
	}
	newer := bytes.Clone(good)
	newer[len(magic)]++
	if err := os.WriteFile(name, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{Ephemeral: true}); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer store: %v, want ErrFormat", err)
	}
	if b, _ := os.ReadFile(name); !bytes.Equal(b, newer) {
		t.Error("a store that was refused was changed")
	}
}

// The bytes are the same on every CPU.
func TestFormat(t *testing.T) {
	b := encode(map[id]Record{{"key", "b"}: {"key", "b", 2, []byte{1}}, {"device", "a"}: {"device", "a", 1, []byte("x")}})
	const want = "6c6f726177616e6401000000" +
		"0c000000" + "3057aec2" + "06646576696365" + "010061" + "01" + "78" +
		"09000000" + "93df81e6" + "036b6579" + "010062" + "02" + "01" +
		"ffffffff02000000"
	if got := hex.EncodeToString(b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
