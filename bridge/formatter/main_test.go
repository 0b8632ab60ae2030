//go:build !small

package formatter

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test program is its own child.
func TestMain(m *testing.M) {
	if IsChild(os.Args) {
		os.Exit(RunChild())
	}
	if len(os.Args) == 2 && os.Args[1] == "confined" {
		confined()
		return
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
	name := map[string]string{"mips": "qemu-mips-static", "mipsle": "qemu-mipsel-static", "arm": "qemu-arm-static", "arm64": "qemu-aarch64-static"}[runtime.GOARCH]
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return []string{name, "-cpu", "24Kc", self}
	}
	return []string{name, self}
}

// emulatedDeadline is for an emulator of programs, which translates whatever
// runs for the first time: a good script can take longer than a second.
const emulatedDeadline = 4 * time.Second

// newPool runs a pool until the test ends.
func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	if o.Command == nil {
		o.Command = command(t)
		if o.Deadline == 0 && len(o.Command) > 0 {
			o.Deadline = emulatedDeadline
		}
	}
	p := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return p
}

// within is a context for one request.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func javaScript(t testing.TB, source string) Formatter {
	t.Helper()
	f, err := NewJavaScript(source)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
