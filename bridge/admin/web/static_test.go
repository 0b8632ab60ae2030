//go:build !small

package web

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxPage is how much the page may make a browser fetch, in bytes with gzip.
const maxPage = 80_000

// eachFile calls f for each file of the page.
func eachFile(t *testing.T, f func(name string, text []byte)) {
	t.Helper()
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(static, name)
		if err == nil {
			f(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The page is small enough for a gateway behind a slow link.
func TestPageSize(t *testing.T) {
	total := 0
	eachFile(t, func(_ string, text []byte) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(text)
		_ = w.Close()
		total += b.Len()
	})
	t.Logf("%d bytes with gzip", total)
	if total > maxPage || total < maxPage/10 {
		t.Errorf("the page has %d bytes with gzip, must be at most %d", total, maxPage)
	}
}

// forbidden are ways for a text from outside to become markup or a program, and what the
// policy of the page forbids.
var forbidden = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|unsafe(HTML|SVG|Static)|` +
	`\beval\(|new Function|javascript:|https?://[a-z]|<style|style=|<script[^>]*>[^<]`)

// drawn is a line of an icon: it stays as it was drawn.
var drawn = regexp.MustCompile(`['"][Mm]\d`)

// The page takes no text for markup, and asks nobody but the daemon. Its library is
// looked at as it is: it is kept as its authors have made it.
func TestPageIsSafe(t *testing.T) {
	seen := 0
	eachFile(t, func(name string, text []byte) {
		if strings.HasPrefix(name, "static/lib/") || path.Ext(name) == ".svg" {
			return
		}
		seen++
		for n, line := range strings.Split(string(text), "\n") {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d has %s", name, n+1, found)
			}
			if utf8.RuneCountInString(line) > 120 && !drawn.MatchString(line) {
				t.Errorf("%s:%d has more than 120 characters", name, n+1)
			}
		}
		if n := bytes.Count(text, []byte("\n")); n > 500 {
			t.Errorf("%s has %d lines, must be at most 500", name, n)
		}
	})
	if seen < 20 {
		t.Errorf("only %d files found", seen)
	}
	for _, bad := range []string{`a.innerHTML = text`, `<p style="x">`, `<script>x</script>`, `fetch('https://example')`} {
		if !forbidden.MatchString(bad) {
			t.Errorf("%s is not found", bad)
		}
	}
}
