package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root imports with a umask of its own can be read by the daemon.
func TestMakeFolder(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "lib", "firmware")
	for range 2 {
		if err := makeFolder(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := makeFolder(own); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(own); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the owner's folder became %v, %v", info.Mode(), err)
	}
	file := filepath.Join(own, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", file, filepath.Join(file, "below")} {
		if status := run(t.Context(), []string{"firmware", "import", "--dir", bad, file}, nil, io.Discard, io.Discard); status != exitFailed {
			t.Errorf("a folder %q: status %d", bad, status)
		}
	}
}
