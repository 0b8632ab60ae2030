package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Work that takes longer than a second shows its progress, and leaves nothing behind on the
// terminal.
func TestProgress(t *testing.T) {
	for lasts, want := range map[time.Duration]string{
		900 * time.Millisecond:  "",
		2500 * time.Millisecond: clearLine + "Importing … 1 s" + clearLine + "Importing … 2 s" + clearLine,
	} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			done := tick(&out, "Importing")
			time.Sleep(lasts)
			done()
			done()
			if out.String() != want {
				t.Errorf("%v: %q, want %q", lasts, &out, want)
			}
		})
	}
}
