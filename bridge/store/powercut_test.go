package store_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

var cuts = flag.Int("store.cuts", 150, "how many random power cuts to try")

// workload makes commits like those of a network: counters that only rise,
// sessions that come and go, and now and then something large.
type workload struct {
	rnd     *rand.Rand
	counter uint32
}

func newWorkload(seed int64) *workload { return &workload{rnd: rand.New(rand.NewSource(seed))} }

func (w *workload) next() []Record {
	var records []Record
	for range 1 + w.rnd.Intn(6) {
		w.counter++
		key := fmt.Sprintf("app1/dev%d", w.rnd.Intn(8))
		records = append(records, Record{"counters", key, 1, fmt.Appendf(nil, "%018d", w.counter)})
	}
	switch w.rnd.Intn(8) {
	case 0:
		records = append(records,
			Record{"device", fmt.Sprint("app1/dev", w.rnd.Intn(8)), 1, []byte(strings.Repeat("s", 1+w.rnd.Intn(300)))})
	case 1:
		records = append(records, Record{Kind: "device", Key: fmt.Sprint("app1/dev", w.rnd.Intn(8))})
	case 2:
		large := make([]byte, 1+w.rnd.Intn(5000))
		w.rnd.Read(large)
		records = append(records, Record{"large", "x", 1, large})
	case 3, 4:
		records = append(records, Record{Kind: "large", Key: "x"})
	}
	return records
}

// after returns what a state is after a commit.
func after(records map[ID]Record, commit []Record) map[ID]Record {
	next := maps.Clone(records)
	Put(next, commit)
	return next
}

// always and never are for a Cut.
func always() bool { return true }
func never() bool  { return false }

// variants are the ways in which each power cut is tried: nothing that was not
// synced is there, or all, or only the names, or only the bytes, or anything.
func variants(rnd *rand.Rand, random int) []storetest.Cut {
	some := func() bool { return rnd.Intn(2) == 0 }
	v := []storetest.Cut{
		{Name: never, Data: never},
		{Name: always, Data: always},
		{Name: always, Data: never},
		{Name: never, Data: always},
	}
	for range random {
		v = append(v, storetest.Cut{Name: some, Data: some, Rubbish: byte(rnd.Intn(3) * 0x7f)})
	}
	return v
}

// checkAfterCut opens what a power cut has left. It has to hold one of the
// states, without anything being said to be damaged.
func checkAfterCut(t *testing.T, d *storetest.Disk, allowed ...string) (*Store, bool) {
	t.Helper()
	s, err := Open("", Options{FS: d, Logger: quiet}.Early(3000).Inline())
	if err != nil {
		t.Errorf("it does not open: %v", err)
		return nil, false
	}
	if st := s.Stats(); s.Health() != nil || len(st.Damage) > 0 || st.Behind {
		t.Errorf("a power cut is no damage: %v, %+v", s.Health(), st)
		return s, false
	}
	got := state(s)
	for _, a := range allowed {
		if got == a {
			return s, true
		}
	}
	t.Error("what was answered is not there, or half of a commit is")
	return s, false
}

// goesOn commits once more and opens the store again.
func goesOn(t *testing.T, s *Store, d *storetest.Disk) bool {
	t.Helper()
	err := s.Commit(rec("last", "x"))
	want := state(s)
	s.Close()
	if err != nil {
		t.Errorf("it does not go on: %v", err)
		return false
	}
	s, ok := checkAfterCut(t, d.After(d.Ops(), storetest.Cut{Name: never, Data: never}), want)
	return ok && s.Close() == nil
}

// forms runs a test with a disk that takes any number of bytes, and with one that takes whole
// sectors. The disks are empty.
func forms(t *testing.T, test func(t *testing.T, newDisk func() *storetest.Disk)) {
	t.Helper()
	empty := func() *storetest.Disk { return storetest.NewDisk(nil) }
	t.Run("bytes", func(t *testing.T) { test(t, empty) })
	t.Run("sectors", func(t *testing.T) {
		test(t, func() *storetest.Disk { f := empty(); f.Pad(); return f })
	})
}

