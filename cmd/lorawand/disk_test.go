//go:build !small

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/store/storetest"
	"lorawand/cmd/lorawand/config"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// confirmed forwards a confirmed uplink of the test device.
func (f *forwarder) confirmed(fCnt uint32) {
	f.Helper()
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.ConfirmedUp, DevAddr: testAddr, HasFPort: true, FPort: 1,
		FRMPayload: []byte("x"),
	}, fCnt, testKeys(f.TB))
	if err != nil {
		f.Fatal(err)
	}
	f.again(phy)
}

// ready asks for /readyz until it has a status.
func (r *running) ready(status int) (body string) {
	r.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + r.d.http.Addr().String() + "/readyz")
		if err != nil {
			r.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			r.Fatal(err)
		}
		if resp.StatusCode == status {
			return string(b)
		}
		if time.Now().After(end) {
			r.Fatalf("/readyz: %d, want %d\n%s", resp.StatusCode, status, b)
		}
	}
}

// newWatchedSite returns a site with HTTP, and commits ten times a second.
func newWatchedSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, "")
	conf, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(conf), "[http]\nlisten = \"\"", "[http]\nlisten = \"127.0.0.1:0\"", 1)
	s.write("lorawand.toml", strings.Replace(text, "[store]", "[store]\ncommit_interval = \"100ms\"", 1))
	return s
}

// While the disk is full, read-only or broken, uplinks are published and
// acknowledged with counters that were reserved before; log and /readyz say why.
// When it works again so does everything, without a restart.
func TestDiskFails(t *testing.T) {
	for _, fault := range []error{unix.ENOSPC, unix.EROFS, unix.EIO} {
		t.Run(fault.Error(), func(t *testing.T) {
			t.Parallel()
			disk := storetest.NewDisk(nil)
			s := newWatchedSite(t)
			r := s.startOn(newOpener(), disk)
			s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
			key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
			ch := r.watch("app1", key, "v3/app1/devices/dev1/up")
			downs := make(chan uint32, 16)
			f := r.transmitter(testEUI, sendsCounters(t, downs))
			last := uint32(0)
			answered := func(fCnt uint32) {
				t.Helper()
				f.confirmed(fCnt)
				if m := next(t, ch); !strings.Contains(string(m.payload), fmt.Sprintf(`"f_cnt":%d`, fCnt)) && fCnt > 0 {
					t.Errorf("%s", m.payload)
				}
				select {
				case n := <-downs:
					if n <= last {
						t.Errorf("FCntDown %d after %d", n, last)
					}
					last = n
				case <-time.After(patience):
					t.Errorf("uplink %d is not acknowledged", fCnt)
				}
			}
			answered(0)
			r.ready(200)
			disk.Fail(func(string, string) error { return fault })
			contains(t, "a key", s.fails("", "api-key", "create", "--application", "app1"), fault.Error())
			for n := range 3 {
				answered(uint32(n) + 1)
			}
			contains(t, "/readyz", r.ready(503), fault.Error())
			if log := r.logged(); !strings.Contains(log, "the store cannot be written") ||
				!strings.Contains(log, fault.Error()) {
				t.Errorf("not in the log:\n%s", log)
			}
			contains(t, "status", s.until("CANNOT BE WRITTEN", "status"), fault.Error())
			contains(t, "a push", s.fails("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef"),
				fault.Error())
			disk.Fail(nil)
			r.ready(200)
			s.must("", "downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef")
			answered(4)
			r.stop()
			if len(disk.Files()) == 0 {
				t.Error("nothing was written")
			}
		})
	}
}

// sendsCounters returns a Transmit that sends FCntDown of each downlink to a channel.
func sendsCounters(t *testing.T, downs chan<- uint32) func(radio.Downlink) radio.TxResult {
	return func(d radio.Downlink) radio.TxResult {
		data, err := frame.ParseData(d.PHYPayload)
		if err != nil {
			t.Error(err)
		}
		downs <- uint32(data.FCnt)
		return radio.TxOK
	}
}

// A disk that hangs holds a stop for less than 5 s, and the log says so: in the
// last commit, and in one that a command waits for.
func TestStopWhileDiskHangs(t *testing.T) {
	for name, busy := range map[string]func(s *site, asked func() bool){
		"in the last commit": func(*site, func() bool) {},
		"in a command's": func(s *site, asked func() bool) {
			beside(s, func(context.Context) int {
				status, _, _ := s.cli("", "api-key", "create", "--application", "app1")
				return status
			})
			eventually(s, patience, "the disk is asked", asked)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := storetest.NewDisk(nil)
			s := newSite(t, "")
			c, err := config.Load(s.conf, true)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			log := &lockedWriter{w: &text}
			d, err := newDaemonOn(c, slog.New(slog.NewTextHandler(log, nil)), newOpener(), disk)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- d.run(ctx) }()
			r := &running{TB: t, d: d}
			s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
			key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
			ch := r.watch("app1", key, "v3/app1/devices/dev1/up")
			hangs := make(chan struct{})
			defer close(hangs)
			var asked atomic.Bool
			disk.Fail(func(string, string) error { asked.Store(true); <-hangs; return nil })
			r.forwarder(testEUI).send(1, "x") // whose counter is to be committed
			next(t, ch)
			busy(s, asked.Load)
			begin := time.Now()
			cancel()
			select {
			case err := <-done:
				if took := time.Since(begin); !errors.Is(err, errStop) || took > 5*time.Second {
					t.Errorf("ends after %v with %v", took, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the daemon does not stop")
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			contains(t, "the log", text.String(), "lorawand does not wait any longer", "the disk may not answer")
		})
	}
}
