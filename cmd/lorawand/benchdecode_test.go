package main

import (
	"context"
	"encoding/hex"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lorawand/bridge/formatter"
)

// decodingCosts is what it takes to decode an uplink by a script of 200 lines in a
// child of the daemon's own program.
type decodingCosts struct {
	cpu      time.Duration // of the child and of its caller
	p50, p99 time.Duration // until the caller has the result
	rate     float64       // uplinks a second, one after another
	resident int64         // most memory of the child, bytes
}

func measureDecoding(b *testing.B, binary string, uplinks int) (d decodingCosts) {
	b.Helper()
	source, err := os.ReadFile("../../bridge/formatter/testdata/weather.js")
	if err != nil {
		b.Fatal(err)
	}
	f, err := formatter.NewJavaScript(string(source))
	if err != nil {
		b.Fatal(err)
	}
	payload, err := hex.DecodeString("01010ce40200eb035a042794" + "05002d010e06030676" + "5ff2960a0064" + "0703086f6b")
	if err != nil {
		b.Fatal(err)
	}
	r := formatter.Request{
		Formatter: f, Task: formatter.DecodeUplink, FPort: 2, Bytes: payload,
		Received: time.Unix(1795883668, 0),
	}
	pool := formatter.New(formatter.Options{Command: []string{binary}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}()
	once := func() formatter.Result {
		res := pool.Do(ctx, r)
		if res.Fail != nil || len(res.Normalized) != 1 {
			b.Fatalf("%s, %q, %v", res.Data, res.NormalizedWarnings, res.Fail)
		}
		return res
	}
	once() // reads the script
	took := make([]time.Duration, 0, uplinks)
	before, began := ownCPU(b), time.Now()
	for range uplinks {
		begin := time.Now()
		d.cpu += once().Cost.CPU
		took = append(took, time.Since(begin))
	}
	d.rate = float64(uplinks) / time.Since(began).Seconds()
	d.cpu = (d.cpu + ownCPU(b) - before) / time.Duration(uplinks)
	d.p50, d.p99 = quantile(took, 50), quantile(took, 99)
	r.Measure = true
	d.resident = once().Cost.RSS
	return d
}

// ownCPU is the processor time that this process has used.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDecode tells what a decoded uplink costs beyond another one.
func BenchmarkDecode(b *testing.B) {
	for b.Loop() {
		d := measureDecoding(b, newBenchDaemon(b, 1, 1).build(b), 2000)
		b.ReportMetric(micros(d.cpu), "CPU-us/uplink")
		b.ReportMetric(micros(d.p50), "p50-us")
		b.ReportMetric(micros(d.p99), "p99-us")
		b.ReportMetric(d.rate, "uplinks/s")
		b.ReportMetric(float64(d.resident)/(1<<20), "child-MB")
		b.ReportMetric(0, "ns/op")
	}
}
