package metrics

import (
	"maps"
	"slices"
	"strings"

	"lorawand/bridge"
	"lorawand/bridge/broker"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/bridge/store"
	"lorawand/radio"
)

// Core adds the counts of the core.
func Core(e *Exposition, s *bridge.Stats) {
	e.Counter("lorawand_uplink_receptions_total", "Frames that gateways have heard, of all kinds.", s.Uplinks)
	e.Counter("lorawand_uplinks_published_total", "Frames of devices that were published.", s.Published)
	e.Counter("lorawand_uplink_copies_total", "Frames that came through another gateway as well.", s.Copies)
	e.Counter("lorawand_uplink_ghosts_total", "Frames that were heard beside their channel as well.", s.Ghosts)
	e.Counter("lorawand_uplink_repetitions_total", "Frames that their devices have sent again.", s.Repeated)
	e.Counter("lorawand_wrong_mics_total", "MICs that were computed in vain, for forged frames and those of neighbours.",
		s.WrongMICs)
	e.Family("lorawand_uplinks_dropped_total", "counter", "Frames that were not published, by reason.")
	for reason, n := range s.Dropped {
		e.Sample("lorawand_uplinks_dropped_total", float64(n), "reason", event.DropReason(reason).String())
	}
	e.Family("lorawand_joins_total", "counter", "Join-requests, by result.")
	e.Sample("lorawand_joins_total", float64(s.Joins), "result", "accepted")
	for _, why := range event.JoinRefusals {
		e.Sample("lorawand_joins_total", float64(s.Refusals[why]), "result", string(why))
	}
	downlinkMetrics(e, s)
	e.Family("lorawand_events_total", "counter", "Decisions and news, by kind: what the command events shows.")
	for _, kind := range slices.Sorted(maps.Keys(s.Events)) {
		e.Sample("lorawand_events_total", float64(s.Events[kind]), "kind", kind.Word())
	}
	e.Counter("lorawand_downlinks_unsent_total",
		"Answers for which neither window could be used, or that every gateway refused.", s.Unsent)
	e.Gauge("lorawand_downlinks_in_flight", "Downlinks that are planned or with a gateway.", float64(s.InFlight))
	e.Gauge("lorawand_store_waiting", "Joins, pushes and changes that wait for the store.", float64(s.Unstored))
	e.Gauge("lorawand_downlinks_waiting", "Items in the downlink queues of all devices.", float64(s.Downlinks))
	e.Gauge("lorawand_inbox_length", "Inputs that wait for the core.", float64(s.Inbox))
	e.Counter("lorawand_inbox_dropped_total", "Frames that found the inbox full.", s.InboxDropped)
	e.Counter("lorawand_core_faults_total", "Faults of ours, each at one input of the core, which was lost.", s.Faults)
	e.Gauge("lorawand_devices", "Devices that are registered.", float64(s.Devices))
	e.Gauge("lorawand_gateways", "Gateways that are known.", float64(s.Gateways))
	e.Gauge("lorawand_gateways_connected", "Gateways that are connected.", float64(s.Online))
}

func downlinkMetrics(e *Exposition, s *bridge.Stats) {
	e.Family("lorawand_downlinks_sent_total", "counter",
		"Downlinks that went out, by receive window; rxc is Class C, ping Class B.")
	for i, window := range event.Windows {
		e.Sample("lorawand_downlinks_sent_total", float64(s.Sent[i]), "window", window)
	}
	const refused = "lorawand_downlinks_refused_total"
	e.Family(refused, "counter", "Downlinks that a gateway has refused, by receive window and its answer.")
	for i, window := range event.Windows {
		for r := radio.TxTooLate; r <= radio.TxNoPath; r++ {
			if r != radio.TxNoAck { // no refusal
				e.Sample(refused, float64(s.Refused[i][r]), "window", window, "reason", strings.ToLower(r.String()))
			}
		}
	}
}

// Store adds the counts of the store, and whether it can be written.
func Store(e *Exposition, s store.Stats, fault error) {
	e.Counter("lorawand_store_commits_total", "Commits to the store.", uint64(s.Commits))
	e.Counter("lorawand_store_snapshots_total", "Snapshots of the store that were written.", uint64(s.Compactions))
	e.Counter("lorawand_store_bytes_written_total",
		"Bytes that the store has handed to the file system.", uint64(s.Written))
	e.Counter("lorawand_flash_bytes_written_total",
		"Bytes that the flash has taken for the store: whole pages, again after each sync.", uint64(s.BytesWritten))
	e.Gauge("lorawand_store_records", "Records in the store.", float64(s.Records))
	e.Gauge("lorawand_store_journal_bytes",
		"Bytes that commits have added since the newest snapshot.", float64(s.JournalSize))
	writable := 1.0
	if fault != nil {
		writable = 0
	}
	e.Gauge("lorawand_store_writable", "1 if the last commit has succeeded.", writable)
}

// Broker adds the counts of the MQTT broker.
func Broker(e *Exposition, s broker.Stats) {
	e.Gauge("lorawand_mqtt_clients", "MQTT clients that are connected.", float64(s.Clients))
	e.Gauge("lorawand_mqtt_sessions", "MQTT sessions, connected or not.", float64(s.Sessions))
	e.Counter("lorawand_mqtt_published_total", "Messages for applications.", s.Published)
	e.Counter("lorawand_mqtt_delivered_total", "Messages that were written to clients.", s.Delivered)
	e.Family("lorawand_mqtt_dropped_total", "counter", "Messages that found a queue full, where the oldest went.")
	e.Sample("lorawand_mqtt_dropped_total", float64(s.OutboxDropped), "queue", "outbox")
	e.Sample("lorawand_mqtt_dropped_total", float64(s.ClientDropped), "queue", "client")
	e.Counter("lorawand_mqtt_refused_total", "Connections beyond a limit.", s.Refused)
	e.Counter("lorawand_mqtt_bad_logins_total", "Logins with a wrong name or key.", s.BadLogins)
	e.Counter("lorawand_mqtt_faults_total", "Faults of ours on what a client has sent.", s.Panics)
}

// Formatters adds the counts of the payload formatters.
func Formatters(e *Exposition, s formatter.Stats) {
	e.Counter("lorawand_formatter_calls_total", "Payloads that were for a script.", uint64(s.Calls))
	e.Counter("lorawand_formatter_failures_total", "Of these, those that came to nothing.", uint64(s.Failed))
	e.Counter("lorawand_formatter_late_total", "Of these, those that had waited for too long.", uint64(s.Late))
	e.Counter("lorawand_formatter_starts_total", "Child processes that were started for scripts.", uint64(s.Starts))
	e.Counter("lorawand_formatter_kills_total", "Child processes that a script has made useless.", uint64(s.Kills))
	e.Family("lorawand_formatter_cpu_seconds_total", "counter",
		"Processor time of scripts, of payloads that have an answer.")
	e.Sample("lorawand_formatter_cpu_seconds_total", s.CPU.Seconds())
	e.Family("lorawand_formatter_seconds_total", "counter", "Time from the call of a script to its answer.")
	e.Sample("lorawand_formatter_seconds_total", s.Wall.Seconds())
	e.Gauge("lorawand_formatter_deadline_seconds", "Processor time that a script may take on this machine.",
		s.Deadline.Seconds())
	e.Gauge("lorawand_formatter_waiting", "Payloads that wait for a script.", float64(s.Waiting))
	running := 0.0
	if s.PID != 0 {
		running = 1
	}
	e.Gauge("lorawand_formatter_child", "1 if a child process runs.", running)
}
