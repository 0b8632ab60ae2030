//go:build !small

package main

import (
	"testing"
	"time"
)

// idle is a daemon at rest, whose devices have sent one uplink each.
type idle struct {
	*benchDaemon
	client   *quietClient
	forward  *quietForwarder
	started  time.Time
	lastSent time.Time
	scripts  bool // the memory of the child for scripts counts too
}

// startIdle starts a daemon with so many devices, each of which sends one uplink.
func startIdle(b *testing.B, binary string, devices int) *idle {
	b.Helper()
	return newBenchDaemon(b, devices, 1).startIdle(b, binary)
}

func (d *benchDaemon) startIdle(b *testing.B, binary string) *idle {
	b.Helper()
	d.start(b, nil, nil, binary)
	i := &idle{benchDaemon: d, started: time.Now()}
	i.client, i.forward = newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
	i.send(b)
	return i
}

func (i *idle) send(b *testing.B) {
	b.Helper()
	n := i.client.ups.Load()
	i.forward.sendAt(b, i.datagrams(b, i.devices), 500)
	reach(b, "uplinks", &i.client.ups, n+int64(i.devices))
	i.lastSent = time.Now()
}

// sendAgain lets each device send another uplink when the start is over.
func (i *idle) sendAgain(b *testing.B) {
	b.Helper()
	time.Sleep(time.Until(i.started.Add(2 * startOver)))
	i.send(b)
}

// resident returns the resident memory in bytes after a minute of rest.
func (i *idle) resident(b *testing.B) int64 {
	b.Helper()
	time.Sleep(time.Until(i.lastSent.Add(time.Minute)))
	bytes := i.benchDaemon.resident(b)
	if i.scripts {
		bytes += processStatus(b, i.child(b), "VmRSS:")
	}
	return bytes
}

func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		binary := newBenchDaemon(b, 1, 1).build(b)
		few, many, decoding := startIdle(b, binary, 100), startIdle(b, binary, 1000), startDecoding(b, binary, 100)
		page := startPage(b, binary, 100)
		for _, i := range []*idle{few, many, decoding, page} {
			i.sendAgain(b)
		}
		b.ReportMetric(float64(few.resident(b))/1e6, "MB-with-100-devices")
		b.ReportMetric(float64(many.resident(b))/1e6, "MB-with-1000-devices")
		b.ReportMetric(float64(decoding.resident(b))/1e6, "MB-decoding")
		b.ReportMetric(float64(page.resident(b))/1e6, "MB-page-open")
		b.ReportMetric(0, "ns/op")
	}
}
