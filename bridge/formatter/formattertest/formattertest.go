// Package formattertest says how tests start the child that runs scripts, also
// where their program runs under an emulator.
package formattertest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Command returns how a child of this test program is started; nil: as the daemon
// starts it, by executing itself. Under emulation the kernel knows the emulator only.
func Command(t testing.TB) []string {
	t.Helper()
	if err := exec.Command(os.Args[0], "-test.list", "^$").Run(); !errors.Is(err, syscall.ENOEXEC) {
		return nil
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	name := map[string]string{
		"mips": "qemu-mips-static", "mipsle": "qemu-mipsel-static", "arm": "qemu-arm-static", "arm64": "qemu-aarch64-static",
	}[runtime.GOARCH]
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return []string{name, "-cpu", "24Kc", self}
	}
	return []string{name, self}
}

// SlowCommand is Command for a child that does not start before release is called.
func SlowCommand(t testing.TB) (command []string, release func()) {
	t.Helper()
	command = Command(t)
	if len(command) == 0 {
		self, err := filepath.Abs(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		command = []string{self}
	}
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"/bin/sh", "-c", `read line < "$0"; exec "$@"`, gate}, command...), func() {
		t.Helper()
		if err := os.WriteFile(gate, []byte("go on\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
