//go:build !small

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// cost is a row of the table: what was measured, and the most that it may be.
type cost struct {
	what  string
	value float64
	unit  string
	limit float64 // or unlimited: it is only told
}

const unlimited = -1

// overLimit returns a line for each row that is over its limit.
func overLimit(costs []cost) (faults []string) {
	for _, c := range costs {
		if c.limit != unlimited && c.value > c.limit {
			faults = append(faults, fmt.Sprintf("%s: %.4g %s, at most %.4g", c.what, c.value, c.unit, c.limit))
		}
	}
	return faults
}

// The table must be able to fail.
func TestOverLimit(t *testing.T) {
	costs := []cost{{"a", 1, "MB", 2}, {"b", 2, "MB", 2}, {"c", 9, "MB", unlimited}, {"lost", 0, "", 0}}
	if faults := overLimit(costs); faults != nil {
		t.Error(faults)
	}
	costs[1].value, costs[3].value = 2.5, 1
	if faults := overLimit(costs); !slices.Equal(faults, []string{"b: 2.5 MB, at most 2", "lost: 1 , at most 0"}) {
		t.Errorf("%q", faults)
	}
}

// BenchmarkCosts measures what the daemon costs, prints it as a table, and fails
// if a limit is passed. What another load on the machine would disturb comes
// last, when the emulators and the idle daemons are gone.
func BenchmarkCosts(b *testing.B) {
	for b.Loop() {
		binary := newBenchDaemon(b, 1, 1).build(b)
		costs := costsAtRest(b, binary)
		costs = append(costs, costsAtWork(b, binary)...)
		costs = append(costs, costsOfDecoding(b, binary)...)
		costs = append(costs, costsBesideHog(b)...)
		costs = append(costs, costsOfLatency(b)...)
		fmt.Print(costTable(costs))
		for _, fault := range overLimit(costs) {
			b.Error(fault)
		}
		b.ReportMetric(0, "ns/op")
	}
}

// costsAtRest are those that take long and do not mind: memory, instructions,
// allocations.
func costsAtRest(b *testing.B, binary string) []cost {
	b.Helper()
	few, many, decoding := startIdle(b, binary, 100), startIdle(b, binary, 1000), startDecoding(b, binary, 100)
	page := startPage(b, binary, 100)
	// One after the other: they are slow enough. The daemons rest meanwhile.
	mips := mipsle.instructions(b)
	for _, i := range []*idle{few, many, decoding, page} {
		i.sendAgain(b)
	}
	arm, poll := armv7.instructions(b), mipsle.poll(b)
	up, down := measureAllocations(b)
	loaded, used := measureDevice(b)
	return []cost{
		{"instructions for an uplink, mipsle", float64(mips) / 1e6, "million", 0.3},
		{"instructions for an uplink, armv7", float64(arm) / 1e6, "million", 2.4},
		{"instructions for a second of a quiet radio, mipsle", float64(poll) * 100 / 1e6, "million", 3},
		{"allocations for an uplink", up.count, "", 15},
		{"", up.bytes, "bytes", unlimited},
		{"allocations for a downlink, its push included", down.count, "", unlimited},
		{"", down.bytes, "bytes", unlimited},
		{"memory of a device, from the start", float64(loaded) / 1000, "kB", unlimited},
		{"memory of a device, after an uplink", float64(used) / 1000, "kB", unlimited},
		{"resident memory, 100 devices, after a minute of rest", float64(few.resident(b)) / (1 << 20), "MB", 16},
		{"the same, all decoded, with the child for scripts", float64(decoding.resident(b)) / (1 << 20), "MB", 32},
		{"resident memory, 100 devices, with the web page open", float64(page.resident(b)) / (1 << 20), "MB", 20},
		{"resident memory, 1000 devices, after a minute of rest", float64(many.resident(b)) / (1 << 20), "MB", 24},
	}
}

// costsAtWork are those of a daemon under load.
func costsAtWork(b *testing.B, binary string) []cost {
	b.Helper()
	const sustained = 5000
	d := newBenchDaemon(b, 500, 1)
	d.start(b, nil, nil, binary)
	client, f := newQuietClient(b, d.mqtt, d.key), newQuietForwarder(b, d.udp)
	rate, cpu := 0.0, time.Hour
	for range 3 {
		r, each := d.measureFull(b, client, f, 10_000)
		rate, cpu = max(rate, r), min(cpu, each)
	}
	each := func(rate int) time.Duration { // the best of three, as for full speed
		best := time.Hour
		for range 3 {
			best = min(best, d.measureLoad(b, client, f, rate, 3*time.Second).cpu)
		}
		return best
	}
	at50, at100 := each(50), each(100)
	fast := d.measureLoad(b, client, f, sustained, 5*time.Second)
	d.stop()
	a := newBenchDaemon(b, 24, 1)
	a.start(b, nil, nil, binary)
	down := a.measureDownlinks(b, newQuietClient(b, a.mqtt, a.key), newQuietForwarder(b, a.udp))
	a.stop()
	return []cost{
		{"CPU for an uplink, at full speed", micros(cpu), "µs", 60},
		{"CPU for an uplink, at 100 a second", micros(at100), "µs", 450},
		{"CPU for an uplink, at 50 a second", micros(at50), "µs", 500},
		{"CPU for a downlink, its push included", micros(down), "µs", unlimited},
		{"uplinks a second at full speed", rate, "", unlimited},
		{fmt.Sprintf("lost of %d uplinks at %d a second", fast.sent, sustained), float64(fast.lost), "", 0},
	}
}

// costsOfDecoding are those that an uplink has besides when it is decoded by a
// script of 200 lines.
func costsOfDecoding(b *testing.B, binary string) []cost {
	b.Helper()
	d := measureDecoding(b, binary, 5000)
	return []cost{
		{"CPU for decoding an uplink, of the daemon", micros(d.daemon), "µs", unlimited},
		{"the same, of the child for scripts", micros(d.child), "µs", unlimited},
		{"latency that decoding adds, median", micros(d.added), "µs", 1000},
		{"latency of decoded uplinks, 99th percentile", micros(d.p99), "µs", unlimited},
		{"decoded uplinks a second at full speed", d.rate, "", unlimited},
		{"memory that the child allocates for an uplink", float64(d.allocated) / 1000, "kB", unlimited},
		{"most resident memory of the child", float64(d.peak) / (1 << 20), "MB", 48},
	}
}

// costsOfLatency are those of the daemon, and of the bare MQTT library at the
// same messages in the same run.
func costsOfLatency(b *testing.B) []cost {
	b.Helper()
	daemon, bare := measureLatency(b, 500, 20*time.Millisecond)
	d50, d99, c50, c99 := quantile(daemon, 50), quantile(daemon, 99), quantile(bare, 50), quantile(bare, 99)
	return []cost{
		{"latency from UDP to MQTT at 50 a second, median", micros(d50), "µs", unlimited},
		{"the same, 99th percentile", micros(d99), "µs", unlimited},
		{"latency of the bare broker, median", micros(c50), "µs", unlimited},
		{"the same, 99th percentile", micros(c99), "µs", unlimited},
		{"ratio of the medians", float64(d50) / float64(c50), "", 3},
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// costTable is text for people.
func costTable(costs []cost) string {
	var out strings.Builder
	for i := range costs {
		c := &costs[i]
		limit := ""
		if c.limit != unlimited {
			limit = fmt.Sprintf("at most %.4g", c.limit)
		}
		fmt.Fprintf(&out, "%-54s %10.4g %-8s %s\n", c.what, c.value, c.unit, limit)
	}
	return out.String()
}
