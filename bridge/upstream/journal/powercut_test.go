package journal

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"lorawand/bridge/store/storetest"
)

// promise is what was answered behind so many operations of the disk.
type promise struct {
	ops      int
	appended int // messages
	acked    int // messages from the first on
	cursor   int // of them before the cursor that was stored
}

// trace works with a journal at random and returns what it has promised when.
func trace(b *bench, r *rand.Rand, steps int) (promises []promise) {
	p := promise{}
	promises = append(promises, p)
	for range steps {
		switch r.IntN(5) {
		case 0, 1:
			if err := b.append(1 + r.IntN(12)); err != nil {
				b.Fatal(err)
			}
			p.appended = b.made
		case 2, 3:
			for n := r.IntN(14); n > 0; n-- {
				e, ok, err := b.Next()
				if err != nil {
					b.Fatal(err)
				}
				if !ok {
					break
				}
				b.Ack(e.Number)
				p.acked = number(b.T, e) + 1
			}
		case 4:
			if err := b.StoreCursor(); err != nil {
				b.Fatal(err)
			}
			if b.Stats().Messages > 0 {
				p.cursor = p.acked
			}
		}
		p.ops = b.disk.Ops()
		promises = append(promises, p)
	}
	return promises
}

// After a power cut at any place nothing that was stored and not acknowledged is
// missing, and nothing comes back that is before the stored cursor.
func TestPowerCut(t *testing.T) {
	tried := 0
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 1))
		b := start(t, Options{Bytes: 512 << 10, Logger: slog.New(slog.DiscardHandler)})
		promises := trace(b, r, 80)
		at := 0
		for n, after := range b.disk.Cuts() {
			for at+1 < len(promises) && promises[at+1].ops <= n {
				at++
			}
			for range 3 {
				some := func() bool { return r.IntN(2) == 0 }
				d := &bench{T: t, o: b.o, disk: after(storetest.Cut{Name: some, Data: some, Rubbish: byte(r.IntN(2) * 0xff)})}
				d.open()
				next := promises[min(at+1, len(promises)-1)]
				d.check(promises[at], next, n)
				tried++
			}
		}
	}
	t.Logf("%d power cuts", tried)
}

// check compares what is left with what was promised. next is what the step promises in
// which the power was cut.
func (b *bench) check(p, next promise, n int) {
	b.Helper()
	entries := b.rest()
	last := -1
	for _, e := range entries {
		i := number(b.T, e)
		if last >= 0 && i != last+1 || last < 0 && (i < p.cursor || i > next.acked) {
			b.Fatalf("behind %d operations %d comes after %d; %+v, %+v", n, i, last, p, next)
		}
		last = i
	}
	if last < p.appended-1 && next.acked < p.appended {
		b.Fatalf("behind %d operations %d is the last; %+v, %+v", n, last, p, next)
	}
	if n%5 != 0 {
		return
	}
	// It goes on.
	b.made = 1000
	if err := b.append(1); err != nil {
		b.Fatal(err)
	}
	b.expect(1000, 1001, b.rest())
	b.open()
	if again := b.rest(); len(again) != len(entries)+1 {
		b.Fatalf("behind %d operations %d messages, then %d", n, len(entries), len(again))
	}
}
