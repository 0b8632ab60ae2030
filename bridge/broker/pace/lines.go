// Package pace bounds how often strangers can have something done.
package pace

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limit lets one thing a second happen, and counts the others. The zero value is ready.
type Limit struct {
	mu      sync.Mutex
	last    time.Time
	leftOut uint64
}

// every is how far apart things are that strangers can cause.
const every = time.Second

// Take reports whether it is time for one, and how many were left out before.
func (l *Limit) Take(now time.Time) (leftOut uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < every {
		l.leftOut++
		return 0, false
	}
	leftOut = l.leftOut
	l.last, l.leftOut = now, 0
	return leftOut, true
}

// Lines lets one line a second into the log of what strangers can cause, and
// counts the others.
type Lines struct{ limit Limit }

// Say writes a line, if it is time for one, and how many were left out before.
func (l *Lines) Say(log *slog.Logger, level slog.Level, text string, attrs ...slog.Attr) {
	leftOut, ok := l.limit.Take(time.Now())
	if !ok {
		return
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Uint64("lines_left_out", leftOut))
	}
	log.LogAttrs(context.Background(), level, text, attrs...)
}

// ByName is a Limit for each name. The zero value is ready.
type ByName struct {
	mu     sync.Mutex
	limits map[string]*Limit
}

// Of returns the Limit of a name. There must be a bounded number of names.
func (b *ByName) Of(name string) *Limit {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.limits[name]
	if l == nil {
		if l = (&Limit{}); b.limits == nil {
			b.limits = map[string]*Limit{}
		}
		b.limits[name] = l
	}
	return l
}
