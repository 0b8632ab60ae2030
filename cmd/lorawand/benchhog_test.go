//go:build !small

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// costsBesideHog are what the driver of the chip misses beside a program that never stops,
// on one CPU that both share: of 1 000 downlinks, and of the frames that are heard meanwhile.
// -10 is the priority that the packages give the daemon.
func costsBesideHog(b *testing.B) (out []cost) {
	b.Helper()
	const count = 1000
	binary := driverTests(b)
	rows := []struct {
		nice       int
		most       float64 // late
		late, lost float64
	}{{-10, 0, 0, 0}, {0, 1, 0, 0}}
	var wg sync.WaitGroup
	for i := range rows { // at the same time, where there are as many CPUs
		run := func() { rows[i].late, rows[i].lost = besideHog(b, binary, count, rows[i].nice, i) }
		if wg.Go(run); runtime.NumCPU() < len(rows) {
			wg.Wait()
		}
	}
	wg.Wait()
	for _, at := range rows {
		what := fmt.Sprintf("late of %d downlinks beside a CPU hog, at nice %d", count, at.nice)
		most, mostLost := at.most, 0.0
		if niceness(b, at.nice)-niceness(b, 0) != at.nice {
			what, most, mostLost = what+", which root may have", unlimited, unlimited
		}
		out = append(out, cost{what, at.late, "", most}, cost{"frames lost meanwhile", at.lost, "", mostLost})
	}
	return out
}

// driverTests builds the program of the driver's tests.
func driverTests(b testing.TB) (binary string) {
	b.Helper()
	binary = filepath.Join(b.TempDir(), "sx1302.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "lorawand/concentrator/sx1302")
	if text, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	return binary
}

// hogEnv asks for more downlinks than the few that every test run has, and for equal priority too, which
// wants a machine that does nothing else.
const hogEnv = "LORAWAND_HOG"

// TestBesideHog has a program that never stops on the only CPU of the driver: at the priority that the packages give
// the daemon no downlink is late, and no frame is lost; at equal priority one in a thousand may be late. The short
// form has only the first, and allows for a machine that is busy with something else.
func TestBesideHog(t *testing.T) { // not beside others, which it would hold up
	binary, count := driverTests(t), 100
	type row struct {
		nice int
		late float64 // of a thousand
	}
	rows := []row{{-10, 30}} // something else may hold the machine up, once
	if n, err := strconv.Atoi(os.Getenv(hogEnv)); err == nil {
		count, rows = n, []row{{-10, 0}, {0, 1}}
	}
	for _, r := range rows {
		if niceness(t, r.nice)-niceness(t, 0) != r.nice {
			t.Skipf("priority %d is for root", r.nice)
		}
		late, lost := besideHog(t, binary, count, r.nice, 0)
		t.Logf("at nice %d: %.0f of %d downlinks late, %.0f frames lost", r.nice, late, count, lost)
		if late > r.late*float64(count)/1000 || lost > 0 && r.late == 0 {
			t.Error("that is too many")
		}
	}
}

// niceness returns what a program gets that asks for so much more of it.
func niceness(b testing.TB, more int) int {
	b.Helper()
	text, err := exec.Command("nice", "-n", strconv.Itoa(more), "nice").Output()
	n, notNumber := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || notNumber != nil {
		b.Fatal(err, notNumber)
	}
	return n
}

// besideHog runs the driver's benchmark on the CPU of a program that never stops, in 53 s.
func besideHog(b testing.TB, binary string, count, nice, cpu int) (late, lost float64) {
	b.Helper()
	defer onOneCPU(b, cpu)()
	hog := exec.Command("sh", "-c", "while :; do :; done")
	if err := hog.Start(); err != nil {
		b.Error(err)
		return 0, 0
	}
	defer func() {
		_ = hog.Process.Kill()
		_ = hog.Wait()
	}()
	text, err := exec.Command("nice", "-n", strconv.Itoa(nice), binary, "-test.run", "^$", "-test.bench",
		"^BenchmarkDownlinks$", "-test.benchtime", strconv.Itoa(count)+"x").CombinedOutput()
	if err != nil {
		b.Errorf("%v\n%s", err, text)
	}
	return metricOf(b, string(text), "late"), metricOf(b, string(text), "lost")
}

// metricOf returns what a benchmark has reported last.
func metricOf(b testing.TB, text, unit string) (v float64) {
	b.Helper()
	words, found := strings.Fields(text), false
	for i := 1; i < len(words); i++ {
		if n, err := strconv.ParseFloat(words[i-1], 64); words[i] == unit && err == nil {
			v, found = n, true
		}
	}
	if !found {
		b.Errorf("no %s in %s", unit, text)
	}
	return v
}

// onOneCPU has programs that this goroutine starts share one CPU, number i of those that
// there are or the last one, until undo is called.
func onOneCPU(b testing.TB, i int) (undo func()) {
	b.Helper()
	runtime.LockOSThread()
	var all, one unix.CPUSet
	err := unix.SchedGetaffinity(0, &all)
	for cpu := 0; err == nil && i >= 0 && cpu < 8*len(all)*8; cpu++ {
		if all.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
			i--
		}
	}
	if err == nil {
		err = unix.SchedSetaffinity(0, &one)
	}
	if err != nil {
		b.Error(err)
	}
	return func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			b.Error(err)
		}
		runtime.UnlockOSThread()
	}
}

// BenchmarkBesideHog prints what the driver misses beside a program that never stops.
func BenchmarkBesideHog(b *testing.B) {
	for b.Loop() {
		fmt.Print(costTable(costsBesideHog(b)))
		b.ReportMetric(0, "ns/op")
	}
}
