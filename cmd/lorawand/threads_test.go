package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lorawand/bridge/formatter"
)

// A program built with the C library, as "go build" makes it where there is a compiler,
// has threads with large stacks: its children live all the same. Too little room ended
// one child in six within sixty calls.
func TestChildHasThreads(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "lorawand")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := formatter.NewJavaScript(`function decodeUplink(i) {
		var a = []; for (var n = 0; n < 2000; n++) a.push({n: n, s: String(n)});
		return {data: {n: a.length}};
	}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		p := formatter.New(formatter.Options{Command: []string{binary}})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		for range 60 {
			res := p.Do(ctx, formatter.Request{Formatter: f, Task: formatter.DecodeUplink, Bytes: []byte{1}})
			if res.Fail != nil && res.Fail.Name == "formatter_child" {
				t.Error(res.Fail)
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}
