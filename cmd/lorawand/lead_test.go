//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/store/jetstream"
	"lorawand/bridge/store/jetstream/natstest"
	"lorawand/cmd/lorawand/config"
)

// onNATS has a site keep its state in a bucket.
func (s *site) onNATS(c *natstest.Cluster, name string) { s.Helper(); s.onServer(c.Address(0), name) }

func (s *site) onServer(address, name string) {
	s.Helper()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	s.write("lorawand.toml", strings.Replace(string(conf), "[store]",
		fmt.Sprintf("[store]\nurl = %q\nname = %q", "nats://"+address, name), 1))
}

// follow runs the daemon of a site until the test ends, and returns what it has ended with.
func (s *site) follow() (stop func() error) {
	s.Helper()
	return s.followAs(slog.New(slog.DiscardHandler))
}

func (s *site) followAs(log *slog.Logger) (stop func() error) {
	s.Helper()
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	cancel, done := beside(s, func(ctx context.Context) error { return serve(ctx, c, log, nil, nil) })
	return func() error { cancel(); return <-done }
}

func (s *site) status() string {
	_, out, errOut := s.cli("", "status")
	return out + errOut
}

// awaitStatus waits until the status says something.
func (s *site) awaitStatus(want string) {
	s.Helper()
	var got string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = s.status(); strings.Contains(got, want) {
			return
		}
	}
	s.Fatalf("the status does not say %q but\n%s", want, got)
}

// One machine leads and the other one stands by; commands are for the one that leads. When it stops, the
// other one has all.
func TestStandsBy(t *testing.T) {
	c := natstest.Start(t, 1, freeTCP)
	one, two := newSite(t, ""), newSite(t, "")
	one.onNATS(c, "one")
	two.onNATS(c, "two")
	one.must(deviceJSON("dev1", "01000001"), "device", "import", "-", "--application", "app1") // no daemon runs
	stopOne := one.follow()
	one.awaitStatus("leads:     one")
	stopTwo := two.follow()
	two.awaitStatus("this machine stands by")
	one.awaitStatus("standby:   two, ")
	for _, args := range []string{"device list", "api-key create --application app1", "backup -"} {
		status, _, errOut := two.cli("", strings.Fields(args)...)
		if status != 1 || !strings.Contains(errOut, "one leads since") {
			t.Errorf("%v on the other machine: exit status %d, %s", args, status, errOut)
		}
	}
	second := strings.Replace(deviceJSON("dev2", "01000002"), "0102030405060708", "0102030405060709", 1)
	one.must(second, "device", "import", "-", "--application", "app1")
	if !strings.Contains(two.must("", "status", "--json"), `"leads":false`) ||
		!strings.Contains(one.must("", "status", "--json"), `"leads":true`) {
		t.Error("the status in JSON does not say who leads")
	}
	if err := stopOne(); err != nil {
		t.Error(err)
	}
	two.awaitStatus("leads:     two")
	if got := two.must("", "device", "list", "--json"); !strings.Contains(got, "dev1") || !strings.Contains(got, "dev2") {
		t.Errorf("the second machine has %s", got)
	}
	// A third one, which has the same bucket and no daemon, is told who leads; a backup can be had.
	three := newSite(t, "")
	three.onNATS(c, "three")
	if status, _, errOut := three.cli("", "device", "list"); status != 1 || !strings.Contains(errOut, "two leads since") {
		t.Errorf("a command beside the leader: exit status %d, %s", status, errOut)
	}
	if got := three.must("", "backup", "-"); !strings.Contains(got, "app1/dev2") {
		t.Errorf("the backup is %.200s", got)
	}
	if err := stopTwo(); err != nil {
		t.Error(err)
	}
	if err := func() error { stop := three.follow(); three.awaitStatus("leads:     three"); return stop() }(); err != nil {
		t.Error(err)
	}
}

