package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// Go's runtime gets half of the memory that the machine, or the service's unit, has; never less
// than the floor.
func TestMemoryLimit(t *testing.T) {
	const group = "0::/system.slice/lorawand.service\n"
	for _, tt := range []struct {
		name, meminfo, cgroup, most string
		want                        int64 // MiB; 0: none
	}{
		{name: "nothing is told"},
		{name: "512 MB", meminfo: "MemTotal:         524288 kB\nMemFree: 1 kB\n", want: 256},
		{name: "64 MB", meminfo: "MemTotal:          60000 kB\n", want: 29},
		{name: "32 MB", meminfo: "MemTotal:          28000 kB\n", want: 24},
		{name: "8 GB", meminfo: "MemTotal:        8388608 kB\n", want: 4096},
		{name: "a unit with less", meminfo: "MemTotal: 524288 kB\n", cgroup: group, most: "134217728\n", want: 64},
		{name: "a unit with more", meminfo: "MemTotal: 131072 kB\n", cgroup: group, most: "1073741824\n", want: 64},
		{name: "a unit without a limit", meminfo: "MemTotal: 131072 kB\n", cgroup: group, most: "max\n", want: 64},
		{name: "control groups of version 1", meminfo: "MemTotal: 131072 kB\n", cgroup: "4:memory:/x\n0::/\n", want: 64},
		{name: "no number", meminfo: "MemTotal: much\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range map[string]string{
				"proc/meminfo": tt.meminfo, "proc/self/cgroup": tt.cgroup,
				"sys/fs/cgroup/system.slice/lorawand.service/memory.max": tt.most,
			} {
				if text == "" {
					continue
				}
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			limit, ok := memoryLimit(root)
			if ok != (tt.want > 0) || ok && limit>>20 != tt.want {
				t.Errorf("%d MiB, %v; want %d", limit>>20, ok, tt.want)
			}
		})
	}
}

// The limit is set, unless the environment sets one, and undone.
func TestLimitMemory(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/meminfo"), []byte("MemTotal: 2097152 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := debug.SetMemoryLimit(-1)
	for _, env := range []string{"", "1GiB"} {
		t.Setenv("GOMEMLIMIT", env)
		undo := limitMemory(root)
		want := int64(1 << 30)
		if env != "" {
			want = was
		}
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("GOMEMLIMIT=%q: %d, want %d", env, got, want)
		}
		undo()
	}
	if got := debug.SetMemoryLimit(-1); got != was {
		t.Errorf("%d is left, it was %d", got, was)
	}
}
