package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"lorawand/radio/fuzztest"
)

// Whatever stands in a file, it is taken as a whole, or refused with the faults of one line each; what is taken has no
// fault when it is looked at again.
func FuzzParse(f *testing.F) {
	f.Add(DefaultFile)
	for _, b := range badTexts {
		f.Add(b.text)
	}
	f.Fuzz(fuzztest.Quick(func(t *testing.T, text string) {
		if strings.Contains(text, "global_conf") {
			t.Skip("that would read any file of this machine")
		}
		if len(text) > 64<<10 {
			t.Skip("no configuration is so long, and a fault of each line takes its time")
		}
		c, err := Parse([]byte(text))
		if err == nil {
			err = c.Check()
		} else if !errors.Is(err, ErrConfig) {
			t.Errorf("another error: %v", err)
		} else {
			for _, fault := range faultsOf(err) {
				if line := fault.Error(); line == "" || bytes.ContainsAny([]byte(line), "\n") {
					t.Errorf("not one line: %q", line)
				}
			}
			return
		}
		if err != nil {
			t.Errorf("what was taken has a fault: %v", err)
		}
	}))
}
