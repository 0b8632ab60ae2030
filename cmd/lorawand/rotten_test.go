//go:build !small

package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/store/storetest"
	"lorawand/cmd/lorawand/config"
)

// rotting is a site whose store rots while the daemon is off.
type rotting struct {
	*site
	key   string
	last  uint32 // FCntDown
	fCnt  uint32 // of the uplinks
	files map[string][]byte
}

// newRotting has a daemon write its store.
func newRotting(t *testing.T) *rotting {
	t.Helper()
	disk := storetest.NewDisk(nil)
	s := &rotting{site: newWatchedSite(t)}
	r := s.startOn(newOpener(), disk)
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	s.key = strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	s.serve(t, r)
	for range 30 { // commits
		s.must("", "downlink", "replace", "app1", "dev1", "--f-port", "7", "--hex", "beef")
	}
	r.stop()
	s.files = disk.Files()
	return s
}

// serve has the daemon take uplinks, and acknowledge them with counters that were not used.
func (s *rotting) serve(t *testing.T, r *running) {
	t.Helper()
	ch, downs := r.watch("app1", s.key, "v3/app1/devices/dev1/up"), make(chan uint32, 16)
	f := r.transmitter(testEUI, sendsCounters(t, downs))
	for range 3 {
		s.fCnt++
		f.confirmed(s.fCnt)
		if m := next(t, ch); !strings.Contains(string(m.payload), fmt.Sprintf(`"f_cnt":%d`, s.fCnt)) {
			t.Errorf("%s", m.payload)
		}
		select {
		case n := <-downs:
			if n <= s.last {
				t.Errorf("FCntDown %d after %d", n, s.last)
			}
			s.last = n
		case <-time.After(patience):
			t.Errorf("uplink %d is not acknowledged", s.fCnt)
		}
	}
}

// Files of the store rot while the daemon is off. It says so, serves with what is left, and uses no frame counter
// again that it may have used.
func TestRottenStore(t *testing.T) {
	s := newRotting(t)
	last, fCnt := s.last, s.fCnt
	for name, rots := range map[string]func(name string, b []byte){
		"a part of the journal": func(name string, b []byte) {
			if strings.HasPrefix(name, "journal") {
				at := len(bytes.TrimRight(b, "\x00")) * 3 / 4 // behind that is more
				clear(b[at : at+16])
			}
		},
		"the mark": func(name string, b []byte) {
			if name == "state" {
				b[len(b)/2] ^= 1
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(s.files)
			for name, b := range files {
				files[name] = slices.Clone(b)
				rots(name, files[name])
			}
			r := s.startOn(newOpener(), storetest.NewDisk(files))
			s.last, s.fCnt = last, fCnt
			s.serve(t, r)
			if log := r.logged(); !strings.Contains(log, "the store is damaged") {
				t.Errorf("not in the log:\n%s", log)
			}
			contains(t, "status", s.must("", "status"), "WAS DAMAGED")
			r.stop()
		})
	}
}

// Where nothing of the store is left the daemon says so, and changes none of its files.
func TestNothingOfStoreIsLeft(t *testing.T) {
	s := newRotting(t)
	for name, b := range s.files {
		s.files[name] = bytes.Repeat([]byte{0xA5}, len(b))
	}
	disk := storetest.NewDisk(s.files)
	c, err := config.Load(s.conf, true)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newDaemonOn(c, slog.New(slog.DiscardHandler), newOpener(), disk)
	if err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with nothing left it starts: %v", err)
	}
	if !maps.EqualFunc(disk.Files(), s.files, bytes.Equal) {
		t.Error("what has rotted is changed")
	}
}
