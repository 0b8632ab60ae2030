package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// manager is a service manager that listens.
type manager struct {
	testing.TB
	conn *net.UnixConn
	env  map[string]string
}

func newManager(t testing.TB, watchdog time.Duration) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	m := &manager{t, conn, map[string]string{"NOTIFY_SOCKET": path}}
	if watchdog > 0 {
		m.env["WATCHDOG_USEC"] = strconv.FormatInt(watchdog.Microseconds(), 10)
	}
	return m
}

func (m *manager) notifier() *notifier {
	return newNotifier(func(k string) string { return m.env[k] }, 7, slog.New(slog.DiscardHandler))
}

// hears returns what comes within a time, or "".
func (m *manager) hears(within time.Duration) string {
	m.Helper()
	b := make([]byte, 256)
	if err := m.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		m.Fatal(err)
	}
	n, err := m.conn.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

func (m *manager) wants(states ...string) {
	m.Helper()
	for _, want := range states {
		if got := m.hears(patience); got != want {
			m.Fatalf("the service manager hears %q, not %q", got, want)
		}
	}
}

func TestNotifierEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name, usec, pid string
		want            time.Duration
	}{
		{name: "no watchdog"},
		{name: "a watchdog of 30 s", usec: "30000000", want: 10 * time.Second},
		{name: "for this process", usec: "3000000", pid: "7", want: time.Second},
		{name: "for another process", usec: "3000000", pid: "8"},
		{name: "not a number", usec: "soon"},
		{name: "negative", usec: "-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := map[string]string{"WATCHDOG_USEC": tt.usec, "WATCHDOG_PID": tt.pid}
			if got := newNotifier(func(k string) string { return env[k] }, 7, nil).feed; got != tt.want {
				t.Errorf("feeds every %v, want %v", got, tt.want)
			}
		})
	}
}

// The watchdog is fed only while the core turns.
func TestNotifier(t *testing.T) {
	m := newManager(t, 90*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stuck atomic.Bool
	starts := make(chan struct{})
	stop := m.notifier().attend(ctx, func(ctx context.Context) error {
		<-starts
		if stuck.Load() {
			return errors.New("stuck")
		}
		return nil
	})
	if got := m.hears(100 * time.Millisecond); got != "" {
		t.Errorf("%q before the core turns", got)
	}
	close(starts)
	m.wants("READY=1", "WATCHDOG=1", "WATCHDOG=1")
	stuck.Store(true)
	for end := time.Now().Add(5 * time.Second); m.hears(200*time.Millisecond) != ""; {
		if time.Now().After(end) {
			t.Fatal("a core that is stuck is alive")
		}
	}
	stuck.Store(false)
	m.wants("WATCHDOG=1")
	cancel()
	stop()
	for got := ""; got != "STOPPING=1"; {
		if got = m.hears(patience); got == "" {
			t.Fatal("nothing is told of the end")
		}
	}
}

// The notifier works without a listener.
func TestNotifierAlone(t *testing.T) {
	m := newManager(t, 0)
	_ = m.conn.Close()
	stop := m.notifier().attend(t.Context(), func(context.Context) error { return nil })
	stop()
	m.env["NOTIFY_SOCKET"] = ""
	m.notifier().tell("READY=1")
	m.notifier().attend(t.Context(), func(context.Context) error { t.Error("asked"); return nil })()
}

// The daemon is ready when one can log in, and tells that it stops.
func TestRunNotifies(t *testing.T) {
	s := newSite(t, "")
	m := newManager(t, 300*time.Millisecond)
	for k, v := range m.env {
		t.Setenv(k, v)
	}
	cancel, done := beside(t, func(ctx context.Context) int {
		return run(ctx, []string{"run", "-c", s.conf}, nil, io.Discard, io.Discard)
	})
	m.wants("READY=1", "WATCHDOG=1")
	s.must("", "status")
	m.wants("WATCHDOG=1")
	cancel()
	for got := ""; got != "STOPPING=1"; {
		if got = m.hears(patience); got == "" {
			t.Fatal("nothing is told of the end")
		}
	}
	if status := <-done; status != 0 {
		t.Errorf("exit status %d", status)
	}
}
