package concentrator

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests of all drivers can be run with a folder of recordings; those here need none.
var _ = flag.String("traces", "", "folder of recordings, which these tests do not use")

// TestTracesFlag: every package below takes the flag, so that
// go test ./concentrator/... -args -traces DIR is one command.
func TestTracesFlag(t *testing.T) {
	takes := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		dir := filepath.Dir(path)
		takes[dir] = takes[dir] || bytes.Contains(text, []byte(`flag.String("traces"`))
		return err
	})
	if err != nil || len(takes) < 9 {
		t.Fatalf("%d packages with tests, %v", len(takes), err)
	}
	for dir, ok := range takes {
		if !ok {
			t.Errorf("the tests of %s do not take -traces", dir)
		}
	}
}
