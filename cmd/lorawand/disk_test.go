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
	"path/filepath"
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

// acknowledged is a device whose uplinks are published, and acknowledged with counters that never go back.
type acknowledged struct {
	*running
	site  *site
	f     *forwarder
	ups   <-chan message
	downs chan uint32
	last  uint32 // FCntDown
}

// answering has a daemon serve the device, whose first uplink is answered.
func (r *running) answering(s *site) *acknowledged {
	r.Helper()
	a := &acknowledged{running: r, site: s, downs: make(chan uint32, 16)}
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	a.ups = r.watch("app1", key, "v3/app1/devices/dev1/up")
	a.f = r.transmitter(testEUI, sendsCounters(s, a.downs))
	a.answered(0)
	r.ready(200)
	return a
}

// answered sends a confirmed uplink, and waits for what comes of it.
func (a *acknowledged) answered(fCnt uint32) {
	a.Helper()
	a.f.confirmed(fCnt)
	if m := next(a, a.ups); !strings.Contains(string(m.payload), fmt.Sprintf(`"f_cnt":%d`, fCnt)) && fCnt > 0 {
		a.Errorf("%s", m.payload)
	}
	select {
	case n := <-a.downs:
		if n <= a.last {
			a.Errorf("FCntDown %d after %d", n, a.last)
		}
		a.last = n
	case <-time.After(patience):
		a.Errorf("uplink %d is not acknowledged", fCnt)
	}
}

// survives has a device answered while the disk fails, and again when it works. Its uplinks 0 to 4 are sent then.
func (a *acknowledged) survives(fault error, fail, mend func()) {
	a.Helper()
	fail()
	contains(a, "a key", a.site.fails("", "api-key", "create", "--application", "app1"), fault.Error())
	for n := range 3 {
		a.answered(uint32(n) + 1)
	}
	contains(a, "/readyz", a.ready(503), fault.Error())
	if log := a.logged(); !strings.Contains(log, "the store cannot be written") || !strings.Contains(log, fault.Error()) {
		a.Errorf("not in the log:\n%s", log)
	}
	contains(a, "status", a.site.until("CANNOT BE WRITTEN", "status"), fault.Error())
	push := []string{"downlink", "push", "app1", "dev1", "--f-port", "7", "--hex", "beef"}
	contains(a, "a push", a.site.fails("", push...), fault.Error())
	mend()
	a.ready(200)
	a.site.must("", push...)
	a.answered(4)
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
			r.answering(s).survives(fault,
				func() { disk.Fail(func(string, string) error { return fault }) }, func() { disk.Fail(nil) })
			r.stop()
			if len(disk.Files()) == 0 {
				t.Error("nothing was written")
			}
		})
	}
}

// The same with a file system of 1 MB that is full, and a restart behind it.
func TestDiskFull(t *testing.T) {
	s := newWatchedSite(t)
	folder := filepath.Join(s.dir, "store")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=700"); errors.Is(err, os.ErrPermission) {
		t.Skip("only root can mount a file system:", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r := s.start()
	a := r.answering(s)
	filler := filepath.Join(folder, "filler")
	a.survives(unix.ENOSPC, func() {
		fill(t, filler)
		for range 1000 { // the last block of the store's file has room for some
			if status, _, _ := s.cli("", "api-key", "create", "--application", "app1"); status != 0 {
				return
			}
		}
	}, func() {
		if err := os.Remove(filler); err != nil {
			t.Error(err)
		}
	})
	r.stop()
	r = s.start()
	a.running, a.f = r, r.transmitter(testEUI, sendsCounters(t, a.downs))
	key := strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
	a.ups = r.watch("app1", key, "v3/app1/devices/dev1/up")
	a.answered(5)
}

// fill writes a file until its file system is full.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// sendsCounters returns a Transmit that sends FCntDown of each downlink to a channel.
func sendsCounters(t testing.TB, downs chan<- uint32) func(radio.Downlink) radio.TxResult {
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
