package main

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryFloor is the least limit, in bytes. The daemon holds 10 MB with a hundred devices, 20 MB with a
// thousand; below, garbage would be collected without end, and a gateway with 32 MB has 8 MB left
// for the kernel.
const memoryFloor = 24 << 20

// memoryShare is how much of the machine's memory is Go's at the most: half of it. The rest is for
// the kernel, its buffers, and the child that runs scripts.
const memoryShare = 2

// scriptsMemory is how much memory, in bytes, the machine must have for a child that runs scripts. With
// 41 MB (MemTotal) on an emulated 24Kc, and TLS, WebSocket, the page and 169 devices, all uplinks came
// decoded; with 33 MB the daemon and the child drove each other's code out of memory, and none of 80
// uplinks came in time. Without a child all came with 33 MB.
const scriptsMemory = 40_000_000

// forScripts reports whether the machine has the memory for scripts, and how much it has, in bytes. root
// is "/".
func forScripts(root string) (has int64, enough bool) {
	has, ok := machineMemory(root)
	return has, !ok || has >= scriptsMemory
}

// limitMemory tells Go's runtime how much memory this machine has for it, unless GOMEMLIMIT does:
// garbage is collected sooner before the kernel ends the process. It returns what undoes it.
func limitMemory(root string) (undo func()) {
	limit, ok := memoryLimit(root)
	if os.Getenv("GOMEMLIMIT") != "" || !ok {
		return func() {}
	}
	was := debug.SetMemoryLimit(limit)
	return func() { debug.SetMemoryLimit(was) }
}

// memoryLimit returns the limit that follows from what the machine has. root is "/".
func memoryLimit(root string) (limit int64, ok bool) {
	has, ok := machineMemory(root)
	return max(has/memoryShare, memoryFloor), ok
}

// machineMemory returns what the machine has, in bytes, or the control group if that is less. root is
// "/". Where neither is told ok is false.
func machineMemory(root string) (has int64, ok bool) {
	for _, most := range []int64{totalMemory(root), groupMemory(root)} {
		if most > 0 && (!ok || most < has) {
			has, ok = most, true
		}
	}
	return has, ok
}

// totalMemory returns the memory of the machine in bytes, or 0.
func totalMemory(root string) int64 {
	f, err := os.Open(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemTotal:"); ok {
			kB, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			return kB << 10
		}
	}
	return 0
}

// groupMemory returns the limit of the control group (version 2) that the process is in, such as a
// unit's MemoryMax, or 0.
func groupMemory(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	_, group, ok := strings.Cut(strings.TrimSpace(string(text)), "0::")
	if !ok || strings.ContainsRune(group, '\n') {
		return 0
	}
	text, err = os.ReadFile(filepath.Join(root, "sys/fs/cgroup", group, "memory.max"))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
	return n
}
