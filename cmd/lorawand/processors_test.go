package main

import (
	"runtime"
	"testing"
)

// Two threads run Go code where there is one CPU, and where there are many; GOMAXPROCS comes first.
func TestProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, tt := range []struct {
		env       string
		has, want int
	}{
		{"", 1, 2},
		{"", 4, 2},
		{"1", 1, 1},
		{"4", 4, 4},
	} {
		runtime.GOMAXPROCS(tt.has)
		t.Setenv("GOMAXPROCS", tt.env)
		useProcessors()
		if got := runtime.GOMAXPROCS(0); got != tt.want {
			t.Errorf("GOMAXPROCS=%q on %d CPUs: %d", tt.env, tt.has, got)
		}
	}
}
