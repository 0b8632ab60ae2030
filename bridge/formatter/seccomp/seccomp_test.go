package seccomp

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// beforehand are calls of the runtime that it makes at its start, or for
// profiles, or not at all.
var beforehand = map[string]bool{
	"open": true, "openat": true, "access": true, "faccessat": true, "fcntl": true, "pipe": true, "pipe2": true,
	"select": true, "pselect6": true, "connect": true, "socket": true, "kill": true,
	"brk": true, "mincore": true, "arch_prctl": true, "ugetrlimit": true,
	"setitimer": true, "setittimer": true, // as one file spells it
	"timer_create": true, "timer_settime": true, "timer_settime64": true, "timer_delete": true,
}

var definition = regexp.MustCompile(`(?m)^#define SYS_(\w+)\s+(?:\(SYS_BASE \+ )?(\d+)\)?`)

// Every system call that the runtime makes on this architecture while it
// computes is allowed.
func TestCallsOfTheRuntime(t *testing.T) {
	prog := program()
	if prog == nil {
		t.Fatalf("no table for %s", runtime.GOARCH)
	}
	name := runtime.GOARCH
	if name == "mips" || name == "mipsle" {
		name = "mipsx"
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(goroot)), "src/runtime/sys_linux_"+name+".s"))
	if err != nil {
		t.Fatal(err)
	}
	found := definition.FindAllSubmatch(source, -1)
	if len(found) < 15 {
		t.Fatalf("only %d calls found", len(found))
	}
	for _, f := range found {
		nr, err := strconv.ParseUint(string(f[2]), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		if call := string(f[1]); !beforehand[call] && !named(prog, uint32(nr)) {
			t.Errorf("%s (%d) is refused", call, nr)
		}
	}
	if named(prog, unix.SYS_EXECVE) || named(prog, unix.SYS_OPENAT) {
		t.Error("what no script needs is allowed")
	}
}

// named says whether a program looks for a number. It refuses all others.
func named(prog []unix.SockFilter, nr uint32) bool {
	for _, f := range prog {
		if f.Code == unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K && f.K == nr {
			return true
		}
	}
	return false
}
