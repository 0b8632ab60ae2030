// Package pages gives the kernel back the memory of the program's own file that
// only its start has needed.
package pages

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotStatic is the reason of a program whose constants are written to when
// it is loaded: the file does not have them.
var ErrNotStatic = errors.New("pages: program is not linked statically")

// Release takes the code and the constants of this program out of its memory.
// What is needed of them comes back from the kernel's cache of the file, page
// by page, at a µs each; what only the start has touched (flags, configuration,
// tables, the reading of the store) does not, and the kernel can use its memory
// for something else.
func Release() error {
	if info, ok := debug.ReadBuildInfo(); !ok || !static(info.Settings) {
		return ErrNotStatic
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	for _, a := range constant(string(maps), program) {
		if _, _, e := unix.Syscall(unix.SYS_MADVISE, a.start, a.end-a.start, unix.MADV_DONTNEED); e != 0 {
			return fmt.Errorf("pages: release %x-%x: %w", a.start, a.end, e)
		}
	}
	return nil
}

// static says whether nothing of the program is relocated when it is loaded.
func static(settings []debug.BuildSetting) bool {
	cgo, mode := true, ""
	for _, s := range settings {
		switch s.Key {
		case "CGO_ENABLED":
			cgo = s.Value != "0"
		case "-buildmode":
			mode = s.Value
		}
	}
	return !cgo && mode == "exe"
}

// area is a part of the address space.
type area struct{ start, end uintptr }

// constant returns the areas of a program that cannot be written to, of
// /proc/PID/maps (proc_pid_maps(5)).
func constant(maps, program string) (areas []area) {
	for line := range strings.Lines(maps) {
		// 00400000-00c09000 r-xp 00000000 fe:00 1234      /usr/bin/lorawand
		line = strings.TrimSuffix(line, "\n")
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasSuffix(line, " "+program) || !strings.HasPrefix(f[1], "r-") {
			continue
		}
		from, to, _ := strings.Cut(f[0], "-")
		start, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
		end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
		if err1 == nil && err2 == nil && start < end {
			areas = append(areas, area{uintptr(start), uintptr(end)})
		}
	}
	return areas
}
