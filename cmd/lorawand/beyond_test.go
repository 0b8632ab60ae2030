//go:build !small

package main

import (
	"io/fs"
	"path/filepath"
	"strings"

	"lorawand/concentrator/air"
)

// checkBeyond checks what holds after every run with a server beyond this gateway: of so many uplinks none is lost,
// and at most so many come once more, where the run has an exception to that; no journal has anything left; the
// ledger is kept; and no two transmissions of a gateway overlap. came says how often each uplink has come; nil: that is
// checked elsewhere.
func (r *running) checkBeyond(s *site, came []int, again int, sent []air.Transmission) {
	r.Helper()
	more := 0
	for n, times := range came {
		if times == 0 {
			r.Errorf("uplink %d is lost", n)
		}
		more += max(times-1, 0)
	}
	if more > again {
		r.Errorf("%d came once more, at most %d may", more, again)
	}
	for _, u := range r.d.upstreamProblems() {
		if u.Waiting+u.Lost != 0 || u.Refused != 0 || u.Fault != "" {
			r.Errorf("left: %+v", u)
		}
	}
	for _, folder := range []string{upstreamFolder, backfillFolder} {
		err := filepath.WalkDir(filepath.Join(s.dir, "store", folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				r.Errorf("%s is left", path)
			}
			return nil
		})
		if err != nil {
			r.Error(err)
		}
	}
	// It fails where a rolling hour has too much, or two emissions meet.
	if out := s.must("", "gateway", "airtime", "--proof"); !strings.Contains(out, " checked: none meets another") {
		r.Errorf("the ledger:\n%s", out)
	}
	checkOverlaps(r, sent)
	checkDutyCycle(r, sent)
}
