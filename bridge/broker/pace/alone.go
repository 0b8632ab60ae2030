package pace

import (
	"sync"
	"time"
)

// Alone lets those that share a name do what is long one at a time: else as many as there are would share the
// processors, and the memory, with all the rest. The zero value is ready.
type Alone struct {
	mu    sync.Mutex
	lines map[string]*line // of names that do something, or wait for it
}

// line is one name's.
type line struct {
	place chan struct{} // full while one is at work
	n     int           // that are at work or wait
}

// Enter waits for the turn of one of a name, in order of arrival. It returns nil if the turn has not come within
// patience, or closed is closed before; else leave ends the turn.
func (a *Alone) Enter(name string, patience time.Duration, closed <-chan struct{}) (leave func()) {
	a.mu.Lock()
	if a.lines == nil {
		a.lines = map[string]*line{}
	}
	l := a.lines[name]
	if l == nil {
		l = &line{place: make(chan struct{}, 1)}
		a.lines[name] = l
	}
	l.n++
	a.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case l.place <- struct{}{}:
		return sync.OnceFunc(func() { <-l.place; a.forget(name, l) })
	case <-late.C:
	case <-closed:
	}
	a.forget(name, l)
	return nil
}

// forget forgets one that was at work or has waited.
func (a *Alone) forget(name string, l *line) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l.n--; l.n == 0 {
		delete(a.lines, name)
	}
}

// stretch is for how long one works without a rest: the others wait as long.
const stretch = time.Millisecond

// Rest has something long rest as long as it has worked, so that all others get a processor meanwhile, also on a CPU
// that takes a second for it. The zero value is ready, and begins with the first part.
type Rest struct{ since time.Time }

// Part is called between two parts of the work, none of which waits for anything. It may rest then, until closed is
// closed at most.
func (r *Rest) Part(closed <-chan struct{}) {
	now := time.Now()
	worked := now.Sub(r.since)
	switch {
	case r.since.IsZero():
		r.since = now
		return
	case worked < stretch:
		return
	}
	select {
	case <-time.After(min(worked, maxRest)):
	case <-closed:
	}
	r.since = time.Now()
}

// maxRest bounds a rest where the time went by for another reason.
const maxRest = 100 * time.Millisecond
