package journal

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/store"
)

// kernelBytes returns what the kernel has written for this process; ok is false where it does not tell.
func kernelBytes(t *testing.T) (n int64, ok bool) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	line, _, _ := strings.Cut(rest, "\n")
	n, err = strconv.ParseInt(line, 10, 64)
	return n, err == nil
}

// heap returns the memory that is in use, once what is not is given back.
func heap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// The budgets of a journal, on a real file system, as it fills and when it is full: flash for an uplink by its files
// and by the kernel, which counts whole pages and what the file system adds; and memory. An upstream and a backfill
// have one each, and in memory at most 512 KiB of messages besides.
func TestBudget(t *testing.T) {
	const (
		full      = 8 << 20 // the default
		inOne     = 15      // uplinks each commit_interval, at one a second
		mostFlash = 300     // bytes for an uplink in the files
		// Whole pages for the data, and for what the file system notes of the file's length.
		mostKernel = 700
		mostMemory = 3 << 20
	)
	folder, err := store.Folder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	j, err := Open(folder, Options{Bytes: full})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	began, counts := kernelBytes(t)
	uplinks, written := 0, int64(0)
	// All files are together as long as what was written until the first of them goes.
	for j.Stats().Lost == 0 && uplinks < 200_000 {
		var list [][]byte
		for i := range inOne {
			id := make([]byte, 60)
			for k := range id {
				id[k] = byte(r.Uint32())
			}
			payload, token := base64.StdEncoding.EncodeToString(id[:20]), base64.StdEncoding.EncodeToString(id[20:])
			list = append(list, fmt.Appendf(nil, uplink, i%10, i%10, id[:16], id[16:32], uplinks, payload, token,
				uplinks*1003, uplinks*1003))
			uplinks++
		}
		written = max(written, j.Stats().Bytes)
		if _, err := j.Append(list, day.Add(time.Duration(uplinks)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	ended, _ := kernelBytes(t)
	if e, ok, err := j.Next(); err != nil || !ok || len(e.Message) < 500 { // a segment is read as a whole
		t.Fatal(ok, err)
	}
	memory := heap() - before
	each, kernel := written/int64(uplinks), (ended-began)/int64(uplinks)
	t.Logf("%d uplinks fill %d bytes: %d B of flash each in the files, %d by the kernel's count; %d kB of memory", uplinks,
		written, each, kernel, memory/1000)
	if each > mostFlash || memory > mostMemory || written > full {
		t.Errorf("at most %d B of flash each, and %d kB of memory", mostFlash, mostMemory/1000)
	}
	if counts && kernel > mostKernel {
		t.Errorf("%d B each by the kernel's count, at most %d", kernel, mostKernel)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(j)
}
