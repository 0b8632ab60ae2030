package store_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	. "lorawand/bridge/store"
	"lorawand/bridge/store/storetest"
)

// network is devices that send one uplink a second in all, each in its turn,
// and commits their counters once in an interval, 0 being each uplink.
type network struct {
	store    *Store
	devices  int
	interval int // s
	sent     int
}

func newNetwork(tb testing.TB, s *Store, devices int, interval time.Duration) *network {
	tb.Helper()
	n := &network{store: s, devices: devices, interval: int(interval / time.Second)}
	// what a device with its session takes
	session := append(append([]byte(`{"`), bytes.Repeat([]byte("s"), 1150)...), `"}`...)
	var records []Record
	for i := range devices {
		records = append(records, Record{"device", n.key(i), 1, session}, n.counters(i))
	}
	if err := s.Commit(records...); err != nil {
		tb.Fatal(err)
	}
	s.Wait()
	return n
}

func (n *network) key(device int) string { return fmt.Sprintf("my-application/sensor-%05d", device) }

func (n *network) counters(device int) Record {
	f := n.sent / n.devices
	return Record{
		"counters", n.key(device), 1,
		[]byte{1, 1, byte(f), byte(f >> 8), byte(f >> 16), 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4},
	}
}

// run sends so many uplinks.
func (n *network) run(tb testing.TB, uplinks int) {
	tb.Helper()
	pending := map[int]bool{}
	for i := range uplinks {
		pending[n.sent%n.devices] = true
		n.sent++
		if n.interval > 0 && (i+1)%n.interval != 0 {
			continue
		}
		var records []Record
		for d := range pending {
			records = append(records, n.counters(d))
		}
		clear(pending)
		if err := n.store.Commit(records...); err != nil {
			tb.Fatal(err)
		}
	}
}

// intervals are those that the README has figures for.
var intervals = []time.Duration{0, time.Second, 15 * time.Second, time.Minute}

// At one uplink a second the flash takes at most 2 kB for each over an hour with
// the default interval, and aims at 300 B. A page for each commit is the least
// that can be; snapshots add about a third of what they make superfluous.
func TestWear(t *testing.T) {
	for _, devices := range []int{10, 500} {
		for _, interval := range intervals {
			s, err := Open("", Options{FS: storetest.NewDisk(nil), Logger: quiet}.Inline())
			if err != nil {
				t.Fatal(err)
			}
			n := newNetwork(t, s, devices, interval)
			uplinks := 3600
			if interval >= 15*time.Second {
				uplinks *= 24 // long enough for snapshots
			}
			before := s.Stats()
			n.run(t, uplinks)
			st := s.Stats()
			commits, written := st.Commits-before.Commits, st.BytesWritten-before.BytesWritten
			perUplink := float64(written) / float64(uplinks)
			t.Logf("%3d devices, %4v: %4.0f B/uplink; %d commits, %d snapshots", devices, interval, perUplink, commits,
				st.Compactions-before.Compactions)
			if over := written - commits*PageSize; over < 0 || over > commits*PageSize*2/5 {
				t.Errorf("%d devices, %v: %d bytes for %d commits, of which %d are no page of a commit", devices, interval, written,
					commits, over)
			}
			if interval == 15*time.Second && (perUplink > 300 || st.Compactions == before.Compactions) {
				t.Errorf("%d devices, %v: %.0f B/uplink, %d snapshots", devices, interval, perUplink, st.Compactions)
			}
			s.Close()
		}
	}
}

// BenchmarkHour writes an hour of one uplink a second to the disk, and compares
// what the store has counted with what the kernel has.
func BenchmarkHour(b *testing.B) {
	for _, devices := range []int{10, 500} {
		for _, interval := range intervals {
			b.Run(fmt.Sprintf("devices=%d/interval=%v", devices, interval), func(b *testing.B) {
				s, err := Open(b.TempDir(), Options{Ephemeral: true, Logger: quiet})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				n := newNetwork(b, s, devices, interval)
				counted, kernel := s.BytesWritten(), writtenByKernel(b)
				for b.Loop() {
					n.run(b, 3600)
				}
				b.ReportMetric(float64(s.BytesWritten()-counted)/float64(n.sent), "B/uplink")
				b.ReportMetric(float64(writtenByKernel(b)-kernel)/float64(n.sent), "kernel-B/uplink")
			})
		}
	}
}

// writtenByKernel returns what this process has had written to disks, bytes.
func writtenByKernel(tb testing.TB) int64 {
	tb.Helper()
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Skip(err)
	}
	_, rest, _ := bytes.Cut(io, []byte("\nwrite_bytes: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
