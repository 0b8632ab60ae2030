package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// damagedFiles is a store whose newest snapshot is damaged: one bit is another.
func damagedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := format2Files(t)
	return with(files, SnapshotName(3), flip(files[SnapshotName(3)], len(files[SnapshotName(3)])/2))
}

// flip flips a bit.
func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x10
	return b
}

// format2States are the states after each of the commits.
func format2States() []string {
	var states []string
	records := map[ID]Record{}
	for _, c := range format2Commits() {
		Put(records, c)
		states = append(states, text(records))
	}
	return states
}

// withoutBehind is the state but for the record about Behind.
func withoutBehind(s *Store) string {
	return text(Unmarked(s.All()))
}

// What is damaged is said, and the newest state that can be had is used: the
// same one if nothing is lost, and else an older one, which Behind tells.
func TestDamage(t *testing.T) {
	good := format2Files(t)
	const newest, before = 3, 2
	snapshot, journal := SnapshotName(newest), JournalName(newest)
	middle := bytes.Index(good[journal][len(good[journal])/2:], []byte(GroupMark)) + len(good[journal])/2
	tests := []struct {
		name   string
		files  map[string][]byte
		damage string // what is said
		behind bool
	}{
		{"snapshot, a bit", with(good, snapshot, flip(good[snapshot], 100)), snapshot, false},
		{"snapshot, its header", with(good, snapshot, flip(good[snapshot], 20)), snapshot, false},
		{"snapshot, cut off", with(good, snapshot, good[snapshot][:200]), snapshot, false},
		{"snapshot, empty", with(good, snapshot, []byte{}), snapshot, false},
		{"snapshot, that of another generation", with(good, snapshot, good[SnapshotName(before)]), snapshot, false},
		{"snapshot, gone", with(good, snapshot, nil), "", false},
		{"journal, its header", with(good, journal, flip(good[journal], 20)), journal, false},
		{"journal, a commit", with(good, journal, flip(good[journal], middle+30)), journal, true},
		{
			"journal, zeros", with(good, journal,
				append(append(bytes.Clone(good[journal][:middle]), make([]byte, 400)...), good[journal][middle+400:]...)), journal,
			true,
		},
		{"journal, gone", with(good, journal, nil), "", true},
		{"journal, empty", with(good, journal, []byte{}), journal, true},
		{"journal, all zeros", with(good, journal, make([]byte, len(good[journal]))), journal, true},
		{"snapshot and journal", with(damagedFiles(t), journal, flip(good[journal], middle+30)), snapshot, true},
		{
			"snapshot and the journal before", with(damagedFiles(t), JournalName(before), flip(good[JournalName(before)], 300)),
			snapshot, true,
		},
		{"snapshot, the journal is gone", with(damagedFiles(t), journal, nil), snapshot, true},
		{"mark", with(good, MarkName, flip(good[MarkName], 30)), MarkName, false},
		{"mark, gone", with(good, MarkName, nil), "", false},
	}
	rnd := rand.New(rand.NewSource(1))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := storetest.NewDisk(tt.files)
			s := openOn(t, f)
			st := s.Stats()
			if said := strings.Join(st.Damage, "\n"); !strings.Contains(said, tt.damage) || (tt.damage == "") != (said == "") {
				t.Errorf("it says %q", said)
			}
			if s.Behind() != tt.behind || st.Behind != tt.behind {
				t.Errorf("behind: %v", s.Behind())
			}
			checkBehind(t, s)
			mended := f.Ops()
			goOnAfterDamage(t, f, s)
			checkCutWhileMending(t, f, mended, tt.behind, rnd)
		})
	}
}

// checkCutWhileMending cuts the power behind each of the first operations, and
// opens the store again.
func checkCutWhileMending(t *testing.T, f *storetest.Disk, operations int, behind bool, rnd *rand.Rand) {
	t.Helper()
	for n := 0; n <= operations; n++ {
		for v, cut := range variants(rnd, 2) {
			if s := openOn(t, f.After(n, cut)); s.Behind() != behind {
				t.Fatalf("the power is cut behind %d operations, cut %d: behind: %v\n%v", n, v, s.Behind(), f)
			}
		}
	}
}

