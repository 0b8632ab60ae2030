package pace

import (
	"sync"
	"time"
)

// A budget has so much to spend for each second, and what it saves of that, up to Most, in publishes or requests
// that are refused: see Cost.
const (
	PerSecond = 100
	Most      = 1000
)

// FloodPause is how long a client that floods waits: the place of one that was disconnected stays taken, and one over
// HTTP gets its answer then.
const FloodPause = time.Second

// Pause waits for a FloodPause, or until stopped is closed.
func Pause(stopped <-chan struct{}) {
	select {
	case <-time.After(FloodPause):
	case <-stopped:
	}
}

// Budgets are what names may spend, each for itself. The zero value is ready.
type Budgets struct {
	mu    sync.Mutex
	spent map[string]spending // of those that have not saved up all
}

// spending is what was spent until a time, and not yet earned again.
type spending struct {
	cost float64
	at   time.Time
}

// Cost returns what a refused publish or request of so many bytes costs: one for itself and one for each KiB, as it
// is read, and told of, in full; but no more than there can be.
func Cost(bytes int) int { return min(1+bytes>>10, Most) }

// Floods spends some of a name's budget for so many bytes of one of those that share it. It reports true if there is
// not as much, and that one has spent more than 1 a second since last, which it sets to now: who is refused something
// seldom does not pay for others.
func (b *Budgets) Floods(name string, last *time.Time, bytes int, now time.Time) bool {
	cost := Cost(bytes)
	often := now.Sub(*last) < time.Duration(cost)*time.Second
	*last = now
	return !b.Spend(name, cost, now) && often
}

// Spend spends some of a name's budget. It reports false if there is not as much: then all is spent.
func (b *Budgets) Spend(name string, cost int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent == nil {
		b.spent = map[string]spending{}
	}
	s, known := b.spent[name]
	if !known {
		b.forget(now)
	}
	s.cost = s.left(now) + float64(cost)
	s.at = now
	enough := s.cost <= Most
	s.cost = min(s.cost, Most)
	b.spent[name] = s
	return enough
}

// left returns how much is not yet earned again.
func (s spending) left(now time.Time) float64 {
	return max(0, s.cost-PerSecond*max(0, now.Sub(s.at).Seconds()))
}

// forget forgets who has saved up all again. The lock is held.
func (b *Budgets) forget(now time.Time) {
	for name, s := range b.spent {
		if s.left(now) == 0 {
			delete(b.spent, name)
		}
	}
}
