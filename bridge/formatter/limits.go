//go:build !small

package formatter

import (
	"bufio"
	"bytes"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/formatter/seccomp"
	"lorawand/bridge/pages"
)

// Limits of a child. A script that passes one costs its child, never the
// daemon.
const (
	childNice    = 10
	childCPU     = 120 // seconds in all; the daemon takes another child long before
	childRecycle = 60 * time.Second
)

// childMemory is how much the heap of a child may grow beyond what it has when
// it begins.
const childMemory = 16 << 20 << (bits.UintSize / 64)

// cpuTime returns the CPU time of this process. With RLIMIT_CPU set, Linux
// counts it by ticks of the scheduler, up to 10 ms.
func cpuTime() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// threadTime returns the CPU time of this thread, to the microsecond.
func threadTime() time.Duration { return clock(unix.CLOCK_THREAD_CPUTIME_ID) }

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// confine takes from this process what a script must not have: descriptors,
// memory, time, other users' rights, and with a filter in the kernel every
// system call that is not needed to compute. What the kernel does not know is
// left out: the daemon watches memory and time besides.
func confine() {
	// The runtime opens what it needs for timers before nothing more can be
	// opened.
	time.NewTimer(time.Hour).Stop()
	closeDescriptors()
	_ = pages.Release() // a script hardly needs what the start has touched
	_ = os.Chdir("/")
	if os.Geteuid() == 0 {
		dropRoot()
	}
	reserveHeap()
	size, data := memoryNow()
	for _, l := range []struct {
		what  int
		limit uint64
	}{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, 0},
		{unix.RLIMIT_CPU, childCPU},
		{unix.RLIMIT_AS, size + childSlack},
		// On 32 bits the runtime has reserved so much address space that the heap
		// can grow without passing the limit above. Since Linux 4.7 this one
		// counts what can be written to.
		{unix.RLIMIT_DATA, data + childSlack},
	} {
		_ = unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.limit, Max: l.limit})
	}
	// The daemon has given the child a process group of its own; so all of its
	// threads are meant.
	_ = unix.Setpriority(unix.PRIO_PGRP, 0, childNice)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == nil {
		_ = seccomp.Filter()
	}
}

// reserveHeap has the runtime map the memory that the heap may grow to, without
// touching it. Later it could not: it reserves address space in pieces of 64 MB
// that begin anywhere, so that what is left of the first one is a matter of
// luck. A Builder does not clear what it reserves; a slice does where some of it
// was in use before, and then has all of it in memory for a moment.
func reserveHeap() {
	var b strings.Builder
	b.Grow(childMemory)
	runtime.KeepAlive(&b)
	debug.FreeOSMemory()
}

// nobody is the user without rights.
const nobody = 65534

func dropRoot() {
	_ = syscall.Setgroups(nil)
	_ = syscall.Setgid(nobody)
	_ = syscall.Setuid(nobody)
}

// closeDescriptors closes what the daemon was started with and passed on
// without knowing. The runtime's own descriptors stay.
func closeDescriptors() {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && !strings.HasPrefix(to, "anon_inode:") {
			_ = unix.Close(fd)
		}
	}
}

// memoryNow returns VmSize and VmData of this process.
func memoryNow() (size, data uint64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 1 << 40, 1 << 40
	}
	return uint64(statusField(b, "VmSize")), uint64(statusField(b, "VmData"))
}

// statusField returns a field of /proc/PID/status in bytes.
func statusField(status []byte, name string) int64 {
	for s := bufio.NewScanner(bytes.NewReader(status)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) == 3 && f[0] == name+":" {
			kB, _ := strconv.ParseInt(f[1], 10, 64)
			return kB << 10
		}
	}
	return 0
}

// usage is what a process has and has used.
type usage struct {
	cpu time.Duration
	rss int64
}

// tick is the unit of times in /proc: USER_HZ, 100 on every architecture that
// this runs on.
const tick = 10 * time.Millisecond

// usageOf reads /proc/PID/stat, whose file is kept open.
//
// Source: proc_pid_stat(5): fields 14 utime, 15 stime, 24 rss in pages.
func usageOf(stat io.ReaderAt) (usage, bool) {
	var buf [1024]byte
	n, err := stat.ReadAt(buf[:], 0)
	if err != nil && err != io.EOF {
		return usage{}, false
	}
	// The name in field 2 may have any character.
	i := bytes.LastIndexByte(buf[:n], ')')
	f := bytes.Fields(buf[i+1 : n])
	if i < 0 || len(f) < 22 {
		return usage{}, false
	}
	var v [3]int64
	for i, at := range []int{11, 12, 21} {
		if v[i], err = strconv.ParseInt(string(f[at]), 10, 64); err != nil {
			return usage{}, false
		}
	}
	return usage{time.Duration(v[0]+v[1]) * tick, v[2] * int64(os.Getpagesize())}, true
}
