package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// link is a link to a file of the project, or to a heading.
	link = regexp.MustCompile(`\]\(([^)#:\s]*)(#[^)\s]*)?\)`)
	// notInAnchor is what a heading has and its anchor has not.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the anchors of the headings of a text.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		if title := strings.TrimLeft(line, "#"); title != line {
			title = strings.ToLower(strings.TrimSpace(title))
			out["#"+strings.ReplaceAll(notInAnchor.ReplaceAllString(title, ""), " ", "-")] = true
		}
	}
	return out
}

// The files that the READMEs point to exist, and the first README is short enough to be
// read.
func TestReadmes(t *testing.T) {
	const root, most = "../..", 900 // words
	links := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			links++
			target, file := string(text), path
			if m[1] != "" {
				file = filepath.Join(filepath.Dir(path), m[1])
				b, err := os.ReadFile(file)
				if err != nil {
					t.Errorf("%s: %s: %v", path, m[0], err)
					continue
				}
				target = string(b)
			}
			if m[2] != "" && !anchors(target)[m[2]] {
				t.Errorf("%s: %s: no such heading in %s", path, m[0], file)
			}
		}
		return nil
	})
	if err != nil || links < 10 {
		t.Errorf("%d links, %v", links, err)
	}
	text, err := os.ReadFile(root + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(text))); n > most {
		t.Errorf("README.md has %d words, at most %d", n, most)
	}
}
