package storetest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"

	"lorawand/bridge/store"
)

// Store has what every store promises. Commit stores records, all or none, in their
// order; when it returns nil, no failure loses them. Records returns the records of
// a kind, sorted by key.
type Store interface {
	Commit(records ...store.Record) error
	Records(kind string) []store.Record
	Close() error
}

// Subject is an empty store to test.
type Subject struct {
	// Open opens the store; after Close or Cut it opens it again with the committed
	// records.
	Open func() (Store, error)
	// Cut ends the process, or cuts the power, while the store is open.
	Cut func()
	// Break makes commits fail or succeed again. nil: this store cannot be made to
	// fail.
	Break func(yes bool)
}

// Tester has the methods of *testing.T that Conform uses.
type Tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Conform tests that a store keeps its promise. The tests of every store call it.
// empty makes a new subject for each check.
func Conform(t Tester, empty func() Subject) {
	t.Helper()
	for _, c := range []struct {
		name string
		do   func(*trial)
	}{
		{"records", (*trial).records},
		{"order", (*trial).order},
		{"copies", (*trial).copies},
		{"refusals", (*trial).refusals},
		{"a commit that fails", (*trial).failure},
		{"one at a time", (*trial).alone},
		{"closed", (*trial).closed},
		{"all or none", (*trial).whole},
		{"opened again", (*trial).opened},
		{"many commits", (*trial).many},
	} {
		x := &trial{Tester: t, Subject: empty(), check: c.name, want: map[[2]string]store.Record{}}
		x.open()
		c.do(x)
		_ = x.store.Close()
	}
}

// trial is one check, with the records that the store must hold.
type trial struct {
	Tester
	Subject
	check string
	store Store
	want  map[[2]string]store.Record
}

func (x *trial) errorf(format string, args ...any) {
	x.Helper()
	x.Errorf("%s: %s", x.check, fmt.Sprintf(format, args...))
}

func (x *trial) open() {
	x.Helper()
	s, err := x.Open()
	if err != nil {
		x.Fatalf("%s: it does not open: %v", x.check, err)
	}
	x.store = s
}

// again closes the store or cuts its power, and opens it again.
func (x *trial) again(cut bool) {
	x.Helper()
	if cut {
		x.Cut()
	} else if err := x.store.Close(); err != nil {
		x.errorf("Close: %v", err)
	}
	x.open()
}

// commit commits records, and compares the store with what it must hold.
func (x *trial) commit(records ...store.Record) {
	x.Helper()
	if err := x.store.Commit(records...); err != nil {
		x.Fatalf("%s: Commit: %v", x.check, err)
	}
	x.expect(records)
	x.compare()
}

// expect records what was committed.
func (x *trial) expect(records []store.Record) {
	for _, r := range records {
		at := [2]string{r.Kind, r.Key}
		if r.Data == nil {
			delete(x.want, at)
			continue
		}
		r.Data = bytes.Clone(r.Data)
		x.want[at] = r
	}
}

// compare compares the store with what it must hold. An unknown kind has no
// records.
func (x *trial) compare() {
	x.Helper()
	byKind := map[string][]store.Record{"none": nil}
	for _, kind := range kinds {
		byKind[kind] = nil
	}
	for _, r := range x.want {
		byKind[r.Kind] = append(byKind[r.Kind], r)
	}
	for kind, want := range byKind {
		slices.SortFunc(want, func(a, b store.Record) int { return cmp.Compare(a.Key, b.Key) })
		if got := x.store.Records(kind); !slices.EqualFunc(got, want, same) {
			x.errorf("records of %.20q: %s, want %s", kind, describe(got), describe(want))
		}
	}
}

// describe returns a text about the first records.
func describe(records []store.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", len(records))
	for _, r := range records[:min(len(records), 10)] {
		fmt.Fprintf(&b, " %.20q version %d, %d bytes %.10q;", r.Key, r.Version, len(r.Data), r.Data)
	}
	return b.String()
}

func same(a, b store.Record) bool {
	return a.Kind == b.Kind && a.Key == b.Key && a.Version == b.Version && bytes.Equal(a.Data, b.Data)
}

// kinds are the kinds that the checks use.
var kinds = []string{"device", "counters", "größe"}

func (x *trial) records() {
	x.compare()
	x.commit()
	x.commit(
		store.Record{Kind: "device", Key: "app1/dev2", Version: 255, Data: []byte{0, 1, 255}},
		store.Record{Kind: "device", Key: "app1/dev1", Version: 0, Data: []byte(`{"a":1}`)},
		store.Record{Kind: "counters", Key: "app1/dev1", Version: 1, Data: []byte{}},
	)
	x.commit(
		store.Record{Kind: "größe", Key: "", Version: 7, Data: []byte("x")},
		store.Record{Kind: "größe", Key: "\x00.*>\n ü", Version: 7, Data: []byte("x")},
		store.Record{Kind: "größe", Key: strings.Repeat("k", 65535), Version: 7, Data: []byte("x")},
		store.Record{Kind: strings.Repeat("k", 255), Key: "a", Version: 7, Data: []byte("x")},
	)
	x.commit(store.Record{Kind: "device", Key: "large", Data: bytes.Repeat([]byte{0xa5}, 8<<20)})
}

