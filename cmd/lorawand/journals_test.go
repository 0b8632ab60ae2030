//go:build !small

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lorawand/cmd/lorawand/config"
)

// Which journals are for nobody: those with messages, whose folder no table of their kind has.
func TestLeftJournals(t *testing.T) {
	store := t.TempDir()
	for folder, bytes := range map[string]int{
		"upstream/near": 100, "upstream/far": 300, "upstream/empty": 0, "upstream/tts": 50, "backfill/tts": 400,
		"backfill/tts@eu1.example": 500, "backfill/far": 600, "backfill/nothing": -1,
	} {
		folder = filepath.Join(store, folder)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if bytes < 0 {
			continue
		}
		name := filepath.Join(folder, "0000000000000000.journal")
		if err := os.WriteFile(name, make([]byte, bytes), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := config.Config{
		Upstreams: []config.Upstream{{Name: "near", URL: "mqtt://127.0.0.1"}},
		Backfills: []config.Backfill{{Name: "tts", URL: "https://eu1.example"}},
	}
	c.Store.Path = store
	var got []string
	for _, j := range leftJournals(&c) {
		kind := upstreamFolder
		if j.Backfill {
			kind = backfillFolder
		}
		folder, err := filepath.Rel(filepath.Join(store, kind), j.Folder)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, plural(j.Bytes, kind+" byte")+" "+folder)
	}
	want := []string{"300 upstream bytes far", "50 upstream bytes tts", "600 backfill bytes far", "400 backfill bytes tts"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	c.Store.Path = filepath.Join(store, "none")
	if got := leftJournals(&c); got != nil {
		t.Errorf("no store: %+v", got)
	}
}

// The owner is told of them by status and doctor, with and without a daemon, as long as they are there.
func TestLeftJournalIsTold(t *testing.T) {
	s := newSite(t, "")
	folder := filepath.Join(s.dir, "store", upstreamFolder, "far")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "0000000000000000.journal"), make([]byte, 9<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	told := func(when string, want bool, args ...string) {
		t.Helper()
		_, out, errOut := s.cli("", args...)
		for _, part := range []string{
			"Messages wait for far, which is not configured any more", folder + " has 9 kB of them.",
			`Configure [[upstream]] with name = "far" until they are handed on, or delete the folder.`,
		} {
			if strings.Contains(out, part) != want {
				t.Errorf("%s: %q: %v, want %v, in\n%s%s", when, part, !want, want, out, errOut)
			}
		}
	}
	told("no daemon", true, "doctor")
	r := s.start()
	if !strings.Contains(r.logged(), "is not configured any more") {
		t.Errorf("log: %s", r.logged())
	}
	told("a daemon", true, "doctor")
	told("a daemon", true, "status")
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	told("deleted", false, "doctor")
	told("deleted", false, "status")
}
