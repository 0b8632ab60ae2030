package admin

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge/admin/metrics"
)

// Metric is a number that a driver has named.
type Metric = metrics.Metric

// pulseTimeout is how long metrics and health wait for the core.
const pulseTimeout = 3 * time.Second

// Driver is what a driver tells of itself.
type Driver struct {
	Name    string
	Err     error // why it does not do its work; nil: it does
	Metrics []Metric
}

// metrics returns the exposition of all metrics.
func (a *Admin) metrics(ctx context.Context) (string, error) {
	stats, err := a.o.Bridge.Stats(ctx)
	if err != nil {
		return "", err
	}
	var e metrics.Exposition
	a.processMetrics(&e)
	metrics.Core(&e, &stats)
	metrics.Store(&e, a.o.Store.Stats(), a.storeError())
	if a.o.Broker != nil {
		metrics.Broker(&e, a.o.Broker.Stats())
	}
	if f := a.o.Formatters; f != nil {
		metrics.Formatters(&e, f.Stats())
	}
	for _, d := range a.o.Drivers() {
		for _, m := range d.Metrics {
			e.Metric(m)
		}
	}
	return string(e.Bytes()), nil
}

func (a *Admin) processMetrics(e *metrics.Exposition) {
	e.Family("lorawand_build_info", "gauge", "Which program this is.")
	b := &a.o.Build
	e.Sample("lorawand_build_info", 1, "version", b.Version, "commit", b.Commit, "target", b.Target, "go", b.Go)
	now := a.o.Bridge.Now()
	e.Gauge("lorawand_uptime_seconds", "Since the daemon was started.", float64(now.Host/1e6)/1e3)
	if now.Wall.Known() {
		start := now.Wall.Time.Add(-time.Duration(now.Host))
		e.Gauge("lorawand_process_start_time_seconds",
			"Start in Unix time; absent while the calendar is not known.", float64(start.UnixMilli())/1e3)
	}
	e.Gauge("lorawand_clock_quality",
		"How far the calendar can be trusted: 0 not at all, 1 real-time clock, 2 NTP, 3 GNSS.",
		float64(now.Wall.Quality))
	e.Gauge("lorawand_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
	e.Gauge("lorawand_resident_memory_bytes", "Memory of the process that is in RAM.", float64(ResidentMemory()))
}

// ResidentMemory returns the RSS of this process in bytes; 0: not known.
func ResidentMemory() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
