//go:build !small && !mips && !mipsle

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// chapter returns a chapter of a README.
func chapter(t *testing.T, name, title string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
	if !found {
		t.Fatalf("%s has no chapter %q", name, title)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// steps returns the configurations of a numbered list, with the begin of its number and title.
func steps(text string) (titles, tables []string) {
	for line := range strings.Lines(text) {
		code, isCode := strings.CutPrefix(line, "       ")
		switch {
		case len(line) > 2 && line[0] >= '1' && line[0] <= '9' && line[1] == '.':
			titles, tables = append(titles, strings.TrimSpace(line)), append(tables, "")
		case len(tables) == 0, !isCode && strings.TrimSpace(line) != "":
		case isCode && strings.HasPrefix(code, "lorawand "): // a command
		default:
			tables[len(tables)-1] += code
		}
	}
	return titles, tables
}

// ladder are the tables of its steps.
var ladder = []string{"[[gateway]]", "[extenders]", "[[upstream]]", "[[chirpstack]]", "[[backfill]]", "url = \"nats://"}

// Each configuration of the ladder is one that lorawand takes; and one with an unknown key is not.
func TestLadder(t *testing.T) {
	titles, tables := steps(chapter(t, "README.md", "When one gateway is not enough"))
	tried := 0
	for i, table := range tables {
		if strings.TrimSpace(table) == "" {
			continue
		}
		tried++
		s := newSite(t, "")
		path := fmt.Sprintf("[store]\npath = %q\n", s.dir+"/store")
		if certificates := filepath.Join(s.dir, "tls"); strings.Contains(table, "/etc/lorawand/tls") {
			s.must("", "tls", "init", "--dir", certificates)
			table = strings.ReplaceAll(table, "/etc/lorawand/tls", certificates)
		}
		s.write("lorawand.toml", path+strings.Replace(table, "[store]\n", "", 1))
		if status, out, errOut := s.cli("", "config", "check"); status != 0 {
			t.Errorf("%s\n%s\n%s%s", titles[i], table, out, errOut)
		}
		if want := ladder[min(tried, len(ladder))-1]; !strings.Contains(table, want) {
			t.Errorf("%s has no %s", titles[i], want)
		}
		s.write("lorawand.toml", table+"\nno_such_key = 1\n")
		if status, _, _ := s.cli("", "config", "check"); status == 0 {
			t.Errorf("%s: nothing is checked", titles[i])
		}
	}
	if tried != len(ladder) {
		t.Errorf("%d steps have a configuration, want %d", tried, len(ladder))
	}
}
