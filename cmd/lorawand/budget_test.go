//go:build budget

package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// The budget of a gateway: "make budget" fails where a number is passed.
const (
	budgetBinary       = 22_000_000 // bytes, everything; JavaScript is 7 MB of it, the web page 0.4 MB
	budgetPackage      = 7_000_000  // bytes, .ipk for MIPS, where flash is small
	budgetLarger       = 8_000_000  // bytes, .ipk for other targets, with NATS and ChirpStack
	budgetSmall        = 11_200_000 // bytes, the small build
	budgetSmallPackage = 3_700_000  // bytes, .ipk of that
	// budgetZeroed is what a binary for a board with 32 MB may have the kernel
	// map beyond its file. Go 1.26 has an array of 32 MiB in its cryptography,
	// which is never touched; with less memory than that the kernel refuses it.
	// Source: golang/go #81505.
	budgetZeroed = 2_000_000

	budgetIdle    = 13_000_000             // bytes of RSS, 100 devices, no child for JavaScript
	budgetClients = 17_000_000             // bytes of RSS, and 50 MQTT clients
	budgetDevices = 18_000_000             // bytes of RSS, 1000 devices
	budgetStart   = 150 * time.Millisecond // to the first CONNACK
)

// outDir is where the Makefile has built.
func outDir() string { return filepath.Join("..", "..", ".build") }

// within reports a measured number, and fails when it is over its budget.
func within[N int64 | time.Duration](t testing.TB, what string, got, limit N) {
	t.Helper()
	t.Logf("%-52s %12v of %12v", what, got, limit)
	if got > limit {
		t.Errorf("%s: %v is over the budget of %v", what, got, limit)
	}
}

// tally is a test that keeps what it is told.
type tally struct {
	testing.TB
	failed bool
}

func (*tally) Helper()                 {}
func (*tally) Logf(string, ...any)     {}
func (r *tally) Errorf(string, ...any) { r.failed = true }

// The check must be able to fail.
func TestBudgetFails(t *testing.T) {
	for _, tt := range []struct {
		got  int64
		want bool
	}{{99, false}, {100, false}, {101, true}} {
		r := &tally{TB: t}
		if within(r, "x", tt.got, 100); r.failed != tt.want {
			t.Errorf("%d of 100: failed %v", tt.got, r.failed)
		}
	}
}

func TestBudgetSize(t *testing.T) {
	for _, target := range []string{"amd64", "arm64", "armv5", "armv6", "armv7", "mipsle", "mips"} {
		path := filepath.Join(outDir(), "lorawand-"+target)
		within(t, target, fileSize(t, path), budgetBinary)
		switch target {
		case "mipsle", "mips", "armv5", "armv6":
			within(t, target+", zeroed memory", zeroed(t, path), budgetZeroed)
		}
	}
	within(t, "small-mipsle", fileSize(t, filepath.Join(outDir(), "lorawand-small-mipsle")), budgetSmall)
	packages, err := filepath.Glob(filepath.Join(outDir(), "dist", "*.ipk"))
	if err != nil || len(packages) == 0 {
		t.Fatalf("no packages in %s: %v", outDir(), err)
	}
	for _, p := range packages {
		limit := int64(budgetLarger)
		switch name := filepath.Base(p); {
		case strings.HasPrefix(name, "lorawand-small_"):
			limit = budgetSmallPackage
		case strings.Contains(name, "_mips"):
			limit = budgetPackage
		}
		within(t, filepath.Base(p), fileSize(t, p), limit)
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// zeroed returns the most bytes that a segment has in memory beyond the file.
func zeroed(t testing.TB, path string) (most int64) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD {
			most = max(most, int64(p.Memsz)-int64(p.Filesz))
		}
	}
	return most
}

// weighed is the shipped binary at work, in a process of its own.
type weighed struct {
	*site
	mqtt, key string
	cmd       *exec.Cmd
	began     time.Time
	log       bytes.Buffer
}

