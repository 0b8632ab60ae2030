package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// reloading is a daemon that reads its file again when the test sends it the
// signal.
func (s *site) reloading() (r *running, reload func(logged string)) {
	s.Helper()
	source := func() (config.Config, error) { return config.Load(s.conf, true) }
	c, err := source()
	if err != nil {
		s.Fatal(err)
	}
	r = &running{TB: s.TB, text: &bytes.Buffer{}}
	r.log = &lockedWriter{w: r.text}
	level, hangup := new(slog.LevelVar), make(chan os.Signal, 1)
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: level}))
	if r.d, err = newDaemon(c, log); err != nil {
		s.Fatal(err)
	}
	r.d.level, r.d.source, r.d.reloads = level, source, hangup
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.d.run(ctx) }()
	s.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.Error(err)
		}
	})
	return r, func(logged string) {
		s.Helper()
		before := len(r.logged())
		hangup <- syscall.SIGHUP
		for end := time.Now().Add(5 * time.Second); !strings.Contains(r.logged()[before:], logged); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				s.Fatalf("not logged: %s\n%s", logged, r.logged()[before:])
			}
		}
	}
}

// Gateways come and go, and change their plans, while the daemon runs; a file
// with faults changes nothing.
func TestReload(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	first := string(conf)
	r, reload := s.reloading()
	ch := r.watch("app1", key, "#")
	other := radio.EUI64{0xB1, 0xC0, 0xFF, 0xEE, 0, 0, 0, 2}
	one, two := r.forwarder(testEUI), r.forwarder(other)
	one.send(1, "a")
	next(t, ch)
	two.send(2, "from a gateway that is not configured")
	none(t, ch, "an unknown gateway")

	second := "[[gateway]]\neui = \"" + other.String() + "\"\nid = \"second\"\nlocation = { latitude = 1.5, longitude = 2.5, altitude = 3 }\n"
	s.write("lorawand.toml", first+second+"[store]\n")
	reload("the configuration is not reloaded")
	two.send(3, "the file is faulty")
	none(t, ch, "a faulty file")

	s.write("lorawand.toml", first+second)
	reload("the configuration is reloaded")
	s.until("second", "gateway", "list")
	two.send(4, "b")
	if m := next(t, ch); !strings.Contains(string(m.payload), `"gateway_id":"second"`) || !strings.Contains(string(m.payload), `"latitude":1.5`) {
		t.Errorf("%s", m.payload)
	}
	one.send(5, "c") // it has not forgotten the first one
	next(t, ch)

	// The first goes, the second has another plan, and one key needs a restart.
	without := first[:strings.Index(first, "[[gateway]]")]
	s.write("lorawand.toml", strings.Replace(without, "[store]", "[log]\nlevel = \"debug\"\n[network]\nrx1_delay = \"2s\"\n[store]", 1)+second+"frequency_plan = \"US_902_928_FSB_2\"\n")
	reload("need a restart\" keys=network.rx1_delay")
	s.until("US_902_928_FSB_2", "gateway", "list")
	if list := s.must("", "gateway", "list"); strings.Contains(list, strings.ToLower(testEUI.String())) {
		t.Errorf("the first gateway is still there:\n%s", list)
	}
	one.send(6, "d")
	none(t, ch, "a gateway that has gone")
	if r.d.level.Level() != slog.LevelDebug {
		t.Errorf("log level %v", r.d.level.Level())
	}
	s.write("lorawand.toml", first)
	reload("the configuration is reloaded")
	one.send(7, "e")
	if m := next(t, ch); !strings.Contains(string(m.payload), `"f_cnt":7`) {
		t.Errorf("%s", m.payload)
	}
}

// What is in force stays so with another state, whatever stands in the file.
func TestReloadThenRestore(t *testing.T) {
	s := newSite(t, "")
	source := func() (config.Config, error) { return config.Load(s.conf, true) }
	c, err := source()
	if err != nil {
		t.Fatal(err)
	}
	level, hangup := new(slog.LevelVar), make(chan os.Signal, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, c, slog.New(slog.DiscardHandler), func(d *daemon) { d.level, d.source, d.reloads = level, source, hangup })
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	s.until("0 refused", "status")
	first, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write("lorawand.toml", string(first)+"[[gateway]]\nid = \"roof\"\neui = \"0000000000000002\"\n")
	hangup <- syscall.SIGHUP
	s.until("roof", "gateway", "list")
	s.write("lorawand.toml", string(first))
	backup := s.must("", "backup", "-")
	s.must(backup, "restore", "-")
	s.until("roof", "gateway", "list")
}
