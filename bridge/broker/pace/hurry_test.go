package pace

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hurries has clients of an application send for some time as fast as they can, each packet after a pause, and
// returns how many packets were taken, and how many clients were too fast for too long.
func (h *Hurry) hurries(application string, clients int, pause, length time.Duration) (packets, ended int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			var r Row
			taken, over := 0, 0
			for end := time.Now().Add(length); time.Now().Before(end) && over == 0; time.Sleep(pause) {
				if taken++; !h.Take(application, 1, &r, nil) {
					over = 1
				}
			}
			mu.Lock()
			defer mu.Unlock()
			packets, ended = packets+taken, ended+over
		})
	}
	wg.Wait()
	return packets, ended
}

// Clients of one application that send without a pause share so many packets a second; one that takes its time is
// not slowed down.
func TestHurry(t *testing.T) {
	for _, tt := range []struct {
		clients       int
		pause, length time.Duration
		least, most   int
		ended         int
	}{
		{1, time.Nanosecond, time.Second, 7_500, 8_300, 0},
		{90, time.Nanosecond, time.Second, 7_500, 8_000 + 90*2*row, 0},
		{1, 200 * time.Microsecond, 10 * time.Second, 47_500, 50_001, 0}, // 5 000 a second
		{1, time.Nanosecond, time.Minute, 37_500, 42_500, 1},
		{20, time.Nanosecond, time.Minute, 37_500, 45_000, 20},
	} {
		t.Run(fmt.Sprint(tt.clients, " ", tt.pause, " ", tt.length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h Hurry
				packets, ended := h.hurries("app1", tt.clients, tt.pause, tt.length)
				if packets < tt.least || packets > tt.most || ended != tt.ended {
					t.Errorf("%d packets, %d ended, want %d to %d and %d", packets, ended, tt.least, tt.most, tt.ended)
				}
				if len(h.waiting) > 0 {
					t.Errorf("%v wait", h.waiting)
				}
			})
		})
	}
}

// An application that hurries does not slow another one down.
func TestHurryOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hurry
		go h.hurries("app2", 90, time.Nanosecond, time.Second)
		if packets, _ := h.hurries("app1", 1, time.Nanosecond, time.Second); packets < 7_500 {
			t.Errorf("%d packets", packets)
		}
		time.Sleep(time.Second)
	})
}

// A client that is slowed down and leaves is not waited for.
func TestHurryIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hurry
		closed := make(chan struct{})
		close(closed)
		began, r := time.Now(), Row{began: time.Now()}
		for range row - 1 {
			if !h.Take("app1", 1, &r, closed) {
				t.Fatal("it is ended before it is slowed down")
			}
		}
		if h.Take("app1", 1, &r, closed) {
			t.Error("it goes on")
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it has taken %v", took)
		}
	})
}
