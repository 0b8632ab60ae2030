package pace

import "sync"

// mostTurns bounds how many names have turns; beyond they begin anew.
const mostTurns = 1024

// Turns says whose turn it is among those that share a name. The zero value is ready.
type Turns struct {
	mu    sync.Mutex
	turns map[string]int
}

// Next returns the index of the next of n.
func (t *Turns) Next(name string, n int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.turns == nil || len(t.turns) > mostTurns {
		t.turns = map[string]int{}
	}
	t.turns[name]++
	return t.turns[name] % n
}
