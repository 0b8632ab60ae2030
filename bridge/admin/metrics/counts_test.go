package metrics

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/radio"
)

// coreLines are the lines that a number of the core changes.
var coreLines = []struct {
	line   string // without its value
	change func(*bridge.Stats)
}{
	{"lorawand_uplink_receptions_total", func(s *bridge.Stats) { s.Uplinks = 9 }},
	{"lorawand_uplinks_published_total", func(s *bridge.Stats) { s.Published = 9 }},
	{"lorawand_uplink_copies_total", func(s *bridge.Stats) { s.Copies = 9 }},
	{"lorawand_uplink_ghosts_total", func(s *bridge.Stats) { s.Ghosts = 9 }},
	{"lorawand_uplink_repetitions_total", func(s *bridge.Stats) { s.Repeated = 9 }},
	{"lorawand_wrong_mics_total", func(s *bridge.Stats) { s.WrongMICs = 9 }},
	{`lorawand_uplinks_dropped_total{reason="malformed"}`, func(s *bridge.Stats) { s.Dropped[0] = 9 }},
	{`lorawand_uplinks_dropped_total{reason="inbox_full"}`, func(s *bridge.Stats) { s.Dropped[len(s.Dropped)-1] = 9 }},
	{`lorawand_joins_total{result="accepted"}`, func(s *bridge.Stats) { s.Joins = 9 }},
	{
		`lorawand_joins_total{result="not_stored"}`,
		func(s *bridge.Stats) { s.Refusals = map[event.JoinRefusal]uint64{event.JoinNotStored: 9} },
	},
	{`lorawand_downlinks_sent_total{window="rx1"}`, func(s *bridge.Stats) { s.Sent[0] = 9 }},
	{`lorawand_downlinks_sent_total{window="rx2"}`, func(s *bridge.Stats) { s.Sent[1] = 9 }},
	{`lorawand_downlinks_sent_total{window="rxc"}`, func(s *bridge.Stats) { s.Sent[2] = 9 }},
	{`lorawand_downlinks_sent_total{window="ping"}`, func(s *bridge.Stats) { s.Sent[3] = 9 }},
	{
		`lorawand_downlinks_refused_total{window="rxc",reason="no_path"}`,
		func(s *bridge.Stats) { s.Refused[2][radio.TxNoPath] = 9 },
	},
	{
		`lorawand_downlinks_refused_total{window="rx1",reason="too_late"}`,
		func(s *bridge.Stats) { s.Refused[0][radio.TxTooLate] = 9 },
	},
	{
		`lorawand_downlinks_refused_total{window="rx2",reason="no_path"}`,
		func(s *bridge.Stats) { s.Refused[1][radio.TxNoPath] = 9 },
	},
	{"", func(s *bridge.Stats) { s.Refused[0][radio.TxNoAck] = 9 }}, // no refusal
	{"", func(s *bridge.Stats) { s.Refused[0][radio.TxOK] = 9 }},
	{"lorawand_downlinks_unsent_total", func(s *bridge.Stats) { s.Unsent = 9 }},
	{"lorawand_downlinks_in_flight", func(s *bridge.Stats) { s.InFlight = 9 }},
	{"lorawand_store_waiting", func(s *bridge.Stats) { s.Unstored = 9 }},
	{"lorawand_downlinks_waiting", func(s *bridge.Stats) { s.Downlinks = 9 }},
	{"lorawand_inbox_length", func(s *bridge.Stats) { s.Inbox = 9 }},
	{"lorawand_inbox_dropped_total", func(s *bridge.Stats) { s.InboxDropped = 9 }},
	{"lorawand_core_faults_total", func(s *bridge.Stats) { s.Faults = 9 }},
	{"lorawand_devices", func(s *bridge.Stats) { s.Devices = 9 }},
	{"lorawand_gateways", func(s *bridge.Stats) { s.Gateways = 9 }},
	{"lorawand_gateways_connected", func(s *bridge.Stats) { s.Online = 9 }},
}

// Each number of the core stands in its own line, and no other line moves.
func TestCoreMetrics(t *testing.T) {
	for _, tt := range coreLines {
		t.Run(tt.line, func(t *testing.T) {
			var s bridge.Stats
			tt.change(&s)
			var e Exposition
			Core(&e, &s)
			var moved []string
			for line := range strings.Lines(string(e.b)) {
				if name, ok := strings.CutSuffix(line, " 9\n"); ok {
					moved = append(moved, name)
				}
			}
			if strings.Join(moved, ", ") != tt.line {
				t.Errorf("moved: %q", moved)
			}
		})
	}
}

// The same of payload formatters.
func TestFormatterMetrics(t *testing.T) {
	for _, tt := range []struct {
		line  string
		stats formatter.Stats
	}{
		{"lorawand_formatter_calls_total", formatter.Stats{Calls: 9}},
		{"lorawand_formatter_failures_total", formatter.Stats{Failed: 9}},
		{"lorawand_formatter_late_total", formatter.Stats{Late: 9}},
		{"lorawand_formatter_starts_total", formatter.Stats{Starts: 9}},
		{"lorawand_formatter_kills_total", formatter.Stats{Kills: 9}},
		{"lorawand_formatter_cpu_seconds_total", formatter.Stats{CPU: 9 * time.Second}},
		{"lorawand_formatter_seconds_total", formatter.Stats{Wall: 9 * time.Second}},
		{"lorawand_formatter_deadline_seconds", formatter.Stats{Deadline: 9 * time.Second}},
		{"lorawand_formatter_waiting", formatter.Stats{Waiting: 9}},
		{"lorawand_formatter_child", formatter.Stats{PID: 9}},
	} {
		var e Exposition
		Formatters(&e, tt.stats)
		for line := range strings.Lines(string(e.b)) {
			name, value, _ := strings.Cut(line, " ")
			want := "0\n"
			if name == tt.line {
				want = map[bool]string{false: "9\n", true: "1\n"}[tt.stats.PID != 0]
			}
			if name != "#" && value != want {
				t.Errorf("%s: %s", tt.line, line)
			}
		}
		if !strings.Contains(string(e.b), "\n"+tt.line+" ") {
			t.Errorf("no %s", tt.line)
		}
	}
}

// Events are counted by kind, in the order of their names, and only those that
// have happened.
func TestEventMetrics(t *testing.T) {
	s := bridge.Stats{Stats: event.Stats{Events: map[event.Kind]uint64{"some news": 2, "a decision": 1}}}
	var e Exposition
	Core(&e, &s)
	want := "lorawand_events_total{kind=\"a_decision\"} 1\nlorawand_events_total{kind=\"some_news\"} 2\n"
	if !strings.Contains(string(e.b), want) || strings.Count(string(e.b), "lorawand_events_total{") != 2 {
		t.Errorf("%s", e.b)
	}
}
