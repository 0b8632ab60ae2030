package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recording runs a daemon that records, while f runs.
func (s *site) recording(file string, f func()) {
	s.Helper()
	var log bytes.Buffer
	cancel, done := beside(s, func(ctx context.Context) int {
		return run(ctx, []string{"run", "--record", file, "-c", s.conf}, strings.NewReader(""), io.Discard, &log)
	})
	s.until("0 refused", "status")
	f()
	cancel()
	select {
	case status := <-done:
		if status != 0 {
			s.Errorf("exit status %d\n%s", status, &log)
		}
	case <-time.After(5 * time.Second):
		s.Fatal("it does not stop within 5 s")
	}
}

// What a daemon records is replayed: what was pushed is queued again. The effects tell no keys,
// and are the same each time. The recording before it stays, and nobody else can read them.
func TestRecord(t *testing.T) {
	s := newSite(t, "")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "ephemeral = true\n", "", 1))
	s.must(deviceJSON("dev1", "01000001"), "device", "import", "-", "--application", "app1")
	file := filepath.Join(s.dir, "recording")
	for _, payload := range []string{"01", "0203"} {
		s.recording(file, func() {
			s.must("", "downlink", "push", "app1/dev1", "--f-port", "7", "--hex", payload)
		})
	}
	for name, want := range map[string]string{file: `"AgM="`, file + ".old": `"AQ=="`} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, mode %v", err, info.Mode())
		}
		status, out, errOut := s.cli("", "replay", name)
		if status != 0 || errOut != "" {
			t.Errorf("exit status %d\n%s", status, errOut)
		}
		contains(t, name, out, "Pushed Commit", `Publish {"Topic":"app1/dev1/down/queued"`, want, "Stopping Commit")
		if strings.Contains(out, testApp) || strings.Contains(out, testNwk) {
			t.Error("the effects tell a key")
		}
		if again := s.must("", "replay", name); again != out {
			t.Error("another replay has other effects")
		}
		lines := strings.Split(strings.TrimSpace(s.must("", "replay", name, "--json")), "\n")
		for _, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Errorf("no JSON: %s", line)
			}
		}
		if n := strings.Count(out, "\n"); n != len(lines) || n < 5 {
			t.Errorf("%d lines, and %d of JSON", n, len(lines))
		}
	}
}

// Whatever is no recording is neither replaced nor replayed, and the reason is told in one line.
func TestRecordRefusals(t *testing.T) {
	s := newSite(t, "")
	letter, good := s.write("letter", "hello"), filepath.Join(s.dir, "good")
	s.recording(good, func() {})
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	s.write("short", string(text[:len(text)-9]))
	s.write("open", string(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]))
	for _, tt := range []struct {
		args   string
		status int
		want   string
	}{
		{"run --record " + letter, 1, "letter is no recording: it is not replaced by one"},
		{"run --record " + s.dir, 1, "is no recording"},
		{"run --record /none/x", 1, "/none/x"},
		{"run --record x --record-limit 0", 2, "--record-limit: 0 MB, want 1 to"},
		{"replay", 2, "needs one FILE"},
		{"replay /none", 1, "/none"},
		{"replay " + s.dir, 1, "is a directory"},
		{"replay " + letter, 1, "letter: unusable recording: line 1: it does not begin as a recording of lorawand"},
		{"replay " + filepath.Join(s.dir, "short"), 1, "the file is cut off in this line"},
		{"replay " + filepath.Join(s.dir, "open"), 0, "the recording has no end"},
	} {
		status, _, errOut := s.cli("", strings.Fields(tt.args)...)
		lines := strings.Split(strings.TrimSpace(errOut), "\n")
		if last := lines[len(lines)-1]; status != tt.status || !strings.Contains(last, tt.want) {
			t.Errorf("%s: exit status %d, want %d with %q\n%s", tt.args, status, tt.status, tt.want, errOut)
		}
	}
	if b, err := os.ReadFile(letter); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}
