package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lorawand/concentrator/sx1302"
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
		if status := run(t.Context(), []string{"firmware", "import", "--dir", bad, file}, nil, io.Discard,
			io.Discard); status != exitFailed {
			t.Errorf("a folder %q: status %d", bad, status)
		}
	}
}

// A file is not read beyond what can be taken, and one that is too long not at
// all.
func TestReadImport(t *testing.T) {
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(long, 1<<40); err != nil {
		t.Fatal(err)
	}
	if _, err := readImport(long); !errors.Is(err, sx1302.ErrImage) || !strings.Contains(err.Error(),
		"1099511627776 bytes") {
		t.Errorf("%v", err)
	}
	if b, err := readImport("/dev/zero"); err != nil || len(b) != sx1302.MaxImportSize+1 {
		t.Errorf("%d bytes of what has no end, %v", len(b), err)
	}
	if b, err := readImport("firmware.go"); err != nil || !bytes.Contains(b, []byte("func readImport")) {
		t.Errorf("%v", err)
	}
}
