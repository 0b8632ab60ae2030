package main

import (
	"testing"
	"time"
)

// startIdle starts a daemon with so many devices, each of which sends one
// uplink, and another one when the start is over. The function that it returns
// waits until a minute is over, and returns the daemon's resident memory in
// bytes.
func startIdle(b *testing.B, binary string, devices int) (resident func() int64) {
	b.Helper()
	return newBenchDaemon(b, devices, 1).startIdle(b, binary)
}

func (d *benchDaemon) startIdle(b *testing.B, binary string) (resident func() int64) {
	b.Helper()
	const rest = time.Minute
	devices := d.devices
	d.start(b, nil, nil, binary)
	c, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
	f.sendAt(b, d.datagrams(b, devices), 500)
	reach(b, "uplinks", &c.ups, int64(devices))
	over := time.Now().Add(rest)
	return func() int64 {
		time.Sleep(time.Until(over.Add(-rest + 2*startOver)))
		f.sendAt(b, d.datagrams(b, devices), 500)
		reach(b, "uplinks", &c.ups, 2*int64(devices))
		time.Sleep(time.Until(over))
		return d.resident(b)
	}
}

func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		binary := newBenchDaemon(b, 1, 1).build(b)
		few, many, decoding := startIdle(b, binary, 100), startIdle(b, binary, 1000), startDecoding(b, binary, 100)
		b.ReportMetric(float64(few())/1e6, "MB-with-100-devices")
		b.ReportMetric(float64(many())/1e6, "MB-with-1000-devices")
		b.ReportMetric(float64(decoding())/1e6, "MB-with-100-devices-and-child")
		b.ReportMetric(0, "ns/op")
	}
}
