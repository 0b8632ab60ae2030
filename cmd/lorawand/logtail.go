package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logLine is a line of the log that is remembered.
type logLine struct {
	At    time.Time
	Level string
	Text  string
}

// Limits of what is remembered of the log.
const (
	tailLines = 100
	tailLine  = 400 // bytes
)

// logTail remembers the last lines.
type logTail struct {
	mu    sync.Mutex
	lines [tailLines]logLine
	n     int // lines so far
}

// add remembers a line. The text is what the log has behind the level.
func (t *logTail) add(r *slog.Record, with string) {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(with)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, a)
		return b.Len() < tailLine
	})
	text := b.String()
	if len(text) > tailLine {
		text = strings.ToValidUTF8(text[:tailLine], "") + "…"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines[t.n%tailLines] = logLine{time.Now(), r.Level.String(), strings.Clone(text)}
	t.n++
}

func appendAttr(b *strings.Builder, a slog.Attr) {
	value := a.Value.Resolve().String()
	if strings.ContainsAny(value, " \"=\n") {
		value = fmt.Sprintf("%q", value)
	}
	fmt.Fprintf(b, " %s=%s", a.Key, value)
}

// last returns the lines that are remembered, oldest first.
func (t *logTail) last() (out []logLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := max(0, t.n-tailLines); i < t.n; i++ {
		out = append(out, t.lines[i%tailLines])
	}
	return out
}

// tailHandler passes records on and remembers them.
type tailHandler struct {
	slog.Handler
	tail *logTail
	with string // attributes of the logger, as text
}

func remembering(h slog.Handler) slog.Handler { return &tailHandler{Handler: h, tail: &logTail{}} }

// tailOf returns the last lines of a logger, oldest first.
func tailOf(log *slog.Logger) []logLine {
	if h, ok := log.Handler().(*tailHandler); ok {
		return h.tail.last()
	}
	return nil
}

// Handle implements slog.Handler.
func (h *tailHandler) Handle(ctx context.Context, r slog.Record) error {
	h.tail.add(&r, h.with)
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *tailHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.with)
	for _, a := range attrs {
		appendAttr(&b, a)
	}
	return &tailHandler{h.Handler.WithAttrs(attrs), h.tail, b.String()}
}

// WithGroup implements slog.Handler.
func (h *tailHandler) WithGroup(name string) slog.Handler {
	return &tailHandler{h.Handler.WithGroup(name), h.tail, h.with}
}
