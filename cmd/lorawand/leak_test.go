//go:build !small

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"lorawand/cmd/lorawand/demo"
	"lorawand/concentrator/udp"
)

// held is what a process must not have more of with each client that comes and goes.
type held struct{ goroutines, descriptors int }

func holds(t testing.TB) held {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no /proc: %v", err)
	}
	return held{runtime.NumGoroutine(), len(open)}
}

// steady waits until nothing of what has just ended is on its way any more.
func steady(t testing.TB) held {
	t.Helper()
	last, same := holds(t), 0
	for end := time.Now().Add(5 * time.Second); same < 10 && time.Now().Before(end); same++ {
		time.Sleep(20 * time.Millisecond)
		if now := holds(t); now != last {
			last, same = now, 0
		}
	}
	return last
}

// settlesAt waits until the process has no more than it had, and complains with what it has.
func settlesAt(t testing.TB, most held, what string) {
	t.Helper()
	var now held
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now = holds(t)
		if now.goroutines <= most.goroutines && now.descriptors <= most.descriptors {
			return
		}
	}
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
	t.Errorf("%s leaves %d goroutines and %d descriptors, %d and %d were there before\n%s", what, now.goroutines,
		now.descriptors, most.goroutines, most.descriptors, stacks.String())
}

// visit is everybody coming once and going again: a packet forwarder with a frame, an MQTT client
// that gets it, one with a wrong key, commands, a push and a reader of the metrics.
func visit(t *testing.T, r *running, s *site, key string, n uint32) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, ready, gone := make(chan struct{}, 1), make(chan struct{}), make(chan struct{}, 2)
	login := demo.Login{Broker: r.d.mqttAddr().String(), User: "app1", Password: key}
	go func() {
		_ = login.Watch(ctx, "v3/app1/devices/dev1/up", func() { close(ready) }, func(string, []byte) { got <- struct{}{} })
		gone <- struct{}{}
	}()
	select {
	case <-ready:
	case <-time.After(patience):
		t.Fatal("no subscription")
	}
	f, err := udp.NewForwarder(udp.ForwarderOptions{Server: r.d.udp.Addr().String(), EUI: testEUI})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.Run(ctx); gone <- struct{}{} }()
	(&forwarder{f, t}).send(n, "x")
	select {
	case <-got:
	case <-time.After(patience):
		t.Fatalf("no message in %v", patience)
	}
	login.Password = "wrong"
	if err := login.Watch(ctx, "#", func() {}, func(string, []byte) {}); err == nil {
		t.Error("a wrong key is let in")
	}
	s.must("", "device", "list")
	s.must("", "downlink", "replace", "app1", "dev1", "--f-port", "7", "--hex", fmt.Sprintf("%04x", n))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	resp, err := client.Get("http://" + r.d.http.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	cancel()
	<-gone
	<-gone
}

// Whoever comes and goes leaves no goroutine and no open file behind, and so does the daemon.
func TestNothingLeaks(t *testing.T) {
	const visits = 4
	start := func() (*site, *running, string) {
		s := newWatchedSite(t)
		s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
		key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
		return s, s.start(), key
	}
	_, r, _ := start() // what a process makes once: the poller of the network, caches
	r.stop()
	before := steady(t)
	s, r, key := start()
	visit(t, r, s, key, 1)
	during := steady(t)
	for n := range uint32(visits) {
		visit(t, r, s, key, n+2)
	}
	settlesAt(t, during, "visitors")
	r.stop()
	settlesAt(t, before, "the daemon")
	t.Logf("goroutines and descriptors: %v at work, %v after the stop", during, holds(t))
}
