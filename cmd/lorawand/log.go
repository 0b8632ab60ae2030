package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"lorawand/cmd/lorawand/config"
)

// newLogger returns a logger that writes to w, and a function that waits until
// everything is written. It sets level to that of the configuration; level may be
// changed later.
//
// Callers never wait for w: lines that w does not accept in time are dropped and
// counted. A log pipe that nobody reads must not stop the radio.
func newLogger(c config.Log, level *slog.LevelVar, w io.Writer) (*slog.Logger, func()) {
	_ = level.UnmarshalText([]byte(c.Level)) // the configuration was checked
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: dropTime}
	lines := newLineWriter(w)
	if c.Format == "json" {
		return slog.New(remembering(slog.NewJSONHandler(lines, opts))), lines.close
	}
	return slog.New(remembering(slog.NewTextHandler(lines, opts))), lines.close
}

// dropTime removes the time for the journal, which adds its own.
func dropTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 && os.Getenv("JOURNAL_STREAM") != "" {
		return slog.Attr{}
	}
	return a
}

// lineWriter passes lines to a goroutine that writes them.
type lineWriter struct {
	lines chan []byte
	done  chan struct{}

	mu      sync.Mutex
	closed  bool
	dropped int
}

const (
	linesWaiting = 1024
	lastWords    = time.Second // for writing what is left at the end
)

func newLineWriter(w io.Writer) *lineWriter {
	l := &lineWriter{lines: make(chan []byte, linesWaiting), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for b := range l.lines {
			_, _ = w.Write(b)
			if n := l.takeDropped(); n > 0 {
				_, _ = fmt.Fprintf(w, "level=WARN msg=\"log lines dropped: the log is not read fast enough\" dropped=%d\n", n)
			}
		}
	}()
	return l
}

// Write implements io.Writer. It never blocks.
func (l *lineWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(b), nil
	}
	select {
	case l.lines <- append([]byte(nil), b...):
	default:
		l.dropped++
	}
	return len(b), nil
}

func (l *lineWriter) takeDropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.dropped
	l.dropped = 0
	return n
}

func (l *lineWriter) close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(lastWords):
	}
}