// Each prefix of a trace of operations is cut off in several ways.
func TestPowerCut(t *testing.T) { forms(t, testPowerCut) }

func testPowerCut(t *testing.T, newDisk func() *storetest.Disk) {
	const operations = 200
	f := newDisk()
	s := openOn(t, f)
	w := newWorkload(1)
	states := []map[ID]Record{{}}
	answered := []int{0} // operations until the answer, by commit
	for f.Ops() < operations {
		c := w.next()
		mustCommit(t, s, c...)
		states = append(states, after(states[len(states)-1], c))
		answered = append(answered, f.Ops())
	}
	if n := s.Stats().Compactions; n < 3 {
		t.Fatalf("only %d snapshots in the trace", n)
	}
	states = append(states, states[len(states)-1])
	tried, commit := 0, 0
	for n, after := range f.Cuts() {
		for commit+1 < len(answered) && answered[commit+1] <= n {
			commit++
		}
		for v, cut := range variants(w.rnd, 8) {
			d := after(cut)
			tried++
			s, ok := checkAfterCut(t, d, text(states[commit]), text(states[commit+1]))
			if ok && tried%3 == 0 {
				ok = goesOn(t, s, d)
			}
			if !ok {
				t.Fatalf("behind %d operations, cut %d; commit %d was answered\n%v", n, v, commit, f)
			}
		}
	}
	t.Logf("%d power cuts behind %d operations of %d commits, %d snapshots", tried, f.Ops(), len(answered)-1,
		s.Stats().Compactions)
}

// Traces with faults of the disk in them are cut off at random, several times
// one behind the other.
func TestPowerCutRandom(t *testing.T) { forms(t, testPowerCutRandom) }

func testPowerCutRandom(t *testing.T, newDisk func() *storetest.Disk) {
	done, failed := 0, 0
	for seed := int64(0); done < *cuts; seed++ {
		w := newWorkload(seed)
		f, records := newDisk(), map[ID]Record{}
		for range 5 {
			s := openOn(t, f)
			n, allowed := runUntilCut(t, w, s, f, records)
			failed += len(allowed) - 1
			done++
			v := variants(w.rnd, 4)
			d := f.After(n, v[w.rnd.Intn(len(v))])
			var texts []string
			for _, a := range allowed {
				texts = append(texts, text(a))
			}
			s, ok := checkAfterCut(t, d, texts...)
			if !ok {
				t.Fatalf("seed %d, behind %d operations\n%v", seed, n, f)
			}
			f, records = d, s.All()
			s.Close()
		}
	}
	t.Logf("%d power cuts, %d commits had failed before", done, failed)
}

// runUntilCut commits for a while, with faults, and then says behind which
// operation the power is cut, and what the disk may hold then: what was
// answered, with one commit on top that was not.
func runUntilCut(t *testing.T, w *workload, s *Store, f *storetest.Disk, records map[ID]Record) (n int,
	allowed []map[ID]Record,
) {
	t.Helper()
	rate := []int{0, 0, 8, 30}[w.rnd.Intn(4)]
	f.Fail(func(op, _ string) error {
		if rate > 0 && op != storetest.OpRead && op != storetest.OpList && w.rnd.Intn(100) < rate {
			return []error{unix.EIO, unix.ENOSPC, unix.EROFS}[w.rnd.Intn(3)]
		}
		return nil
	})
	defer f.Fail(nil)
	allowed = []map[ID]Record{maps.Clone(records)}
	for range 1 + w.rnd.Intn(60) {
		c, from := w.next(), f.Ops()
		next := after(allowed[0], c)
		if s.Commit(c...) != nil {
			if state(s) != text(allowed[0]) {
				t.Fatal("a commit that failed has changed the store")
			}
			allowed = append(allowed, next)
			continue
		}
		if w.rnd.Intn(40) == 0 {
			// The power is cut within this commit, or in what follows it.
			return from + 1 + w.rnd.Intn(f.Ops()-from), append(allowed, next)
		}
		allowed = []map[ID]Record{next}
	}
	return f.Ops(), allowed
}
