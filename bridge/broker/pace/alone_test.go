package pace

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// One of a name is at work at a time; another name does not wait for it.
func TestAlone(t *testing.T) {
	var a Alone
	var wg sync.WaitGroup
	var at, most atomic.Int32
	for range 20 {
		wg.Go(func() {
			leave := a.Enter("app1", time.Minute, nil)
			if leave == nil {
				t.Error("its turn has not come")
				return
			}
			most.Store(max(most.Load(), at.Add(1)))
			time.Sleep(time.Millisecond)
			at.Add(-1)
			leave()
			leave()
		})
	}
	wg.Wait()
	if most.Load() != 1 || len(a.lines) != 0 {
		t.Errorf("%d were at work, %d names are remembered", most.Load(), len(a.lines))
	}
	leave, other := a.Enter("app1", time.Minute, nil), a.Enter("app2", time.Minute, nil)
	if leave == nil || other == nil {
		t.Fatal("a name waits for another")
	}
	closed := make(chan struct{})
	close(closed)
	if a.Enter("app1", time.Millisecond, nil) != nil || a.Enter("app1", time.Minute, closed) != nil {
		t.Error("two of a name are at work")
	}
	other()
	leave()
	if len(a.lines) != 0 {
		t.Errorf("%d names are remembered", len(a.lines))
	}
}

// Whatever a part takes, the work has half of the time.
func TestRest(t *testing.T) {
	for _, part := range []time.Duration{100 * time.Microsecond, 5 * time.Millisecond} {
		t.Run(part.String(), func(t *testing.T) {
			const work = 50 * time.Millisecond
			var r Rest
			began := time.Now()
			r.Part(nil)
			for range work / part {
				for end := time.Now().Add(part); time.Now().Before(end); {
				}
				r.Part(nil)
			}
			if took := time.Since(began); took < 2*work-2*stretch {
				t.Errorf("%v of work take %v", work, took)
			}
		})
	}
	closed := make(chan struct{})
	close(closed)
	r := Rest{since: time.Now().Add(-time.Hour)}
	began := time.Now()
	r.Part(closed)
	if took := time.Since(began); took > maxRest/2 {
		t.Errorf("it rests for %v after the end", took)
	}
}
