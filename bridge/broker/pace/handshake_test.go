package pace

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queue has clients wait for handshakes, and writes down in which order they get them.
type queue struct {
	Handshakes
	began time.Time

	mu    sync.Mutex
	turns []string
	wg    sync.WaitGroup
}

// come has a client wait whose address ends in a letter; "l" is one of this host. It is
// closed after a time that is not 0.
func (q *queue) come(letter byte, after time.Duration) {
	addr := netip.MustParseAddr("127.0.0.1")
	if letter != 'l' {
		addr = netip.AddrFrom4([4]byte{192, 0, 2, letter})
	}
	closed := make(chan struct{})
	if after > 0 {
		time.AfterFunc(after, func() { close(closed) })
	}
	q.wg.Go(func() {
		ok := q.Wait(SourceOf(addr), addr.IsLoopback(), closed, nil)
		q.mu.Lock()
		defer q.mu.Unlock()
		if ok {
			q.turns = append(q.turns, fmt.Sprintf("%c%d", letter, time.Since(q.began)/handshakePause))
		} else {
			q.turns = append(q.turns, fmt.Sprintf("%c-", letter))
		}
	})
	synctest.Wait()
}

// used uses up the turns that are saved, with clients of another address.
func (q *queue) used() {
	for range handshakeBurst {
		q.come('z', 0)
	}
	q.turns, q.began = nil, time.Now()
}

// In the long run a handshake begins each handshakePause, whoever asks; addresses take turns,
// and every fourth turn is for a client of this host.
func TestHandshakes(t *testing.T) {
	tests := []struct {
		name, come string // letters as for come; upper case: it is closed before its turn
		want       string // who begins, and after how many pauses
	}{
		{"one address", "aaa", "a1 a2 a3"},
		{"two addresses", "aaab", "a1 b2 a3 a4"},
		{"three addresses", "aaabbbc", "a1 b2 c3 a4 b5 a6 b7"},
		{"who has had turns before", "zzza", "a1 z2 z3 z4"},
		{"this host among many others", "abcdefl", "l1 a2 b3 c4 d5 e6 f7"},
		{"this host twice", "abcdefll", "l1 a2 b3 c4 l5 d6 e7 f8"},
		{"who has left takes no turn", "aAAAb", "A- A- A- a1 b2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q queue
				q.used()
				for i := range len(tt.come) {
					letter := tt.come[i] | 0x20
					if letter != tt.come[i] {
						q.come(letter-0x20, time.Millisecond)
					} else {
						q.come(letter, 0)
					}
				}
				q.wg.Wait()
				if got := strings.Join(q.turns, " "); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// As many turns as a restart needs are saved, and no more.
func TestHandshakesSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.used()
		if len(q.waiting) != 0 || time.Since(q.began) != 0 {
			t.Errorf("%d of the first %d wait", len(q.waiting), handshakeBurst)
		}
		time.Sleep(time.Minute)
		q.used()
		q.come('a', 0)
		q.wg.Wait()
		if got := strings.Join(q.turns, " "); got != "a1" {
			t.Errorf("one more than are saved: %s", got)
		}
		if len(q.last) > 2 {
			t.Errorf("%d addresses are remembered", len(q.last))
		}
	})
}

// Who would wait for too long is refused, and takes no turn.
func TestHandshakesTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q queue
		q.used()
		most := int(HandshakeTime / handshakePause)
		for range most + 50 {
			q.come('a', 0)
		}
		q.wg.Wait()
		refused := strings.Count(strings.Join(q.turns, " "), "-")
		if refused < 50 || refused > 51 { // the last turn comes just when it is too late
			t.Errorf("%d of %d are refused", refused, most+50)
		}
		if len(q.waiting) != 0 {
			t.Errorf("%d still wait", len(q.waiting))
		}
	})
}