func newWeighed(t testing.TB, devices int) *weighed {
	w := &weighed{site: newSite(t, ""), mqtt: freeTCP(t)}
	conf, err := os.ReadFile(w.conf)
	if err != nil {
		t.Fatal(err)
	}
	w.write("lorawand.toml", strings.Replace(string(conf), `listen = ["127.0.0.1:0"]`,
		fmt.Sprintf("listen = [%q]", w.mqtt), 1))
	var text strings.Builder
	for i := range devices {
		fmt.Fprintln(&text, strings.Replace(deviceJSON(fmt.Sprintf("dev%04d", i), fmt.Sprintf("0100%04X", i)),
			"0102030405060708", fmt.Sprintf("%016X", i+1), 1))
	}
	w.must(text.String(), "device", "import", "-", "--application", "app1")
	w.key = strings.TrimSpace(w.must("", "api-key", "create", "--application", "app1"))
	return w
}

// start starts the daemon and returns how long it takes until a client has its
// CONNACK.
func (w *weighed) start() (time.Duration, paho.Client) {
	w.Helper()
	w.began = time.Now()
	w.cmd = exec.Command(filepath.Join(outDir(), "lorawand-amd64"), "run", "-c", w.conf)
	w.cmd.Stderr = &w.log
	if err := w.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(w.stop)
	for time.Since(w.began) < 10*time.Second {
		c := w.client(0)
		if token := c.Connect(); token.WaitTimeout(2*time.Second) && token.Error() == nil {
			return time.Since(w.began), c
		}
		time.Sleep(time.Millisecond)
	}
	w.Fatalf("the daemon does not serve:\n%s", w.log.String())
	return 0, nil
}

func (w *weighed) stop() {
	if w.cmd != nil {
		_ = w.cmd.Process.Signal(syscall.SIGTERM)
		_ = w.cmd.Wait()
		w.cmd = nil
	}
}

func (w *weighed) client(i int) paho.Client {
	return paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + w.mqtt).SetClientID("client" + strconv.Itoa(i)).
		SetUsername("app1").SetPassword(w.key).SetAutoReconnect(false).SetConnectTimeout(time.Second))
}

// rss returns the memory that the daemon has when it has come to rest: when it is
// within the limit, or after it has given back what only its start needed and what
// only its first minute did.
func (w *weighed) rss(limit int64) int64 {
	w.Helper()
	time.Sleep(max(time.Until(w.began.Add(startOver)), 0) + 2*time.Second)
	for over := time.Now().Add(releaseEvery + startOver); ; time.Sleep(time.Second) {
		if n := w.rssNow(); n <= limit || time.Now().After(over) {
			return n
		}
	}
}

func (w *weighed) rssNow() int64 {
	w.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		w.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kB, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		w.Fatal(err)
	}
	return kB * 1024
}

func TestBudgetMemory(t *testing.T) {
	w := newWeighed(t, 100)
	_, first := w.start()
	defer first.Disconnect(0)
	within(t, "RSS, 100 devices", w.rss(budgetIdle), budgetIdle)
	for i := range 49 {
		c := w.client(i + 1)
		defer c.Disconnect(0)
		for _, ask := range []func() paho.Token{c.Connect, func() paho.Token { return c.Subscribe("#", 1, nil) }} {
			if token := ask(); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				t.Fatalf("client %d: %v", i+1, token.Error())
			}
		}
	}
	within(t, "RSS, 50 MQTT clients", w.rss(budgetClients), budgetClients)
	many := newWeighed(t, 1000)
	_, c := many.start()
	defer c.Disconnect(0)
	within(t, "RSS, 1000 devices", many.rss(budgetDevices), budgetDevices)
}

// The fastest of some starts: what else the machine does at the time only adds.
func TestBudgetStart(t *testing.T) {
	w := newWeighed(t, 100)
	fastest := time.Hour
	for range 10 {
		took, c := w.start()
		c.Disconnect(0)
		w.stop()
		fastest = min(fastest, took)
	}
	within(t, "start to the first CONNACK", fastest.Round(time.Millisecond), budgetStart)
}
