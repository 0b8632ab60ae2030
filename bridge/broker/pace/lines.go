// Package pace bounds how often strangers can have something done.
package pace

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Lines lets one line a second into the log of what strangers can cause, and
// counts the others.
type Lines struct {
	mu     sync.Mutex
	last   time.Time
	unsaid uint64
}

// lineEvery is how far apart lines are that strangers can cause.
const lineEvery = time.Second

// Say writes a line, if it is time for one, and how many were left out before.
func (l *Lines) Say(log *slog.Logger, level slog.Level, text string, attrs ...slog.Attr) {
	now := time.Now()
	l.mu.Lock()
	if !l.last.IsZero() && now.Sub(l.last) < lineEvery {
		l.unsaid++
		l.mu.Unlock()
		return
	}
	unsaid := l.unsaid
	l.last, l.unsaid = now, 0
	l.mu.Unlock()
	if unsaid > 0 {
		attrs = append(attrs, slog.Uint64("lines_left_out", unsaid))
	}
	log.LogAttrs(context.Background(), level, text, attrs...)
}