// A stop does not wait for a restore whose servers take long.
func TestStopsInRestore(t *testing.T) {
	c := natstest.Start(t, 1, freeTCP)
	way := natstest.NewProxy(t, c.Address(0))
	s := newSite(t, "")
	s.onServer(way.Address(), "one")
	var devices strings.Builder
	for i := range 2000 {
		d := deviceJSON(killName(i), fmt.Sprintf("0100%04X", i))
		fmt.Fprintln(&devices, strings.Replace(d, "0102030405060708", fmt.Sprintf("%016X", i+1), 1))
	}
	s.must(devices.String(), "device", "import", "-", "--application", "app1")
	text := &bytes.Buffer{}
	log := &lockedWriter{w: text}
	stop := s.followAs(slog.New(slog.NewTextHandler(log, nil)))
	s.awaitStatus("leads:     one")
	backup := s.write("backup", s.must("", "backup", "-"))
	way.Slow(800 * time.Millisecond)
	_, restored := beside(t, func(context.Context) int {
		status, _, _ := s.cli("", "restore", "--yes", backup)
		return status
	})
	eventually(t, patience, "it stops", func() bool {
		log.mu.Lock()
		defer log.mu.Unlock()
		return strings.Contains(text.String(), "lorawand stops")
	})
	begin := time.Now()
	if err := stop(); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("it stops after %v with %v", time.Since(begin), err)
	}
	if status := <-restored; status == 0 {
		t.Error("restored before it was to stop: that tests nothing")
	}
}

// The state goes to NATS and back, and is never in force in two places: where it was, counters skip ahead.
func TestStoreCopy(t *testing.T) {
	c := natstest.Start(t, 1, freeTCP)
	s := newSite(t, "")
	s.must(deviceJSON("dev1", "01000001"), "device", "import", "-", "--application", "app1")
	before := s.must("", "backup", "-")
	files, other := filepath.Join(s.dir, "store"), filepath.Join(s.dir, "other")
	s.onNATS(c, "one")
	if got := s.must("", "store", "copy", files, "nats"); !strings.Contains(got, "copied") {
		t.Error(got)
	}
	if got := s.must("", "backup", "-"); got != before {
		t.Errorf("on NATS is\n%s\nit was\n%s", got, before)
	}
	old, err := store.Open(files, store.Options{Ephemeral: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil || !old.Behind() {
		t.Errorf("the files do not know that the state goes on elsewhere: %v", err)
	}
	_ = old.Close()
	status, _, errOut := s.cli("", "store", "copy", files, "nats")
	if status != 1 || !strings.Contains(errOut, "has a state already") {
		t.Errorf("over another state: exit status %d, %s", status, errOut)
	}
	s.must("", "store", "copy", "nats", other)
	s.must("", "store", "copy", other, files) // which was left before
	st, err := store.Open(files, store.Options{Ephemeral: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var text bytes.Buffer
	if err := st.Backup(&text); err != nil || text.String() != before || st.Behind() {
		t.Errorf("back in files is %v, behind %v\n%s", err, st.Behind(), &text)
	}
	for args, want := range map[string]string{
		"/nowhere nats":     "there is no state in /nowhere",
		"nats":              "needs FROM and TO",
		other + " http://a": "must be like",
		files + " " + other: "in use by another process",
	} {
		status, _, errOut := s.cli("", append([]string{"store", "copy"}, strings.Fields(args)...)...)
		if status == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit status %d, %s", args, status, errOut)
		}
	}
}

// Servers that have nothing of what this machine has seen are not served from.
func TestGoneState(t *testing.T) {
	c := natstest.Start(t, 1, freeTCP)
	s := newSite(t, "")
	s.onNATS(c, "one")
	s.must(deviceJSON("dev1", "01000001"), "device", "import", "-", "--application", "app1")
	mark := filepath.Join(s.dir, "store", "jetstream-lorawand")
	text, err := os.ReadFile(mark)
	if err != nil || strings.Trim(string(text), "0\n") == "" {
		t.Fatalf("the mark is %q, %v", text, err)
	}
	empty := natstest.Start(t, 1, freeTCP)
	s2 := newSite(t, "")
	s2.onNATS(empty, "one")
	if err := os.MkdirAll(filepath.Join(s2.dir, "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	s2.write(filepath.Join("store", "jetstream-lorawand"), string(text))
	if status, _, errOut := s2.cli("", "device", "list"); status != 1 || !strings.Contains(errOut, "it is gone") ||
		!strings.Contains(errOut, "delete "+filepath.Join(s2.dir, "store", "jetstream-lorawand")) {
		t.Errorf("exit status %d, %s", status, errOut)
	}
	o := jetstream.Options{Servers: []string{"nats://" + empty.Address(0)}, After: 1}
	if _, _, err := jetstream.Read(t.Context(), o); !errors.Is(err, jetstream.ErrStream) {
		t.Errorf("the stream was made all the same: %v", err)
	}
}
