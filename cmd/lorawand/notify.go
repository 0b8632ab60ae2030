package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"
)

// notifier tells the service manager, if there is one, the state of the daemon.
// Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd.
type notifier struct {
	socket string        // "": no service manager
	feed   time.Duration // interval of the watchdog's signs of life; 0: no watchdog
	log    *slog.Logger
}

// newNotifier reads the variables that the service manager has set. pid is our
// process.
func newNotifier(env func(string) string, pid int, log *slog.Logger) *notifier {
	n := &notifier{socket: env("NOTIFY_SOCKET"), log: log}
	usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if other := env("WATCHDOG_PID"); err == nil && usec > 0 && (other == "" || other == strconv.Itoa(pid)) {
		// The manual asks for half of it; a third allows one to be late.
		n.feed = time.Duration(usec) * time.Microsecond / 3
	}
	return n
}

// tell sends one state, such as "READY=1". A service manager that does not listen
// is no reason to stop.
func (n *notifier) tell(state string) {
	if n.socket == "" {
		return
	}
	if err := send(n.socket, state); err != nil {
		n.log.Warn("cannot notify the service manager", "state", state, "error", err)
	}
}

// send sends a datagram. A path that begins with @ is in the abstract namespace, as
// in package net.
func send(socket, state string) error {
	conn, err := net.DialTimeout("unixgram", socket, time.Second)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// attend tells that the daemon is ready when turns has returned nil, which needs an
// answer from the core's loop. Then it gives signs of life as long as turns returns
// nil: a loop that hangs leads to a restart. When ctx ends it tells that the daemon
// stops. The returned function ends attend and waits for its end.
func (n *notifier) attend(ctx context.Context, turns func(context.Context) error) (stop func()) {
	if n.socket == "" {
		return func() {}
	}
	own, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if turns(own) == nil {
			n.tell("READY=1")
			n.watch(own, turns)
		}
		if ctx.Err() != nil {
			n.tell("STOPPING=1")
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// watch gives signs of life until ctx ends.
func (n *notifier) watch(ctx context.Context, turns func(context.Context) error) {
	if n.feed == 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(n.feed)
	defer tick.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, n.feed)
		err := turns(asked)
		cancel()
		switch {
		case err == nil:
			n.tell("WATCHDOG=1")
		case ctx.Err() == nil:
			n.log.Error("the core does not answer: the service manager gets no sign of life", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
