package fuzztest

import (
	"flag"
	"testing"
	"time"
)

// burn uses a processor.
func burn(d time.Duration) {
	for from := used(); used()-from < d; {
	}
}

// inner is a testing.T that may fail.
type inner struct{ failed int }

func (t *inner) Errorf(string, ...any) { t.failed++ }

// An input that is too slow each time is found, and one that has been slow once is not.
func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		name  string
		slow  int // calls
		calls int
		fails bool
	}{
		{"quick", 0, 1, false},
		{"slow once", 1, 2, false},
		{"slow", 9, tries, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calls, of := 0, &inner{}
			within(func(_ *inner, input []byte, n int) {
				if string(input) != "input" || n != 7 {
					t.Errorf("called with %q, %d", input, n)
				}
				if calls++; calls <= tt.slow {
					burn(20 * time.Millisecond)
				}
			}, 10*time.Millisecond)(of, []byte("input"), 7)
			if calls != tt.calls || (of.failed > 0) != tt.fails {
				t.Errorf("%d calls, %d failures", calls, of.failed)
			}
		})
	}
}

// A target that waits uses no processor.
func TestWithinSleeps(t *testing.T) {
	of := &inner{}
	within(func(*inner) { time.Sleep(50 * time.Millisecond) }, 10*time.Millisecond)(of)
	if of.failed > 0 {
		t.Error("it is charged for waiting")
	}
}

// Old inputs run as they are; new ones, with -fuzz, are held to Limit.
func TestQuick(t *testing.T) {
	fuzz := flag.Lookup("test.fuzz").Value
	was := fuzz.String()
	defer func() { _ = fuzz.Set(was) }()
	for given, want := range map[string]int{"": 1, "FuzzNew": tries} {
		if err := fuzz.Set(given); err != nil {
			t.Fatal(err)
		}
		called, of := 0, &inner{}
		Quick(func(*inner) { called++; burn(2 * Limit) })(of)
		if called != want || (of.failed > 0) != (given != "") {
			t.Errorf("-fuzz %q: called %d times, %d failures", given, called, of.failed)
		}
	}
}
