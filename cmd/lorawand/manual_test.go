//go:build manual

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command has a page, and every page tells every flag.
func TestManual(t *testing.T) {
	dir := t.TempDir()
	root := newRoot()
	if err := writeManual(root, dir); err != nil {
		t.Fatal(err)
	}
	pages := 0
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" {
			return
		}
		pages++
		b, err := os.ReadFile(filepath.Join(dir, "man1", strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		if cmd.Name() == "demo" && !strings.Contains(string(b), `\fB\-\-devices\fR \fInumber\fR`) {
			t.Errorf("demo:\n%s", b)
		}
		if !strings.Contains(string(b), ".SH NAME\n") || strings.Contains(string(b), "manual") && cmd == root {
			t.Errorf("%s:\n%s", cmd.CommandPath(), b)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(root)
	if pages < 20 {
		t.Errorf("%d pages", pages)
	}
	for _, name := range []string{"bash/lorawand", "zsh/_lorawand", "fish/lorawand.fish"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), "__complete") {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
	}
}

func TestRoff(t *testing.T) {
	for in, want := range map[string]string{
		"a-b":       `a\-b`,
		`C:\x`:      `C:\ex`,
		".x\n'y\nz": "\\&.x\n\\&'y\nz",
		"FILE…":     "FILE...",
	} {
		if got := roff(in); got != want {
			t.Errorf("roff(%q) = %q, want %q", in, got, want)
		}
	}
}
