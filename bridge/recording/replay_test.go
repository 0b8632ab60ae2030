package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"

	"lorawand/bridge/core"
)

var (
	effectsFile = flag.String("effects", "", "file in which the sum of the effects is, or is written for the next run")
	number      = flag.Int("inputs", map[bool]int{false: 10_000, true: 1000}[emulated], "how many inputs are recorded")
)

// emulated says that the processor is most likely emulated.
var emulated = strings.HasPrefix(runtime.GOARCH, "mips") || runtime.GOARCH == "arm"

// stop ends the recording as the daemon does.
func (f *field) stop() {
	f.Helper()
	f.step(core.Stopping{})
	f.close()
}

func (f *field) close() {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if err := f.recorder.Run(ctx); err != nil {
		f.Fatal(err)
	}
}

// replayed returns the effects of a recording, and why it ends.
func replayed(t *testing.T, file []byte) (text []byte, end string, err error) {
	t.Helper()
	p, err := NewReplay(bytes.NewReader(file))
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	err = p.Run(writeTo(&out))
	return out.Bytes(), p.End, err
}

// A replay has the effects that the inputs had when they were recorded, byte for byte. make test-mips
// compares them with those of another machine.
func TestReplay(t *testing.T) {
	f := newField(t, 1, 1<<40)
	f.run(*number)
	f.stop()
	t.Logf("%d inputs, %d bytes; effects %v, %d faults", f.inputs, f.file.Len(), f.words, f.faults)
	for word := range strings.FieldsSeq("Publish Commit Transmit Answer Arm Report Forward Replied Fault") {
		if f.words[word] == 0 {
			t.Errorf("no %s: that tests little", word)
		}
	}
	got, end, err := replayed(t, f.file.Bytes())
	if err != nil || end != endStopped {
		t.Errorf("it ends with %v, %q", err, end)
	}
	if !bytes.Equal(got, f.effects.Bytes()) {
		t.Errorf("%s", difference(got, f.effects.Bytes()))
	}
	f.compare(*effectsFile)
}

// compare compares the sum of the effects with that of a run on another machine, or notes it for that.
func (f *field) compare(name string) {
	f.Helper()
	if name == "" {
		return
	}
	sum := fmt.Sprintf("%d inputs: %x\n", f.inputs, sha256.Sum256(f.effects.Bytes()))
	had, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.WriteFile(name, []byte(sum), 0o644)
	case err == nil && sum != string(had):
		err = fmt.Errorf("the effects are %sand on the other machine %s", sum, had)
	}
	if err != nil {
		f.Error(err)
	}
	f.Log(sum)
}

// difference returns the first line in which two texts differ.
func difference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "replayed\n" + g[i] + "\nrecorded\n" + w[i]
		}
	}
	return "one is longer"
}
