//go:build !small

package formatter

import (
	"context"
	"os"
	"testing"
	"time"

	"lorawand/bridge/formatter/formattertest"
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

// emulatedDeadline is for an emulator of programs, which translates whatever
// runs for the first time: a good script can take longer than a second.
const emulatedDeadline = 4 * time.Second

// newPool runs a pool until the test ends.
func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	if o.Command == nil {
		o.Command = formattertest.Command(t)
		if o.Deadline == 0 && len(o.Command) > 0 {
			o.Deadline = emulatedDeadline
		}
	}
	if o.Wait == 0 {
		o.Wait = time.Minute // how fast a child starts is not what is tested
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