// checkBehind checks that a store holds what was there after some commit, and
// after the last one if it is not behind.
func checkBehind(t *testing.T, s *Store) {
	t.Helper()
	states := format2States()
	switch i := slices.Index(states, withoutBehind(s)); {
	case i < 0:
		t.Error("it is the state after no commit")
	case s.Behind() && i == len(states)-1:
		t.Error("behind, but nothing is missing")
	case !s.Behind() && i != len(states)-1:
		t.Error("it is not the last state")
	}
}

// goOnAfterDamage checks that the damage is over, and that Behind remains until
// it is answered.
func goOnAfterDamage(t *testing.T, f *storetest.Disk, s *Store) {
	t.Helper()
	wasBehind := s.Behind()
	mustCommit(t, s, rec("new", "x"))
	for range 2 {
		want := state(s)
		s.Close()
		f = f.After(f.Ops(), storetest.Cut{Name: never, Data: never})
		s = openOn(t, f)
		if st := s.Stats(); state(s) != want || len(st.Damage) > 0 || st.Behind != wasBehind {
			t.Errorf("opened again: %+v", st)
		}
		mustCommit(t, s, CaughtUp(), rec("skipped", "ahead"))
		if s.Behind() {
			t.Error("still behind")
		}
		wasBehind = false
	}
}

// A commit that was refused, and whose bytes are in a journal nevertheless, does
// not come back in place of the one that followed it.
func TestRefusedCommitStaysAway(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	mustCommit(t, s, rec("a", "x"))
	f.Fail(at(storetest.OpSync, "journal", 1, unix.EIO))
	if err := s.Commit(rec("refused", "x")); !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	mustCommit(t, s, rec("b", "x"))
	want := state(s)
	s.Close()
	files := f.Files()
	if !bytes.Contains(files[JournalName(1)], []byte("refused")) {
		t.Fatal("its bytes are not in the journal")
	}
	s = openOn(t, storetest.NewDisk(with(files, SnapshotName(2), flip(files[SnapshotName(2)], 60))))
	if state(s) != want || s.Behind() || len(s.Stats().Damage) != 1 {
		t.Errorf("%v, %+v", s.Records("device"), s.Stats())
	}
}

// When nothing whole is left there is an error, and nothing is changed.
func TestNothingIsLeft(t *testing.T) {
	good := damagedFiles(t)
	f := storetest.NewDisk(with(good, SnapshotName(2), flip(good[SnapshotName(2)], 50)))
	_, err := Open("", Options{FS: f, Logger: quiet})
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), SnapshotName(3)) ||
		!strings.Contains(err.Error(), SnapshotName(2)) {
		t.Errorf("%v", err)
	}
	if f.Ops() != 0 {
		t.Errorf("it was changed: %v", f)
	}
}

// A disk that cannot read a file is damage like any other.
func TestUnreadable(t *testing.T) {
	for _, tt := range []struct {
		file   string
		behind bool
	}{{SnapshotName(3), false}, {JournalName(3), true}, {MarkName, false}} {
		f := storetest.NewDisk(format2Files(t))
		f.Fail(at(storetest.OpRead, tt.file, 0, unix.EIO))
		s := openOn(t, f)
		if st := s.Stats(); len(st.Damage) != 1 || !strings.Contains(st.Damage[0], "input/output error") ||
			st.Behind != tt.behind {
			t.Errorf("%s: %+v", tt.file, st)
		}
		goOnAfterDamage(t, f, s)
	}
}

// A damaged snapshot is kept for who wants to look at it, and only one.
func TestQuarantine(t *testing.T) {
	files := damagedFiles(t)
	f := storetest.NewDisk(with(files, SnapshotName(1)+EndingDamaged, []byte("old")))
	openOn(t, f).Close()
	got := f.Files()
	if !bytes.Equal(got[SnapshotName(3)+EndingDamaged], files[SnapshotName(3)]) ||
		got[SnapshotName(1)+EndingDamaged] != nil || got[SnapshotName(3)] != nil {
		t.Errorf("%v", f)
	}
}

