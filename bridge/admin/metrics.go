package admin

import (
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/radio"
)

// pulseTimeout is how long metrics and health wait for the core.
const pulseTimeout = 3 * time.Second

// Driver is what a driver tells of itself.
type Driver struct {
	Name    string
	Err     error // why it does not do its work; nil: it does
	Metrics []Metric
}

// Metric is a number that a driver has named.
type Metric struct {
	Name  string // without metricPrefix
	Help  string
	Value float64
	Gauge bool // it rises and falls; else it only rises
}

const metricPrefix = "lorawand_"

// exposition is text in the format of Prometheus, version 0.0.4.
type exposition struct{ b []byte }

func (e *exposition) family(name, kind, help string) {
	e.b = append(e.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

// sample adds a value; labels are pairs of name and value.
func (e *exposition) sample(name string, v float64, labels ...string) {
	e.b = append(e.b, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		e.b = append(e.b, "{,"[min(i, 1)])
		e.b = append(append(e.b, labels[i]...), '=')
		e.b = strconv.AppendQuote(e.b, labels[i+1])
	}
	if len(labels) > 0 {
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, ' ')
	e.b = append(strconv.AppendFloat(e.b, v, 'f', -1, 64), '\n')
}

func (e *exposition) counter(name, help string, v uint64) {
	e.family(name, "counter", help)
	e.sample(name, float64(v))
}

func (e *exposition) gauge(name, help string, v float64) {
	e.family(name, "gauge", help)
	e.sample(name, v)
}

func (e *exposition) metric(m Metric) {
	kind := "counter"
	if m.Gauge {
		kind = "gauge"
	}
	e.family(metricPrefix+m.Name, kind, m.Help)
	e.sample(metricPrefix+m.Name, m.Value)
}

// metrics returns the exposition of all metrics.
func (a *Admin) metrics(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, pulseTimeout)
	defer cancel()
	stats, err := a.o.Bridge.Stats(ctx)
	if err != nil {
		return nil, err
	}
	var e exposition
	a.processMetrics(&e)
	coreMetrics(&e, &stats)
	a.storeMetrics(&e)
	a.brokerMetrics(&e)
	if f := a.o.Formatters; f != nil {
		formatterMetrics(&e, f.Stats())
	}
	for _, d := range a.o.Drivers() {
		for _, m := range d.Metrics {
			e.metric(m)
		}
	}
	return e.b, nil
}

func (a *Admin) processMetrics(e *exposition) {
	e.family("lorawand_build_info", "gauge", "Which program this is.")
	b := &a.o.Build
	e.sample("lorawand_build_info", 1, "version", b.Version, "commit", b.Commit, "target", b.Target, "go", b.Go)
	now := a.o.Bridge.Now()
	e.gauge("lorawand_uptime_seconds", "Since the daemon was started.", seconds(now.Host))
	if now.Wall.Known() {
		start := now.Wall.Time.Add(-time.Duration(now.Host))
		e.gauge("lorawand_process_start_time_seconds",
			"Start in Unix time; absent while the calendar is not known.", float64(start.UnixMilli())/1e3)
	}
	e.gauge("lorawand_clock_quality",
		"How far the calendar can be trusted: 0 not at all, 1 real-time clock, 2 NTP, 3 GNSS.",
		float64(now.Wall.Quality))
	e.gauge("lorawand_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
	e.gauge("lorawand_resident_memory_bytes", "Memory of the process that is in RAM.", float64(residentMemory()))
}

func seconds(t radio.HostTime) float64 { return float64(t/1e6) / 1e3 }

// residentMemory returns the RSS of this process in bytes; 0: not known.
func residentMemory() int64 {
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

func coreMetrics(e *exposition, s *bridge.Stats) {
	e.counter("lorawand_uplink_receptions_total", "Frames that gateways have heard, of all kinds.", s.Uplinks)
	e.counter("lorawand_uplinks_published_total", "Frames of devices that were published.", s.Published)
	e.counter("lorawand_uplink_copies_total", "Frames that came through another gateway as well.", s.Copies)
	e.counter("lorawand_uplink_ghosts_total", "Frames that were heard beside their channel as well.", s.Ghosts)
	e.counter("lorawand_uplink_repetitions_total", "Frames that their devices have sent again.", s.Repeated)
	e.counter("lorawand_wrong_mics_total", "MICs that were computed in vain, for forged frames and those of neighbours.",
		s.WrongMICs)
	e.family("lorawand_uplinks_dropped_total", "counter", "Frames that were not published, by reason.")
	for reason, n := range s.Dropped {
		e.sample("lorawand_uplinks_dropped_total", float64(n), "reason", event.DropReason(reason).String())
	}
	e.family("lorawand_joins_total", "counter", "Join-requests, by result.")
	e.sample("lorawand_joins_total", float64(s.Joins), "result", "accepted")
	for _, why := range event.JoinRefusals {
		e.sample("lorawand_joins_total", float64(s.Refusals[why]), "result", string(why))
	}
	downlinkMetrics(e, s)
	e.family("lorawand_events_total", "counter", "Decisions and news, by kind: what the command events shows.")
	for _, kind := range slices.Sorted(maps.Keys(s.Events)) {
		e.sample("lorawand_events_total", float64(s.Events[kind]), "kind", kind.Word())
	}
	e.counter("lorawand_downlinks_unsent_total",
		"Answers for which neither window could be used, or that every gateway refused.", s.Unsent)
	e.gauge("lorawand_downlinks_in_flight", "Downlinks that are planned or with a gateway.", float64(s.InFlight))
	e.gauge("lorawand_store_waiting", "Joins, pushes and changes that wait for the store.", float64(s.Unstored))
	e.gauge("lorawand_downlinks_waiting", "Items in the downlink queues of all devices.", float64(s.Downlinks))
	e.gauge("lorawand_inbox_length", "Inputs that wait for the core.", float64(s.Inbox))
	e.counter("lorawand_inbox_dropped_total", "Frames that found the inbox full.", s.InboxDropped)
	e.gauge("lorawand_devices", "Devices that are registered.", float64(s.Devices))
	e.gauge("lorawand_gateways", "Gateways that are known.", float64(s.Gateways))
	e.gauge("lorawand_gateways_connected", "Gateways that are connected.", float64(s.Online))
}

func downlinkMetrics(e *exposition, s *bridge.Stats) {
	e.family("lorawand_downlinks_sent_total", "counter", "Downlinks that went out, by receive window; rxc is Class C, ping Class B.")
	for i, window := range event.Windows {
		e.sample("lorawand_downlinks_sent_total", float64(s.Sent[i]), "window", window)
	}
	const refused = "lorawand_downlinks_refused_total"
	e.family(refused, "counter", "Downlinks that a gateway has refused, by receive window and its answer.")
	for i, window := range event.Windows {
		for r := radio.TxTooLate; r <= radio.TxNoPath; r++ {
			if r != radio.TxNoAck { // no refusal
				e.sample(refused, float64(s.Refused[i][r]), "window", window, "reason", strings.ToLower(r.String()))
			}
		}
	}
}

func (a *Admin) storeMetrics(e *exposition) {
	s := a.o.Store.Stats()
	e.counter("lorawand_store_commits_total", "Commits to the store.", uint64(s.Commits))
	e.counter("lorawand_store_snapshots_total", "Snapshots of the store that were written.", uint64(s.Compactions))
	e.counter("lorawand_store_bytes_written_total",
		"Bytes that the store has handed to the file system.", uint64(s.Written))
	e.counter("lorawand_flash_bytes_written_total",
		"Bytes that the flash has taken for the store: whole pages, again after each sync.", uint64(s.BytesWritten))
	e.gauge("lorawand_store_records", "Records in the store.", float64(s.Records))
	e.gauge("lorawand_store_journal_bytes",
		"Bytes that commits have added since the newest snapshot.", float64(s.JournalSize))
	writable := 1.0
	if a.storeError() != nil {
		writable = 0
	}
	e.gauge("lorawand_store_writable", "1 if the last commit has succeeded.", writable)
}

func (a *Admin) brokerMetrics(e *exposition) {
	if a.o.Broker == nil {
		return
	}
	s := a.o.Broker.Stats()
	e.gauge("lorawand_mqtt_clients", "MQTT clients that are connected.", float64(s.Clients))
	e.gauge("lorawand_mqtt_sessions", "MQTT sessions, connected or not.", float64(s.Sessions))
	e.counter("lorawand_mqtt_published_total", "Messages for applications.", s.Published)
	e.counter("lorawand_mqtt_delivered_total", "Messages that were written to clients.", s.Delivered)
	e.family("lorawand_mqtt_dropped_total", "counter", "Messages that found a queue full, where the oldest went.")
	e.sample("lorawand_mqtt_dropped_total", float64(s.OutboxDropped), "queue", "outbox")
	e.sample("lorawand_mqtt_dropped_total", float64(s.ClientDropped), "queue", "client")
	e.counter("lorawand_mqtt_refused_total", "Connections beyond a limit.", s.Refused)
	e.counter("lorawand_mqtt_bad_logins_total", "Logins with a wrong name or key.", s.BadLogins)
	e.counter("lorawand_mqtt_faults_total", "Faults of ours on what a client has sent.", s.Panics)
}

func formatterMetrics(e *exposition, s formatter.Stats) {
	e.counter("lorawand_formatter_calls_total", "Payloads that were for a script.", uint64(s.Calls))
	e.counter("lorawand_formatter_failures_total", "Of these, those that came to nothing.", uint64(s.Failed))
	e.counter("lorawand_formatter_late_total", "Of these, those that had waited for too long.", uint64(s.Late))
	e.counter("lorawand_formatter_starts_total", "Child processes that were started for scripts.", uint64(s.Starts))
	e.counter("lorawand_formatter_kills_total", "Child processes that a script has made useless.", uint64(s.Kills))
	e.family("lorawand_formatter_cpu_seconds_total", "counter", "Processor time of scripts, of payloads that have an answer.")
	e.sample("lorawand_formatter_cpu_seconds_total", s.CPU.Seconds())
	e.family("lorawand_formatter_seconds_total", "counter", "Time from the call of a script to its answer.")
	e.sample("lorawand_formatter_seconds_total", s.Wall.Seconds())
	e.gauge("lorawand_formatter_deadline_seconds", "Processor time that a script may take on this machine.", s.Deadline.Seconds())
	e.gauge("lorawand_formatter_waiting", "Payloads that wait for a script.", float64(s.Waiting))
	running := 0.0
	if s.PID != 0 {
		running = 1
	}
	e.gauge("lorawand_formatter_child", "1 if a child process runs.", running)
}
