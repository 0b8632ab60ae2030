package decode

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"lorawand/bridge/formatter"
)

// The test program runs scripts in itself, as the daemon does.
func TestMain(m *testing.M) {
	if formatter.IsChild(os.Args) {
		os.Exit(formatter.RunChild())
	}
	os.Exit(m.Run())
}

// command returns how a child of this test program is started. Under emulation
// the kernel knows the emulator only.
func command(t testing.TB) []string {
	t.Helper()
	if err := exec.Command(os.Args[0], "-test.list", "^$").Run(); !errors.Is(err, syscall.ENOEXEC) {
		return nil
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	name := map[string]string{"mips": "qemu-mips-static", "mipsle": "qemu-mipsel-static", "arm": "qemu-arm-static"}[runtime.GOARCH]
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return []string{name, "-cpu", "24Kc", self}
	}
	return []string{name, self}
}
