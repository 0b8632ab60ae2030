package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"lorawand/cmd/lorawand/config"
)

// The last lines are remembered as they are logged, and no more of them.
func TestLogTail(t *testing.T) {
	var level slog.LevelVar
	for _, format := range []string{"text", "json"} {
		log, flush := newLogger(config.Log{Level: "info", Format: format}, &level, io.Discard)
		log.Debug("not logged")
		log.With("part", "core").WithGroup("g").Warn("first", "a", 1, "b", "two words")
		want := `first part=core a=1 b="two words"`
		if lines := tailOf(log); len(lines) != 1 || lines[0].Level != "WARN" || lines[0].Text != want {
			t.Errorf("%s: %+v", format, lines)
		}
		for i := range 2 * tailLines {
			log.Info("line", "n", i)
		}
		log.Error("long", "x", strings.Repeat("ü", tailLine))
		lines := tailOf(log)
		if len(lines) != tailLines || lines[tailLines-2].Text != fmt.Sprintf("line n=%d", 2*tailLines-1) {
			t.Errorf("%s: %d lines, the last but one %+v", format, len(lines), lines[len(lines)-2])
		}
		if last := lines[tailLines-1].Text; len(last) > tailLine+3 || !strings.HasSuffix(last, "…") {
			t.Errorf("%s: %d bytes: %s", format, len(last), last)
		}
		flush()
	}
	if tailOf(slog.New(slog.DiscardHandler)) != nil {
		t.Error("lines of a log that remembers none")
	}
}
