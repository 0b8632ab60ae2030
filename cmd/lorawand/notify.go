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

// notifier tells the service manager how the daemon is, where one wants to
// know. Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd.
type notifier struct {
	socket string        // "" is nobody
	feed   time.Duration // between two signs of life; 0: none is wanted
	log    *slog.Logger
}

// newNotifier reads what the service manager has put into the environment; pid
// is our process.
func newNotifier(env func(string) string, pid int, log *slog.Logger) *notifier {
	n := &notifier{socket: env("NOTIFY_SOCKET"), log: log}
	usec, err := strconv.ParseInt(env("WATCHDOG_USEC"), 10, 64)
	if other := env("WATCHDOG_PID"); err == nil && usec > 0 && (other == "" || other == strconv.Itoa(pid)) {
		// Half of it is what the manual asks for; a third lets one be late.
		n.feed = time.Duration(usec) * time.Microsecond / 3
	}
	return n
}

// tell sends one state, such as "READY=1". A manager that does not listen is
// no reason to stop.
func (n *notifier) tell(state string) {
	if n.socket == "" {
		return
	}
	if err := send(n.socket, state); err != nil {
		n.log.Warn("cannot notify the service manager", "state", state, "error", err)
	}
}

// send writes a datagram; a path that begins with @ is in the abstract
// namespace, as for package net.
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

// attend tells that the daemon is ready as soon as turns, which must be
// answered by the core's loop, returns nil, and gives signs of life as long as
// it goes on doing so: a loop that is stuck ends in a restart. When ctx ends it
// tells that the daemon stops. The returned function ends it, and waits.
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

// watch feeds the watchdog until ctx ends.
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
