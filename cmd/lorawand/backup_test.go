package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/state"
	"lorawand/cmd/lorawand/config"
)

// serving is a daemon that begins anew when it is to: its sockets stay.
func (s *site) serving() (stop func()) {
	s.Helper()
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		s.Fatal(err)
	}
	text := strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`, fmt.Sprintf("listen = [%q]", freeTCP(s.TB)), 1)
	s.write("lorawand.toml", strings.Replace(text, `listen = "127.0.0.1:0"`, fmt.Sprintf("listen = %q", freeUDP(s.TB)), 1))
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	cancel, done := beside(s, func(ctx context.Context) error {
		return serve(ctx, c, slog.New(slog.DiscardHandler), nil, nil)
	})
	s.until("0 refused", "status")
	return func() {
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
}

// stored returns what the store of a site holds, while no daemon has it.
func (s *site) stored() state.State {
	s.Helper()
	c, err := config.Load(s.conf, true)
	if err != nil {
		s.Fatal(err)
	}
	st, state, err := openState(context.Background(), c, nil)
	if err != nil {
		s.Fatal(err)
	}
	if err := st.Close(); err != nil {
		s.Fatal(err)
	}
	return state
}

// withoutCounters is a backup without counters, of which a daemon has reserved
// some, and without its sum.
func withoutCounters(backup string) string {
	return regexp.MustCompile(`(?m)^\{"(kind":"counters|records).*\n`).ReplaceAllString(backup, "")
}

// A backup is the same, and is restored in the same way, whether a daemon runs
// or not.
func TestBackup(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			s := newSite(t, "")
			s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
			s.must("", "api-key", "create", "--application", "app1")
			offline := s.must("", "backup", "-")
			file := filepath.Join(s.dir, "backup")
			stop := func() {}
			if live {
				stop = s.serving()
			}
			s.must("", "backup", file)
			text, err := os.ReadFile(file)
			if err != nil || !live && string(text) != offline || withoutCounters(string(text)) != withoutCounters(offline) {
				t.Errorf("%v, the backup is\n%s\nand of the store at rest\n%s", err, text, offline)
			}
			if info, err := os.Stat(file); err != nil || info.Mode() != fs.FileMode(0o600) {
				t.Errorf("%v, %v", info, err)
			}
			stop()
			s.must(deviceJSON("dev2", "01000002"), "device", "import", "-", "--application", "app1")
			if live {
				stop = s.serving()
			}
			for _, bad := range []string{"", offline[:len(offline)-30], strings.Replace(offline, "dev1", "dev9", 1)} {
				if status, _, errOut := s.cli(bad, "restore", "-"); status != 1 || !strings.Contains(errOut, "not a whole backup") {
					t.Errorf("exit status %d\n%s", status, errOut)
				}
			}
			if out := s.must("", "restore",
				file); out != "devices: 1 restored, 1 go on from the store's counters, 0 skipped ahead\n" {
				t.Errorf("restored: %s", out)
			}
			if live {
				s.until("1, 0 joins", "status") // device
			}
			stop()
			st := s.stored()
			if st.Devices.Len() != 1 || st.Keys.Len() != 1 {
				t.Fatalf("%d devices, %d API keys", st.Devices.Len(), st.Keys.Len())
			}
			// What a running daemon has reserved for the first downlink counts as used in its backup.
			next, _ := st.Devices.All()[0].Session.NextFCntDown(st.Devices.All()[0].Version, true)
			if next != 1 && (next != 2 || !live) {
				t.Errorf("the next downlink has the counter %d", next)
			}
			if old, err := filepath.Glob(filepath.Join(s.dir, "store", "*.old")); err != nil || len(old) == 0 {
				t.Errorf("nothing was kept of the state before: %v, %v", old, err)
			}
		})
	}
}

// A restored device that the store does not know skips ahead, and the command says so.
func TestRestoreSkipsAhead(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	backup := s.must("", "backup", "-")
	store := filepath.Join(s.dir, "store")
	for _, tt := range []struct {
		name string
		loss func() error
		want string
		next uint32
	}{
		{"the store is there", func() error {
			return nil
		}, "devices: 1 restored, 1 go on from the store's counters, 0 skipped ahead\n", 1},
		{"the store is lost", func() error {
			return os.RemoveAll(store)
		}, "devices: 1 restored, 0 go on from the store's counters, 1 skipped ahead\n", 8193},
		{"restored once more", func() error {
			return nil
		}, "devices: 1 restored, 1 go on from the store's counters, 0 skipped ahead\n", 8193},
		{"the store cannot be read", func() error {
			snapshots, err := filepath.Glob(store + "/snapshot-*[0-9]")
			for _, name := range snapshots {
				err = errors.Join(err, os.WriteFile(name, []byte("?"), 0o600))
			}
			return err
		}, "the store could not be read to its end, so all devices have skipped ahead\ndevices: 1 restored, 0 go on from " +
			"the store's counters, 1 skipped ahead\n", 8193},
	} {
		if err := tt.loss(); err != nil {
			t.Fatal(err)
		}
		if out := s.must(backup, "restore", "-"); out != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, out, tt.want)
		}
		d := s.stored().Devices.All()[0]
		if next, _ := d.Session.NextFCntDown(d.Version, true); next != tt.next {
			t.Errorf("%s: the next downlink has the counter %d, want %d", tt.name, next, tt.next)
		}
	}
}
