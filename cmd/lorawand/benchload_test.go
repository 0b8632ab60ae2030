package main

import (
	"testing"
	"time"
)

// load is what came of sending uplinks at a rate.
type load struct {
	sent int           // uplinks
	lost int           // of these
	took time.Duration // until the last one was sent
	cpu  time.Duration // of the daemon, for each
}

// measureLoad sends so many uplinks a second through UDP for a while, whatever
// becomes of them, and counts the messages.
func (d *benchDaemon) measureLoad(b *testing.B, c *quietClient, f *quietForwarder, rate int,
	length time.Duration,
) load {
	b.Helper()
	l := load{sent: int(int64(rate) * int64(length) / int64(time.Second))}
	datagrams := d.datagrams(b, l.sent)
	before, cpu := c.ups.Load(), d.cpu(b)
	began := time.Now()
	f.sendAt(b, datagrams, rate)
	l.took = time.Since(began)
	for end := time.Now().Add(2 * time.Second); c.ups.Load()-before < int64(l.sent) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if l.lost = l.sent - int(c.ups.Load()-before); l.lost > 0 {
		b.Logf("%d of %d uplinks are lost; the daemon says:\n%s", l.lost, l.sent, d.must("", "status", "--json"))
	}
	l.cpu = (d.cpu(b) - cpu) / time.Duration(l.sent)
	return l
}

// measureFull sends as fast as the daemon takes it, with some uplinks on their
// way at a time, and returns how many a second that were and the daemon's
// processor time for each.
func (d *benchDaemon) measureFull(b *testing.B, c *quietClient, f *quietForwarder, count int) (rate float64,
	cpu time.Duration,
) {
	b.Helper()
	const outstanding = 64
	datagrams := d.datagrams(b, count)
	before, used := c.ups.Load(), d.cpu(b)
	began := time.Now()
	for i, p := range datagrams {
		reach(b, "uplinks", &c.ups, before+int64(i-outstanding))
		f.send(b, p)
	}
	reach(b, "uplinks", &c.ups, before+int64(count))
	took := time.Since(began)
	return float64(count) / took.Seconds(), (d.cpu(b) - used) / time.Duration(count)
}

// downlinkRate is how many uplinks a second can be answered by one gateway,
// which sends one
// frame at a time, on a machine that is loud.
const downlinkRate = 4

// measureDownlinks returns the daemon's processor time for a downlink, beyond
// that of its uplink.
func (d *benchDaemon) measureDownlinks(b *testing.B, c *quietClient, f *quietForwarder) time.Duration {
	b.Helper()
	push := pushes(b, d.devices)
	round := func(pushed bool) time.Duration {
		used, ups, downs, stored := d.cpu(b), c.ups.Load(), c.downs.Load(), c.stored.Load()
		for i, p := range push {
			if !pushed {
				break
			}
			if _, err := c.conn.Write(p); err != nil {
				b.Fatal(err)
			}
			reach(b, "PUBACKs", &c.stored, stored+int64(i+1))
		}
		f.sendAt(b, d.datagrams(b, d.devices), downlinkRate)
		reach(b, "uplinks", &c.ups, ups+int64(d.devices))
		if pushed {
			reach(b, "messages about downlinks", &c.downs, downs+2*int64(d.devices))
		}
		time.Sleep(windowsPast)
		return d.cpu(b) - used
	}
	round(true) // the forwarder is known to answer
	return (round(true) - round(false)) / time.Duration(d.devices)
}

// BenchmarkLoad tells how many uplinks a second pass through UDP, a daemon in a
// process of its own and MQTT, and what they cost.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		d := newBenchDaemon(b, 500, 1)
		d.start(b, nil, nil, d.build(b))
		c, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
		best, cpu := 0.0, time.Hour
		for range 5 {
			r, used := d.measureFull(b, c, f, 10_000)
			best, cpu = max(best, r), min(cpu, used)
		}
		b.ReportMetric(best, "uplinks/s")
		b.ReportMetric(float64(cpu.Nanoseconds())/1000, "CPU-us/uplink")
		for _, rate := range []int{50, 100, 1000, 5000, 10_000} {
			l := d.measureLoad(b, c, f, rate, 5*time.Second)
			b.Logf("%d/s: %d lost of %d, sent in %v, %v of CPU for each", rate, l.lost, l.sent, l.took.Round(time.Millisecond),
				l.cpu)
		}
		b.ReportMetric(0, "ns/op")
	}
}

func BenchmarkDownlink(b *testing.B) {
	for b.Loop() {
		d := newBenchDaemon(b, 24, 1)
		d.start(b, nil, nil, d.build(b))
		c, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
		b.ReportMetric(float64(d.measureDownlinks(b, c, f).Nanoseconds())/1000, "CPU-us/downlink")
		b.ReportMetric(0, "ns/op")
	}
}
