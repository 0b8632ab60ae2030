package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"lorawand/bridge/formatter"
	"lorawand/cmd/lorawand/config"
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
			limit, ok := memoryLimit(machine(t, map[string]string{
				"proc/meminfo": tt.meminfo, "proc/self/cgroup": tt.cgroup,
				"sys/fs/cgroup/system.slice/lorawand.service/memory.max": tt.most,
			}))
			if ok != (tt.want > 0) || ok && limit>>20 != tt.want {
				t.Errorf("%d MiB, %v; want %d", limit>>20, ok, tt.want)
			}
		})
	}
}

// machine makes the root of a machine with some files; those without a text are not there.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
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
	return root
}

// Where a child would starve the daemon, scripts are switched off, and the log and doctor say so.
func TestMemoryForScripts(t *testing.T) {
	for _, tt := range []struct {
		name, meminfo string
		off           bool // in the configuration
		want          bool // scripts run
		told          bool
	}{
		{name: "64 MB", meminfo: "MemTotal: 58000 kB\n", want: true},
		{name: "40 MB", meminfo: "MemTotal: 39063 kB\n", want: true},
		{name: "32 MB", meminfo: "MemTotal: 28000 kB\n", told: true},
		{name: "32 MB, off", meminfo: "MemTotal: 28000 kB\n", off: true},
		{name: "nothing is told", want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := machine(t, map[string]string{"proc/meminfo": tt.meminfo})
			var log strings.Builder
			o := withMemory(root, formatter.Options{
				NoJavaScript: tt.off, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			if o.NoJavaScript == tt.want {
				t.Errorf("scripts run: %v, want %v", !o.NoJavaScript, tt.want)
			}
			if told := strings.Contains(log.String(), "MB=28 needed=40"); told != tt.told {
				t.Errorf("the log says %q", log.String())
			}
			c := config.Default()
			c.Formatter.JavaScript = !tt.off
			d := &doctor{root: root}
			d.configuration("none", &c)
			told := slices.ContainsFunc(d.found, func(f finding) bool {
				return f.Check == "memory" && strings.Contains(f.Says, "28 MB")
			})
			if told != tt.told {
				t.Errorf("doctor finds %+v", d.found)
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
