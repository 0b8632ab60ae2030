package admin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"lorawand/bridge"
)

// exposition is a text in the Prometheus format, version 0.0.4.
type exposition struct{ b bytes.Buffer }

// family begins a metric. kind is "counter" or "gauge".
func (e *exposition) family(name, kind, help string) {
	fmt.Fprintf(&e.b, "# HELP lorawand_%s %s\n# TYPE lorawand_%s %s\n", name, help, name, kind)
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample adds a value; labels are names and values in turn.
func (e *exposition) sample(name string, value float64, labels ...string) {
	e.b.WriteString("lorawand_" + name)
	for i := 0; i+1 < len(labels); i += 2 {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		e.b.WriteString(sep + labels[i] + `="` + labelEscapes.Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		e.b.WriteByte('}')
	}
	e.b.WriteByte(' ')
	e.b.Write(strconv.AppendFloat(nil, value, 'f', -1, 64))
	e.b.WriteByte('\n')
}

// counter adds a metric without labels.
func (e *exposition) counter(name, help string, value uint64) {
	e.family(name, "counter", help)
	e.sample(name, float64(value))
}

// gauge adds a metric without labels.
func (e *exposition) gauge(name, help string, value float64) {
	e.family(name, "gauge", help)
	e.sample(name, value)
}

// labelled is one value of a metric with one label.
type labelled struct {
	label string
	value uint64
}

// counters adds a metric with one label.
func (e *exposition) counters(name, help, label string, values ...labelled) {
	e.family(name, "counter", help)
	for _, v := range values {
		e.sample(name, float64(v.value), label, v.label)
	}
}

// metrics returns all that is measured. What has to be asked of the core is
// left out while that does not answer.
func (a *Admin) metrics(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	var e exposition
	a.processMetrics(&e)
	core, err := a.o.Bridge.Stats(ctx)
	e.gauge("core_up", "Whether the core answers: 0 or 1.", number(err == nil))
	if err == nil {
		uplinkMetrics(&e, &core)
		downlinkMetrics(&e, &core)
		e.gauge("devices", "Devices that are registered.", float64(core.Devices))
		e.gauge("gateways", "Gateways that are known.", float64(core.Gateways))
		e.gauge("gateways_connected", "Gateways that are connected.", float64(core.Online))
	}
	if a.o.Broker != nil {
		a.brokerMetrics(&e)
	}
	if a.o.GWMP != nil {
		gwmpMetrics(&e, a.o.GWMP())
	}
	a.storeMetrics(&e)
	return e.b.Bytes()
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (a *Admin) processMetrics(e *exposition) {
	b := a.o.Build
	e.family("build_info", "gauge", "Which program this is; always 1.")
	e.sample("build_info", 1, "version", b.Version, "commit", b.Commit, "target", b.Target, "goversion", b.Go)
	now := a.o.Bridge.Now()
	uptime := time.Duration(now.Host)
	e.gauge("uptime_seconds", "Time since the start.", uptime.Seconds())
	if now.Wall.Known() {
		start := now.Wall.Time.Add(-uptime)
		e.gauge("process_start_time_seconds", "Start in Unix time; absent while the calendar is not known.", float64(start.UnixMilli())/1000)
	}
	if n, ok := residentMemory(); ok {
		e.gauge("process_resident_memory_bytes", "Resident memory.", float64(n))
	}
	e.gauge("goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))
}

// residentMemory returns the second field of /proc/self/statm, which counts
// pages, in bytes (proc_pid_statm(5)).
func residentMemory() (int64, bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}

func uplinkMetrics(e *exposition, s *bridge.Stats) {
	e.counter("uplinks_received_total", "Frames of all kinds that gateways have heard.", s.Uplinks)
	e.counters("uplinks_total", "Data frames of devices by what became of them.", "result",
		labelled{"published", s.Published}, labelled{"copy", s.Copies}, labelled{"ghost", s.Ghosts}, labelled{"repeated", s.Repeated})
	var dropped []labelled
	for reason, n := range s.Dropped {
		dropped = append(dropped, labelled{bridge.DropReason(reason).String(), n})
	}
	e.counters("uplinks_dropped_total", "Frames that were dropped by the reason.", "reason", dropped...)
	joins := []labelled{{"accepted", s.Joins}}
	for _, why := range bridge.JoinRefusals {
		joins = append(joins, labelled{string(why), s.Refusals[why]})
	}
	e.counters("joins_total", "Join-requests that were answered, or refused and why.", "result", joins...)
	e.gauge("inbox_waiting", "Inputs that wait for the core.", float64(s.InboxWaiting))
	e.counter("inbox_dropped_total", "Frames that found the core's inbox full: the oldest went.", s.InboxDropped)
	e.gauge("receptions_remembered", "Frames that are remembered for their copies.", float64(s.Pending))
}

func downlinkMetrics(e *exposition, s *bridge.Stats) {
	e.family("downlinks_total", "counter", "Frames to devices by receive window and what became of them.")
	for i, window := range []string{"rx1", "rx2"} {
		d := s.Downlinks[i]
		e.sample("downlinks_total", float64(d.Sent), "window", window, "result", "sent")
		e.sample("downlinks_total", float64(d.Refused), "window", window, "result", "refused")
		e.sample("downlinks_total", float64(d.NoPath), "window", window, "result", "no_path")
	}
	e.counter("downlinks_unsent_total", "Answers for which neither window could be used.", s.Unsent)
	e.gauge("downlink_queue_items", "Downlinks that wait for their devices.", float64(s.Queued))
	e.gauge("downlinks_in_flight", "Downlinks that are planned or with a gateway.", float64(s.InFlight))
	e.gauge("store_waiting", "Joins, pushes and changes that wait for the store.", float64(s.Unstored))
}

func (a *Admin) brokerMetrics(e *exposition) {
	s := a.o.Broker.Stats()
	e.gauge("mqtt_clients", "MQTT clients that are connected.", float64(s.Clients))
	e.gauge("mqtt_sessions", "MQTT sessions, connected or not.", float64(s.Sessions))
	e.counter("mqtt_published_total", "Messages for applications.", s.Published)
	e.counter("mqtt_delivered_total", "Messages that were written to clients.", s.Delivered)
	e.counters("mqtt_dropped_total", "Messages that found a queue full: the oldest went.", "queue",
		labelled{"outbox", s.OutboxDropped}, labelled{"client", s.ClientDropped})
	e.counter("mqtt_refused_total", "Connections beyond a limit.", s.Refused)
	e.counter("mqtt_bad_logins_total", "Logins with a wrong user name or key.", s.BadLogins)
	e.counter("mqtt_faults_total", "Connections that were closed for a fault on what their client has sent.", s.Panics)
}

func gwmpMetrics(e *exposition, g GWMP) {
	e.counter("gwmp_datagrams_total", "Datagrams of packet forwarders.", g.Datagrams)
	e.counters("gwmp_bad_total", "Datagrams that were not taken by the reason.", "reason",
		labelled{"malformed", g.Malformed}, labelled{"unknown_gateway", g.UnknownGateway}, labelled{"foreign_address", g.ForeignAddress},
		labelled{"stray_ack", g.StrayAcks}, labelled{"kernel_buffer", g.KernelDrops})
	e.counters("gwmp_frames_dropped_total", "Frames in datagrams that were left out by the reason.", "reason",
		labelled{"crc", g.BadCRC}, labelled{"faulty", g.Faulty}, labelled{"duplicate", g.Duplicates})
}

func (a *Admin) storeMetrics(e *exposition) {
	s := a.o.Store.Stats()
	e.counter("store_commits_total", "Commits of the store.", uint64(s.Commits))
	e.counter("store_compactions_total", "Snapshots that were written.", uint64(s.Compactions))
	e.counter("store_written_bytes_total", "Bytes that were handed to the file system.", uint64(s.Written))
	e.counter("flash_bytes_written_total", "Bytes that the flash has taken for them: whole pages.", uint64(s.BytesWritten))
	e.gauge("store_records", "Records in the store.", float64(s.Records))
	e.gauge("store_journal_bytes", "Size of the journal since the newest snapshot.", float64(s.JournalSize))
	e.gauge("store_snapshot_bytes", "Size of the newest snapshot.", float64(s.SnapshotSize))
	e.gauge("store_up", "Whether the last write went well: 0 or 1.", number(a.checkStore().Err == nil))
	e.gauge("api_keys", "API keys.", float64(a.o.Keys.Len()))
}
