package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wearEnv says for how long TestFlashWear sends, such as "1h". Without it, it has the daemon do what
// it does in an hour in some seconds: the uplinks come as much faster, and the commit interval is as
// much shorter. What goes by the kernel's clock, who writes back the file system's own data every
// half minute, is seen in a real hour only.
const wearEnv = "LORAWAND_WEAR"

// wearTime is the time in which an hour is compressed.
const wearTime = 18 * time.Second

// At one uplink a second, the flash takes at most 300 bytes for each by the account of the kernel,
// which knows what the file system adds, at the default commit interval. Where the file system takes
// no sectors, and so whole pages are written, it takes more. Meanwhile the daemon does not grow.
func TestFlashWear(t *testing.T) {
	if err := writeSector(t.TempDir()); err != nil {
		t.Skip("the file system does not write in sectors:", err)
	}
	length, err := time.ParseDuration(os.Getenv(wearEnv))
	binary := newBenchDaemon(t, 1, 1).build(t)
	for _, devices := range []int{10, 500} {
		t.Run(fmt.Sprint(devices, " devices"), func(t *testing.T) {
			t.Parallel()
			if err == nil {
				testFlashWear(t, binary, devices, int(length/time.Second), 1)
			} else {
				testFlashWear(t, binary, devices, 3600, int(time.Hour/wearTime))
			}
		})
	}
}

// writeSector writes a sector of 512 bytes to a file in a folder, past the cache of the kernel as the
// store does.
func writeSector(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "sector"), os.O_CREATE|os.O_WRONLY|unix.O_DIRECT, 0o600)
	if err != nil {
		return err
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteAt(page[:512], 512)
	return errors.Join(err, unix.Munmap(page), f.Close())
}

// testFlashWear sends so many uplinks at so many a second.
func testFlashWear(t *testing.T, binary string, devices, uplinks, rate int) {
	const most = 300
	interval := 15 * time.Second / time.Duration(rate)
	d := newBenchDaemon(t, devices, 1)
	conf, err := os.ReadFile(d.conf)
	if err != nil {
		t.Fatal(err)
	}
	store := fmt.Sprintf("[store]\ncommit_interval = %q", interval)
	d.write("lorawand.toml", strings.Replace(string(conf), "[store]", store, 1))
	d.start(t, nil, nil, binary)
	client, f := newQuietClient(t, d.mqtt, d.key), newQuietForwarder(t, d.udp)
	// The counter wraps meanwhile, as it does each 72 minutes.
	f.began = f.began.Add(time.Duration(uplinks)*time.Second/time.Duration(2*rate) - (1<<32-firstCounter)*time.Microsecond)
	f.sendAt(t, d.datagrams(t, max(devices, 100)), 100) // what each device costs once
	time.Sleep(2 * interval)
	before := d.wear(t)
	all, third := d.datagrams(t, uplinks), uplinks/3
	f.sendAt(t, all[:third], rate)
	anon, descriptors, began := d.status(t, ownMemory), descriptorsOf(t, d.cmd.Process.Pid), time.Now()
	f.sendAt(t, all[third:], rate)
	d.checkFlat(t, anon, descriptors, time.Since(began))
	time.Sleep(2 * interval)
	after := d.wear(t)
	reach(t, "uplinks", &client.ups, int64(uplinks+max(devices, 100)))
	own, kernel := float64(after.flash-before.flash)/float64(uplinks), float64(after.kernel-before.kernel)/float64(uplinks)
	if after.kernel == 0 {
		t.Skipf("the kernel counts nothing on this file system; the store %.0f B for an uplink", own)
	}
	t.Logf("%d devices, %d uplinks at %d/s: %.0f B for an uplink by the kernel's count, %.0f by the store's", devices,
		uplinks, rate, kernel, own)
	if kernel > most {
		t.Errorf("%.0f B for an uplink, at most %d", kernel, most)
	}
}

// ownMemory is what a process has of its own (proc_pid_status(5)). Of the 12 MB of its program the kernel keeps in
// memory what it likes.
const ownMemory = "RssAnon:"

// checkFlat wants the daemon to have grown by 100 kB an hour at most, what the collector of garbage has not
// looked at yet, and the last uplinks of each device, some 1 kB each; and to have no more open files.
func (d *benchDaemon) checkFlat(t *testing.T, own int64, descriptors int, in time.Duration) {
	t.Helper()
	grown, more := d.status(t, ownMemory)-own, descriptorsOf(t, d.cmd.Process.Pid)-descriptors
	t.Logf("in %v it grows by %d kB, to %d, and has %d more open files", in.Round(time.Second), grown>>10,
		(own+grown)>>10, more)
	if most := int64(4<<20 + in.Hours()*100_000); grown > most || more > 0 {
		t.Errorf("at most %d kB and no files may be more", most>>10)
	}
}

// descriptorsOf counts the descriptors of a process.
func descriptorsOf(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// wearCounts are bytes that were written since the start.
type wearCounts struct {
	flash  int64 // by the store, in whole pages
	kernel int64 // by the kernel, of the process
}

func (d *benchDaemon) wear(t *testing.T) (w wearCounts) {
	t.Helper()
	var s struct {
		Flash int64 `json:"flash_written_bytes"`
	}
	if err := json.Unmarshal([]byte(d.must("", "status", "--json")), &s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", d.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(text), "\nwrite_bytes: ")
	line, _, _ := strings.Cut(rest, "\n")
	if w.kernel, err = strconv.ParseInt(line, 10, 64); err != nil {
		t.Fatal(err)
	}
	w.flash = s.Flash
	return w
}
