package sharing

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lorawand/bridge/access"
)

// Calls that come without a pause take as long as the packets that they count as; another application's do not wait.
func TestPace(t *testing.T) {
	const packet = time.Second / 8000
	for _, tt := range []struct {
		name    string
		needs   access.Rights
		bytes   int
		packets int
	}{
		{"a question", access.DevicesRead, 100, 4},
		{"a long one", access.DevicesRead, 60 << 10, 64},
		{"a push", access.TrafficDownWrite, 100, 5},
		{"many downlinks", access.TrafficDownWrite, 3 << 10, 55},
		{"a long text", access.TrafficDownWrite, 60 << 10, 128},
		{"a change", access.DevicesWrite, 2 << 10, 18},
		{"what needs all rights", access.All, 100, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Sharing
			const calls, free = 40, 32 // packets that go at once
			began := time.Now()
			for range calls {
				if err := s.Pace(context.Background(), "app1", tt.needs, tt.bytes); err != nil {
					t.Fatal(err)
				}
			}
			if took, least := time.Since(began), time.Duration((calls-1)*tt.packets-free)*packet; took < least {
				t.Errorf("%d calls took %v, want %v at least", calls, took, least)
			}
			began = time.Now()
			err := s.Pace(context.Background(), "app2", access.DevicesRead, 0)
			if took := time.Since(began); err != nil || took > time.Second {
				t.Errorf("another application's: %v after %v", err, took)
			}
		})
	}
	var s Sharing
	ctx, end := context.WithCancel(context.Background())
	end()
	_ = s.Pace(ctx, "app1", access.TrafficDownWrite, 1<<20)
	if err := s.Pace(ctx, "app1", access.TrafficDownWrite, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that is gone: %v", err)
	}
}

// The turn of a request lasts until its end, and is taken once; one without a request lasts until its call is done.
func TestTurn(t *testing.T) {
	var s Sharing
	ctx, end := Begin(context.Background())
	for range 2 {
		done, err := s.Turn(ctx, "app1")
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
	gone, leave := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer leave()
	if _, err := s.Turn(gone, "app1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside it: %v", err)
	}
	if done, err := s.Turn(context.Background(), "app2"); err != nil {
		t.Errorf("another application's: %v", err)
	} else {
		done()
	}
	began := time.Now()
	if _, err := s.Turn(context.Background(), "app1"); !errors.Is(err, ErrBusy) || time.Since(began) < patience {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	end()
	for range 2 {
		done, err := s.Turn(context.Background(), "app1")
		if err != nil {
			t.Fatal(err)
		}
		done()
	}
}

// A call rests between its parts for as long as it works.
func TestResting(t *testing.T) {
	const parts, part = 20, 2 * time.Millisecond
	n := 0
	reply := Resting(context.Background(), func(v any) error {
		for end := time.Now().Add(part); time.Now().Before(end); {
		}
		n += v.(int)
		return nil
	})
	began := time.Now()
	for range parts {
		if err := reply(1); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); n != parts || took < (2*parts-2)*part {
		t.Errorf("%d parts in %v", n, took)
	}
}

// However many ask, one answer of a name is made at a time, and half of the time none.
func TestOneByOne(t *testing.T) {
	var o OneByOne
	const asked, took = 20, 10 * time.Millisecond
	var at, most atomic.Int32
	answer := func(context.Context) (string, error) {
		most.Store(max(most.Load(), at.Add(1)))
		time.Sleep(took)
		at.Add(-1)
		return "good", nil
	}
	began := time.Now()
	var wg sync.WaitGroup
	for range asked {
		wg.Go(func() {
			if text, err := o.Answer(context.Background(), "x", time.Minute, answer); text != "good" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	wg.Wait()
	if all, least := time.Since(began), (2*asked-1)*took; all < least || most.Load() != 1 {
		t.Errorf("%d answers in %v, %d at a time; want %v at least", asked, all, most.Load(), least)
	}
	stuck, release := make(chan struct{}), make(chan struct{})
	go func() {
		_, _ = o.Answer(context.Background(), "x", time.Minute, func(context.Context) (string, error) {
			close(stuck)
			<-release
			return "", nil
		})
	}()
	<-stuck
	defer close(release)
	if text, err := o.Answer(context.Background(), "y", time.Minute, answer); text != "good" || err != nil {
		t.Errorf("another question: %q, %v", text, err)
	}
	gone, leave := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer leave()
	if _, err := o.Answer(gone, "x", time.Minute, answer); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that goes: %v", err)
	}
	if _, err := o.Answer(context.Background(), "x", time.Minute, answer); !errors.Is(err, ErrBusy) {
		t.Errorf("behind one that is stuck: %v", err)
	}
}

// The time for an answer begins with its turn, and a panic ends that.
func TestOneByOneEnds(t *testing.T) {
	var o OneByOne
	func() {
		defer func() { _ = recover() }()
		_, _ = o.Answer(context.Background(), "x", time.Minute, func(context.Context) (string, error) { panic("a fault") })
	}()
	_, err := o.Answer(context.Background(), "x", 10*time.Millisecond, func(ctx context.Context) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
