package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/udp"
	"lorawand/radio"
)

// reloading is a daemon that takes its configuration anew when it is told to.
type reloading struct {
	*site
	hangup chan os.Signal
	log    *lockedWriter
	text   *bytes.Buffer
	stop   func()
}

func (s *site) reloading() *reloading {
	s.Helper()
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	r := &reloading{site: s, hangup: make(chan os.Signal, 1), text: &bytes.Buffer{}}
	r.log = &lockedWriter{w: r.text}
	level := new(slog.LevelVar)
	sv := &service{
		config: c, load: func() (config.Config, error) { return config.Load(s.conf, true) }, hangup: r.hangup, level: level,
		log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: level})),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sv.serve(ctx) }()
	r.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				s.Error(err)
			}
		case <-time.After(5 * time.Second):
			s.Error("it does not stop within 5 s")
		}
	}
	s.until("0 refused", "status")
	return r
}

// lines returns the lines of the log so far.
func (r *reloading) lines() []string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return strings.Split(strings.TrimSpace(r.text.String()), "\n")
}

// reload writes a configuration, has it taken, and returns what the log says of it.
func (r *reloading) reload(conf string) string {
	r.Helper()
	r.write("lorawand.toml", conf)
	n := len(r.lines())
	r.hangup <- syscall.SIGHUP
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if lines := r.lines()[n:]; slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "configuration") }) {
			time.Sleep(20 * time.Millisecond) // for a second line
			return strings.Join(r.lines()[n:], "\n")
		}
		if time.Now().After(end) {
			r.Fatalf("nothing is said:\n%s", strings.Join(r.lines(), "\n"))
		}
	}
}

func (s *site) config() string {
	s.Helper()
	b, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	return string(b)
}

// Gateways and the log's level change while the daemon runs, and outlive a
// restored backup; a faulty file changes nothing.
func TestReload(t *testing.T) {
	s := newSite(t, "")
	port := freeUDP(t)
	s.write("lorawand.toml", strings.Replace(s.config(), "[udp]\nlisten = \"127.0.0.1:0\"", "[udp]\nlisten = \""+port+"\"", 1))
	base := s.config()
	r := s.reloading()
	defer r.stop()
	forwarder := func(eui radio.EUI64) (stop func()) {
		f, err := udp.NewForwarder(udp.ForwarderOptions{Server: port, EUI: eui, KeepAlive: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = f.Run(ctx) }()
		return func() { cancel(); <-done }
	}
	defer forwarder(testEUI)()
	roof := radio.EUI64{0, 0, 0, 0, 0, 0, 0, 2}
	defer forwarder(roof)()
	s.until("connected", "gateway", "list")

	for _, faulty := range []string{base + "colour = 1\n", base + "[[gateway]]\neui = \"2\"\n[log]\nlevel = \"loud\"\n", "["} {
		if said := r.reload(faulty); !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "nothing has changed") || strings.Contains(said, "\n") {
			t.Errorf("%s", said)
		}
	}
	added := base + "[[gateway]]\nid = \"roof\"\neui = \"" + roof.String() + "\"\nfrequency_plan = \"US_902_928_FSB_2\"\n"
	contains(t, "added", r.reload(added), "configuration reloaded", "gateways=2")
	const onRoof = `"gateway_id":"roof","eui":"0000000000000002","frequency_plan_id":"US_902_928_FSB_2","connected":true`
	s.until(onRoof, "gateway", "list", "--json")

	changed := strings.Replace(added, "eui = \""+testEUI.String()+"\"", "eui = \""+testEUI.String()+"\"\nid = \"cellar\"\nfrequency_plan = \"EU_863_870\"\nlocation = { altitude = -3 }", 1)
	changed = strings.Replace(changed, "[mqtt]", "[log]\nlevel = \"debug\"\nformat = \"json\"\n[mqtt]\ntenant = \"other\"", 1)
	contains(t, "changed", r.reload(changed), "log_level=debug", "level=WARN", `keys="log.format mqtt.tenant"`)
	const cellar = `"gateway_id":"cellar","eui":"A1C0FFEE00000001","frequency_plan_id":"EU_863_870","connected":true`
	contains(t, "list", s.must("", "gateway", "list", "--json"), cellar, onRoof)

	// What is in force stays so with another state.
	backup := s.must("", "backup", "-")
	s.must(backup, "restore", "-")
	s.until(cellar, "gateway", "list", "--json")
	s.until(onRoof, "gateway", "list", "--json")

	contains(t, "removed", r.reload(base), "gateways=1", "log_level=info")
	if list := s.must("", "gateway", "list"); strings.Contains(list, "roof") || strings.Contains(list, "cellar") || strings.Count(list, "\n") != 2 {
		t.Errorf("%s", list)
	}
	for end := time.Now().Add(5 * time.Second); !strings.Contains(strings.Join(r.lines(), "\n"), "refusing a gateway that is not in the configuration"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("its datagrams are taken:\n%s", strings.Join(r.lines(), "\n"))
		}
	}
}

func TestDifferences(t *testing.T) {
	a, b := config.Default(), config.Default()
	b.Network.DevAddrPrefixes = []string{}
	if keys := differences(reflect.ValueOf(a), reflect.ValueOf(b), ""); len(keys) > 0 {
		t.Errorf("%v", keys)
	}
	b.Store.Path, b.MQTT.Listen, b.MQTT.Limits.Clients, b.Network.RX1Delay = "x", nil, 7, 0
	if keys := differences(reflect.ValueOf(a), reflect.ValueOf(b), ""); !slices.Equal(keys, []string{"store.path", "network.rx1_delay", "mqtt.listen", "mqtt.limits.clients"}) {
		t.Errorf("%v", keys)
	}
}