// Bits, bytes and pages of the files rot. The store opens; what it has is the
// state after some commit; and only the end of the last journal can be missing
// without Behind: it looks like an interrupted write.
func TestRot(t *testing.T) {
	good, states := format2Files(t), format2States()
	last := bytes.LastIndex(good[JournalName(3)], []byte(GroupMark))
	rnd := rand.New(rand.NewSource(1))
	opened, older := 0, 0
	for i := range 1000 {
		name := []string{MarkName, SnapshotName(2), SnapshotName(3), JournalName(2), JournalName(3)}[rnd.Intn(5)]
		b, at, end := rot(rnd, good[name])
		s, err := Open("", Options{FS: storetest.NewDisk(with(good, name, b)), Logger: quiet})
		if err != nil {
			t.Fatalf("%d: %s at %d: %v", i, name, at, err)
		}
		opened++
		if s.Behind() {
			older++
		}
		if tail := name == JournalName(3) && end > last; !tail || s.Behind() {
			checkBehind(t, s)
		} else if got := state(s); got != states[len(states)-1] &&
			(!slices.Contains(states, got) || s.Stats().DroppedTail == 0) {
			t.Error("the end is damaged, and nothing is said")
		}
		if t.Failed() {
			t.Fatalf("%d: %s at %d: %+v", i, name, at, s.Stats())
		}
	}
	t.Logf("%d opened, %d of them with an older state", opened, older)
}

// rot changes bytes, and says from where on and up to where.
func rot(rnd *rand.Rand, b []byte) (rotten []byte, at, end int) {
	at = rnd.Intn(len(b))
	b = bytes.Clone(b)
	n := min(1+rnd.Intn(600), len(b)-at)
	switch rnd.Intn(3) {
	case 0:
		n = 1
		b[at] ^= 1 << rnd.Intn(8)
	case 1:
		clear(b[at : at+n])
	default:
		rnd.Read(b[at : at+n])
	}
	return b, at, at + n
}

// What is not whole at the end of a journal is dropped, and counted.
func TestTornTail(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	mustCommit(t, s, rec("a", "one"))
	want := state(s)
	end := len(f.Files()[JournalName(1)])
	mustCommit(t, s, rec("a", "two"), rec("b", strings.Repeat("x", 200)))
	s.Close()
	files := f.Files()
	for n := end + 1; n < len(files[JournalName(1)]); n++ {
		f := storetest.NewDisk(with(files, JournalName(1), files[JournalName(1)][:n]))
		s := openOn(t, f)
		if st := s.Stats(); state(s) != want || st.DroppedTail != int64(n-end) || st.JournalSize != int64(end) ||
			len(st.Damage) > 0 {
			t.Errorf("%d of %d bytes: %+v", n-end, len(files[JournalName(1)])-end, st)
		}
		mustCommit(t, s, rec("b", fmt.Sprint(n)))
		s.Close()
		if s = openOn(t, f); s.Stats().DroppedTail != 0 || s.Stats().Records != 2 || s.Stats().Generation != 0 {
			t.Errorf("it goes on as %+v", s.Stats())
		}
	}
}

// Bytes of an earlier file that a power cut has brought to the end of a journal
// are no commits.
func TestStaleTail(t *testing.T) {
	f := storetest.NewDisk(nil)
	s := openOn(t, f)
	for i := range 3 {
		mustCommit(t, s, rec("a", fmt.Sprint(i)))
	}
	want := state(s)
	s.Close()
	b := f.Files()[JournalName(1)]
	stale := b[HeaderSize : HeaderSize+(len(b)-HeaderSize)/3]
	s = openOn(t, storetest.NewDisk(with(f.Files(), JournalName(1), append(bytes.Clone(b), stale...))))
	if st := s.Stats(); state(s) != want || st.DroppedTail != int64(len(stale)) || len(st.Damage) > 0 {
		t.Errorf("%+v", st)
	}
}
