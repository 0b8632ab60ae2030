package main

import (
	"runtime"
	"testing"
	"time"
)

// windowsPast is when all that an uplink sets going is over: its receive
// windows open after 1 and 2 s.
const windowsPast = 3 * time.Second

// allocations are those of a daemon for one thing that it does.
type allocations struct{ count, bytes float64 }

func (a allocations) per(n int) allocations {
	return allocations{a.count / float64(n), a.bytes / float64(n)}
}

// measureAllocations runs the daemon in this process, and beside it only what
// allocates nothing itself. It returns what an uplink takes, from its datagram
// to its windows, and what a downlink takes beyond its uplink: the push and its
// commit, the decision, the transmission, TX_ACK and two messages.
func measureAllocations(b *testing.B) (uplink, downlink allocations) {
	b.Helper()
	const devices, rounds, rate = 24, 50, 200
	d := newBenchDaemon(b, devices, 1)
	r := d.site.start()
	defer r.stop()
	client := newQuietClient(b, r.d.mqttAddr().String(), d.key)
	f := newQuietForwarder(b, r.d.udp.Addr().String())
	push := pushes(b, devices)

	uplinks := func(n, rate int, pushed bool) allocations {
		datagrams := d.datagrams(b, n)
		return allocating(func() {
			ups, downs, stored := client.ups.Load(), client.downs.Load(), client.stored.Load()
			if pushed {
				for i, p := range push {
					if _, err := client.conn.Write(p); err != nil {
						b.Fatal(err)
					}
					reach(b, "PUBACKs", &client.stored, stored+int64(i+1))
				}
			}
			f.sendAt(b, datagrams, rate)
			reach(b, "uplinks", &client.ups, ups+int64(n))
			if pushed {
				reach(b, "messages about downlinks", &client.downs, downs+2*devices)
			}
			time.Sleep(windowsPast)
		})
	}
	uplinks(devices, downlinkRate, true) // what is made once
	uplink = uplinks(devices*rounds, rate, false).per(devices * rounds)
	answered := uplinks(devices, downlinkRate, true).per(devices)
	return uplink, allocations{answered.count - uplink.count, answered.bytes - uplink.bytes}
}

// allocating returns what is allocated while f runs.
func allocating(f func()) allocations {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return allocations{float64(after.Mallocs - before.Mallocs), float64(after.TotalAlloc - before.TotalAlloc)}
}

// BenchmarkAllocations tells what the whole daemon allocates, from the datagram
// to the subscriber.
func BenchmarkAllocations(b *testing.B) {
	for b.Loop() {
		up, down := measureAllocations(b)
		b.ReportMetric(up.count, "allocs/uplink")
		b.ReportMetric(up.bytes, "B/uplink")
		b.ReportMetric(down.count, "allocs/downlink")
		b.ReportMetric(down.bytes, "B/downlink")
		b.ReportMetric(0, "ns/op")
	}
}

// measureDevice returns the bytes of heap that a device takes: as it is loaded,
// and more after its first uplink, when its keys are expanded.
func measureDevice(b *testing.B) (loaded, used int64) {
	b.Helper()
	const few, many = 100, 1100
	measure := func(devices int) (loaded, used int64) {
		d := newBenchDaemon(b, devices, 1)
		r := d.site.start()
		defer r.stop()
		loaded = liveHeap()
		client := newQuietClient(b, r.d.mqttAddr().String(), d.key)
		f := newQuietForwarder(b, r.d.udp.Addr().String())
		datagrams := d.datagrams(b, devices)
		f.sendAt(b, datagrams, 1000)
		reach(b, "uplinks", &client.ups, int64(devices))
		time.Sleep(windowsPast)
		clear(datagrams)
		return loaded, liveHeap()
	}
	l1, u1 := measure(few)
	l2, u2 := measure(many)
	const n = many - few
	return (l2 - l1) / n, (u2 - u1) / n
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what the first one has only put aside
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkDevice(b *testing.B) {
	for b.Loop() {
		loaded, used := measureDevice(b)
		b.ReportMetric(float64(loaded), "B/device")
		b.ReportMetric(float64(used), "B/used-device")
		b.ReportMetric(0, "ns/op")
	}
}
