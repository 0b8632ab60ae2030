//go:build !small

package formatter

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/formatter/formattertest"
)

// confined is what a confined process can still do, for TestConfined.
func confined() {
	confine()
	ask := func(what string, err error) { _, _ = os.Stdout.WriteString(what + ": " + errno(err) + "\n") }
	_, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	ask("open", err)
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ask("socket", err)
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e == 0 && pid == 0 {
		unix.Exit(0)
	}
	ask("fork", e)
	ask("kill", unix.Kill(os.Getpid(), 0))
	ask("exec", unix.Exec("/bin/true", nil, nil))
	ask("setrlimit", unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}))
	ask("pipe", unix.Pipe(make([]int, 2)))
	// The runtime still works: threads, timers, memory.
	done := make(chan int)
	for i := range 8 {
		go func() {
			time.Sleep(time.Millisecond)
			done <- len(make([]byte, 1<<20)) + i
		}()
	}
	for range 8 {
		<-done
	}
	ask("compute", nil)
}

func errno(err error) string {
	var e syscall.Errno
	if err == nil || errors.As(err, &e) && e == 0 {
		return "done"
	}
	return "refused"
}

func TestConfined(t *testing.T) {
	if formattertest.Command(t) != nil {
		t.Skip("an emulator of programs has no filters")
	}
	out, err := exec.Command(os.Args[0], "confined").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "open: refused\nsocket: refused\nfork: refused\nkill: refused\nexec: refused\nsetrlimit: refused\npipe: " +
		"refused\ncompute: done\n"
	if string(out) != want {
		t.Errorf("a confined process can do this:\n%s", out)
	}
	p := newPool(t, Options{})
	p.Do(within(t, 2*time.Minute), Request{Formatter: javaScript(t, echo), Task: DecodeUplink})
	pid := childOf(t, p)
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0) // which the child cannot go above
	if err != nil {
		t.Fatal(err)
	}
	if prio, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || prio != min(own, 20-childNice) {
		t.Errorf("priority %d, %v", 20-prio, err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Max open files 0 0", fmt.Sprintf("Max cpu time %d %d", childCPU, childCPU),
		"Max file size 0 0", "Max core file size 0 0",
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), want) {
			t.Errorf("no %q in\n%s", want, limits)
		}
	}
}
