//go:build !small

package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// decodingCosts is what it takes to decode uplinks by a script of 200 lines, beyond
// what they take undecoded.
type decodingCosts struct {
	daemon, child time.Duration // CPU for an uplink
	added         time.Duration // latency from the datagram to the message, medians
	p99           time.Duration // of decoded uplinks
	rate          float64       // decoded uplinks a second, at full speed
	allocated     int64         // bytes that the child allocates for an uplink
	peak          int64         // bytes of resident memory that the child has had at most
}

// newDecodingDaemon makes a site whose devices have a formatter of 200 lines, as
// device makers write them, and send what it is for.
func newDecodingDaemon(b testing.TB, devices int) *benchDaemon {
	b.Helper()
	d := newBenchDaemon(b, devices, 1)
	d.must("", "application", "set", "app1", "--up-formatter", "../../bridge/formatter/testdata/weather.js")
	payload, err := hex.DecodeString("01010ce40200eb035a042794" + "05002d010e06030676" + "5ff2960a0064" + "0703086f6b")
	if err != nil {
		b.Fatal(err)
	}
	d.fPort, d.payload = 2, payload
	return d
}

// measureDecoding measures two daemons beside each other, one of which decodes.
func measureDecoding(b *testing.B, binary string, uplinks int) (c decodingCosts) {
	b.Helper()
	plain, decodes := newBenchDaemon(b, 100, 1), newDecodingDaemon(b, 100)
	plain.fPort, plain.payload = decodes.fPort, decodes.payload
	var cpu [2]time.Duration
	var p50 [2]time.Duration
	for i, d := range []*benchDaemon{plain, decodes} {
		d.start(b, nil, nil, binary)
		client, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
		d.roundTrips(b, client, f, d.devices) // starts the child, which reads the script
		took := d.roundTrips(b, client, f, uplinks)
		p50[i], c.p99 = quantile(took, 50), quantile(took, 99)
		var child time.Duration
		if i == 1 {
			child = d.childCPU(b)
		}
		c.rate, cpu[i] = d.measureFull(b, client, f, uplinks)
		if i == 1 {
			c.child = (d.childCPU(b) - child) / time.Duration(uplinks)
		}
		if i == 1 {
			c.allocated, c.peak = d.childMemory(b)
		}
		if events := d.must("", "events"); strings.Contains(events, "payload formatter failed") {
			b.Fatalf("not all were decoded:\n%s", events)
		}
		d.stop()
	}
	c.daemon, c.added = cpu[1]-cpu[0], p50[1]-p50[0]
	return c
}

// roundTrips returns how long uplinks take from the datagram to the message, one after
// another. It sleeps until the message is there, as clients do: who asks for it all the
// time takes a processor from the child, which is the lowest of all.
func (d *benchDaemon) roundTrips(b *testing.B, c *quietClient, f *quietForwarder, count int) []time.Duration {
	b.Helper()
	took := make([]time.Duration, count)
	for i, p := range d.datagrams(b, count) {
		select {
		case <-c.up: // of an uplink before
		default:
		}
		began := time.Now()
		f.send(b, p)
		select {
		case <-c.up:
		case <-time.After(10 * time.Second):
			b.Fatalf("no message of uplink %d in 10 s", i)
		}
		took[i] = time.Since(began)
	}
	return took
}

// child returns the process of the daemon's child for scripts.
func (d *benchDaemon) child(b testing.TB) int {
	b.Helper()
	pid, ok := d.scripts(b)
	if !ok {
		b.Fatal("no child")
	}
	return pid
}

// scripts is child where there may be none.
func (d *benchDaemon) scripts(b testing.TB) (pid int, ok bool) {
	b.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", d.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks { // any thread can have started it
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", d.cmd.Process.Pid, task.Name()))
		if err != nil {
			b.Fatal(err)
		}
		for _, child := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				return n, true
			}
		}
	}
	return 0, false
}

// childMemory returns what the child allocates for an uplink, and its most resident
// memory, in bytes.
func (d *benchDaemon) childMemory(b testing.TB) (allocated, peak int64) {
	b.Helper()
	var r resultJSON
	text := d.must("", "formatter", "test", "app1/dev0", "--port", strconv.Itoa(int(d.fPort)), "--hex",
		hex.EncodeToString(d.payload), "--json")
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		b.Fatal(err)
	}
	return r.Allocated, r.RSS
}

func (d *benchDaemon) childCPU(b testing.TB) time.Duration { return processCPU(b, d.child(b)) }

// startDecoding is startIdle with formatters: the memory is that of the daemon and of
// its child.
func startDecoding(b *testing.B, binary string, devices int) *idle {
	b.Helper()
	i := newDecodingDaemon(b, devices).startIdle(b, binary)
	i.scripts = true
	return i
}

// BenchmarkDecode tells what a decoded uplink costs beyond another one.
func BenchmarkDecode(b *testing.B) {
	for b.Loop() {
		binary := newBenchDaemon(b, 1, 1).build(b)
		d := measureDecoding(b, binary, 5000)
		b.ReportMetric(micros(d.daemon), "daemon-CPU-us/uplink")
		b.ReportMetric(micros(d.child), "child-CPU-us/uplink")
		b.ReportMetric(micros(d.added), "added-p50-us")
		b.ReportMetric(micros(d.p99), "p99-us")
		b.ReportMetric(d.rate, "uplinks/s")
		b.ReportMetric(float64(d.allocated), "child-B/uplink")
		b.ReportMetric(float64(d.peak)/1e6, "child-MB")
		b.ReportMetric(0, "ns/op")
	}
}