func (x *trial) order() {
	a := func(version uint8, data []byte) store.Record {
		return store.Record{Kind: "device", Key: "a", Version: version, Data: data}
	}
	x.commit(a(1, []byte("one")))
	x.commit(a(2, []byte("two")), a(3, []byte("three")))
	x.commit(a(1, nil), a(4, []byte("four")))
	x.commit(a(5, []byte("five")), a(1, nil))
	x.commit(a(1, nil)) // there was no such record
}

func (x *trial) copies() {
	data := []byte("one")
	x.commit(store.Record{Kind: "device", Key: "a", Data: data})
	data[0] = 'X'
	x.compare()
	x.again(false)
	x.compare()
}

// refusals tests that a bad record leaves the store unchanged, whatever else is in
// its commit.
func (x *trial) refusals() {
	x.commit(store.Record{Kind: "device", Key: "a", Data: []byte("one")})
	good := store.Record{Kind: "device", Key: "a", Data: []byte("two")}
	for name, bad := range map[string]store.Record{
		"no kind":              {Key: "a", Data: []byte("x")},
		"a long kind":          {Kind: strings.Repeat("k", 256), Data: []byte("x")},
		"a kind that is bytes": {Kind: "\xff", Data: []byte("x")},
		"a long key":           {Kind: "device", Key: strings.Repeat("k", 65536), Data: []byte("x")},
		"a key that is bytes":  {Kind: "device", Key: "\xff", Data: []byte("x")},
		"much data":            {Kind: "device", Key: "b", Data: make([]byte, 8<<20+1)},
	} {
		if err := x.store.Commit(good, bad); err == nil {
			x.errorf("%s is taken", name)
		}
		x.compare()
	}
}

func (x *trial) failure() {
	if x.Break == nil {
		return
	}
	x.commit(store.Record{Kind: "device", Key: "a", Data: []byte("one")})
	x.Break(true)
	two := []store.Record{
		{Kind: "device", Key: "a", Data: []byte("two")}, {Kind: "counters", Key: "a", Data: []byte("two")},
	}
	for range 3 {
		if err := x.store.Commit(two...); err == nil {
			x.errorf("Commit: no error, but it must fail")
		}
		x.compare()
	}
	x.Break(false)
	x.commit(store.Record{Kind: "device", Key: "b", Data: []byte("three")})
	x.again(true)
	x.compare()
}

func (x *trial) alone() {
	if s, err := x.Open(); !errors.Is(err, store.ErrLocked) {
		x.errorf("Open while it is open: %v, want ErrLocked", err)
		if err == nil {
			_ = s.Close()
		}
	}
	x.commit(store.Record{Kind: "device", Key: "a", Data: []byte("one")})
}

func (x *trial) closed() {
	x.commit(store.Record{Kind: "device", Key: "a", Data: []byte("one")})
	if err := errors.Join(x.store.Close(), x.store.Close()); err != nil {
		x.errorf("Close, and Close again: %v", err)
	}
	err := x.store.Commit(store.Record{Kind: "device", Key: "a", Data: []byte("two")})
	if !errors.Is(err, store.ErrClosed) {
		x.errorf("Commit when it is closed: %v, want ErrClosed", err)
	}
	x.open()
	x.compare()
}

// whole lets several goroutines commit pairs of records. A reader must always see
// both or none.
func (x *trial) whole() {
	const writers, commits = 4, 20
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			all := x.store.Records("device")
			for i := 0; i+1 < len(all); i += 2 {
				if !bytes.Equal(all[i].Data, all[i+1].Data) {
					x.errorf("half of a commit is seen: %s", describe(all[i:i+2]))
					return
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	pair := func(writer, n int) []store.Record {
		data := fmt.Append(nil, n)
		return []store.Record{
			{Kind: "device", Key: fmt.Sprint(writer, "a"), Data: data},
			{Kind: "device", Key: fmt.Sprint(writer, "b"), Data: data},
		}
	}
	var first []store.Record
	for w := range writers {
		first = append(first, pair(w, 0)...)
	}
	x.commit(first...) // from here on no record changes its place
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range commits {
				if err := x.store.Commit(pair(w, n)...); err != nil {
					x.errorf("Commit: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	<-watched
	var last []store.Record
	for w := range writers {
		last = append(last, pair(w, commits-1)...)
	}
	x.expect(last)
	x.again(true)
	x.compare()
}

func (x *trial) opened() {
	for i := range 4 {
		x.commit(
			store.Record{Kind: "device", Key: "a", Version: uint8(i), Data: fmt.Append(nil, i)},
			store.Record{Kind: "counters", Key: fmt.Sprint(i), Data: []byte("x")},
		)
		x.again(i%2 == 0)
		x.compare()
	}
}

// many makes many commits and some power cuts, and compares the store with a map.
func (x *trial) many() {
	rnd := rand.New(rand.NewSource(1))
	for range 150 {
		records := make([]store.Record, 1+rnd.Intn(4))
		for i := range records {
			key := fmt.Sprint("app1/dev", rnd.Intn(10))
			r := store.Record{Kind: kinds[rnd.Intn(len(kinds))], Key: key, Version: uint8(rnd.Intn(256))}
			if rnd.Intn(5) > 0 {
				r.Data = make([]byte, rnd.Intn(400))
				rnd.Read(r.Data)
			}
			records[i] = r
		}
		x.commit(records...)
		if rnd.Intn(15) == 0 {
			x.again(rnd.Intn(2) == 0)
			x.compare()
		}
	}
}
