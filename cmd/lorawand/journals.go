//go:build !small

package main

import (
	"os"
	"path/filepath"

	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// Folders in that of the store, which have one for each journal.
const (
	upstreamFolder = "upstream"
	backfillFolder = "backfill"
)

// leftJournals returns the journals for servers that are not configured any more.
func leftJournals(c *config.Config) (out []problems.Journal) {
	configured := map[string]bool{}
	for i := range c.Upstreams {
		configured[filepath.Join(upstreamFolder, c.Upstreams[i].Name)] = true
	}
	for i := range c.Backfills {
		configured[filepath.Join(backfillFolder, c.Backfills[i].Folder())] = true
	}
	for _, kind := range []string{upstreamFolder, backfillFolder} {
		folders, _ := os.ReadDir(filepath.Join(c.Store.Path, kind))
		for _, f := range folders {
			j := problems.Journal{Folder: filepath.Join(c.Store.Path, kind, f.Name()), Backfill: kind == backfillFolder}
			if j.Bytes = sizeOf(j.Folder); j.Bytes > 0 && !configured[filepath.Join(kind, f.Name())] {
				out = append(out, j)
			}
		}
	}
	return out
}

// sizeOf returns the bytes of the files in a folder; 0 if it cannot be read.
func sizeOf(folder string) (bytes int64) {
	files, _ := os.ReadDir(folder)
	for _, f := range files {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
	}
	return bytes
}
