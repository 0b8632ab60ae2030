package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
)

// reloading is a daemon that reads its file again when the test sends it the
// signal.
func (s *site) reloading(open opener) (r *running, reload func(logged string)) {
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
	if r.d, err = newDaemonOn(c, log, open, nil); err != nil {
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
		for end := time.Now().Add(patience); !strings.Contains(r.logged()[before:],
			logged); time.Sleep(5 * time.Millisecond) {
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
	r, reload := s.reloading(newOpener())
	ch := r.watch("app1", key, "#")
	other := radio.EUI64{0xB1, 0xC0, 0xFF, 0xEE, 0, 0, 0, 2}
	one, two := r.forwarder(testEUI), r.forwarder(other)
	one.send(1, "a")
	next(t, ch)
	two.send(2, "from a gateway that is not configured")
	none(t, ch, "an unknown gateway")

	second := "[[gateway]]\neui = \"" + other.String() +
		"\"\nid = \"second\"\nlocation = { latitude = 1.5, longitude = 2.5, altitude = 3 }\n"
	s.write("lorawand.toml", first+second+"[store]\n")
	reload("the configuration is not reloaded")
	two.send(3, "the file is faulty")
	none(t, ch, "a faulty file")
	for _, text := range []string{
		first + second + "driver = \"virtual\"\n",
	} {
		s.write("lorawand.toml", text)
		reload("the configuration is not reloaded\" error=\"unusable configuration: not served by this version")
	}
	if list := s.must("", "gateway", "list"); strings.Contains(list, "second") {
		t.Errorf("a gateway of a configuration that is not served:\n%s", list)
	}

	s.write("lorawand.toml", first+second)
	reload("the configuration is reloaded")
	s.until("second", "gateway", "list")
	two.send(4, "b")
	if m := next(t, ch); !strings.Contains(string(m.payload), `"gateway_id":"second"`) || !strings.Contains(string(m.payload), `"latitude":1.5`) {
		t.Errorf("%s", m.payload)
	}
	one.send(5, "c") // it has not forgotten the first one
	next(t, ch)
	checkReplaced(t, s, r, reload, one, first, second, ch)
}

// checkReplaced reloads a configuration without the first gateway, with another plan for
// the second, and with a key that needs a restart; and then the first one again.
func checkReplaced(
	t *testing.T, s *site, r *running, reload func(string), one *forwarder, first, second string, ch <-chan message,
) {
	t.Helper()
	without := first[:strings.Index(first, "[[gateway]]")]
	s.write("lorawand.toml", strings.Replace(without, "[store]",
		"[log]\nlevel = \"debug\"\n[network]\nrx1_delay = \"2s\"\n[store]", 1)+second+
		"frequency_plan = \"US_902_928_FSB_2\"\n")
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

// The settings in force stay in force after a restore, whatever stands in the file.
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
		done <- serve(ctx, c, slog.New(slog.DiscardHandler), nil, func(d *daemon) {
			d.level, d.source, d.reloads = level, source, hangup
		})
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

// The program takes the signal itself: with a good file, and with one that has
// faults, of which it logs one line and goes on.
func TestHangup(t *testing.T) {
	s := newSite(t, "")
	binary, logged := filepath.Join(s.dir, "lorawand"), filepath.Join(s.dir, "log")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(logged)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "run", "-c", s.conf)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	until := func(what string, times int) { t.Helper(); untilLogged(t, logged, what, times) }
	until("listening for commands", 1)
	hangUp := func(text string) {
		t.Helper()
		s.write("lorawand.toml", text)
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	second := string(conf) + "[[gateway]]\neui = \"B1C0FFEE00000002\"\nid = \"second\"\n"
	hangUp(second)
	until("the configuration is reloaded", 1)
	contains(t, "gateways", s.must("", "gateway", "list"), "second")
	hangUp("colour = 1\n[x]\n" + string(conf))
	until("the configuration is not reloaded", 1)
	until("colour: unknown key; ", 1) // all faults in that line
	s.write("lorawand.toml", second)
	contains(t, "gateways after a faulty file", s.must("", "gateway", "list"), "second")
	hangUp(string(conf))
	until("the configuration is reloaded", 2)
	if list := s.must("", "gateway", "list"); strings.Contains(list, "second") {
		t.Errorf("the second gateway is still there:\n%s", list)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it does not stop within 5 s")
	}
}

// untilLogged waits until a text stands this many times in a log file.
func untilLogged(t *testing.T, logged, what string, times int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(logged)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(b), what) == times {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not logged %d times: %s\n%s", times, what, b)
		}
	}
}
