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
				if taken++; !h.Packet(application, 1, 2, &r, nil) {
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
		{90, time.Nanosecond, time.Second, 7_500, 8_000 + 90*2*few, 0},
		{90, time.Nanosecond, time.Millisecond, 90 * few, 90*few + row, 0}, // not row of each at once
		{1, 200 * time.Microsecond, 10 * time.Second, 47_500, 50_001, 0},   // 5 000 a second
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
				time.Sleep(time.Minute)
				if h.hurries("app2", 1, time.Second, few*time.Second); len(h.until) > 1 {
					t.Errorf("%v are remembered", h.until)
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
		time.Sleep(10 * time.Second)
	})
}

// A client that seldom sends does not wait until all is sent that others of its application had before.
func TestHurryOfLongOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hurry
		for range 90 {
			go func() { h.Packet("app1", 1000, 64_000, new(Row), nil) }()
		}
		synctest.Wait()
		began, r := time.Now(), new(Row)
		for range 10 * few {
			if !h.Packet("app1", 1, 2, r, nil) {
				t.Fatal("it is ended")
			}
		}
		if took := time.Since(began); took != 10*crowd*few*packetTime {
			t.Errorf("%v", took)
		}
		time.Sleep(time.Minute)
	})
}

// What clients have sent that left slows down nobody for longer than they could have been.
func TestHurryOfThoseThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hurry
		closed := make(chan struct{})
		close(closed)
		for range 10_000 {
			h.Packet("app1", 1000, 64_000, new(Row), closed)
		}
		time.Sleep(mostHurry)
		if n, _ := h.hurries("app1", 1, time.Millisecond, time.Second); n != 1000 {
			t.Errorf("%d packets, want 1000", n)
		}
	})
}

// A client that is slowed down and leaves is not waited for.
func TestHurryIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hurry
		closed := make(chan struct{})
		close(closed)
		began, r := time.Now(), Row{}
		for range row - 1 {
			if !h.Packet("app1", 1, 2, &r, closed) {
				t.Fatal("it is ended before it is slowed down")
			}
		}
		if h.Packet("app1", 1, 2, &r, closed) {
			t.Error("it goes on")
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it has taken %v", took)
		}
	})
}

// What divides answers is free, and nothing else.
func TestHurryDivided(t *testing.T) {
	for _, tt := range []struct {
		name             string
		packets, divided int // as which one counts, and what divides it
		leastMS, mostMS  int // that 5 000 of them take
	}{
		{"PUBACK in three frames and records", 0, 4, 0, 5},
		{"PUBACK in one", 0, 1, 0, 5},
		{"PUBACK in more than it has bytes", 0, 8, 2_480, 2_500},
		{"what was not waited for", 1, 1, 1_240, 1_250},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h Hurry
				var r Row
				began := time.Now()
				for range 5_000 {
					if !h.Packet("app1", tt.packets, 4, &r, nil) || !h.Divided("app1", tt.divided, &r, nil) {
						t.Fatal("it is ended")
					}
				}
				if took := int(time.Since(began).Milliseconds()); took < tt.leastMS || took > tt.mostMS {
					t.Errorf("they take %d ms, want %d to %d", took, tt.leastMS, tt.mostMS)
				}
			})
		})
	}
}
