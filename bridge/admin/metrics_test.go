package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
	"lorawand/radio"
)

// A metric is written as Prometheus reads it, however large or odd its values.
func TestExposition(t *testing.T) {
	tests := []struct {
		name string
		add  func(*exposition)
		want string
	}{
		{
			"counter", func(e *exposition) { e.counter("n_total", "Frames.", 7) },
			"# HELP n_total Frames.\n# TYPE n_total counter\nn_total 7\n",
		},
		{"large counter without exponent", func(e *exposition) { e.sample("n", 1<<53) }, "n 9007199254740992\n"},
		{
			"gauge below one", func(e *exposition) { e.gauge("n", "Share.", 0.0005) },
			"# HELP n Share.\n# TYPE n gauge\nn 0.0005\n",
		},
		{"negative", func(e *exposition) { e.sample("n", -2.5) }, "n -2.5\n"},
		{"one label", func(e *exposition) { e.sample("n", 1, "a", "b") }, "n{a=\"b\"} 1\n"},
		{
			"three labels", func(e *exposition) { e.sample("n", 0, "a", "1", "b", "2", "c", "3") },
			"n{a=\"1\",b=\"2\",c=\"3\"} 0\n",
		},
		{
			"label with quote, backslash and line end", func(e *exposition) { e.sample("n", 1, "a", "\"\\\n") },
			"n{a=\"\\\"\\\\\\n\"} 1\n",
		},
		{"empty label", func(e *exposition) { e.sample("n", 1, "a", "") }, "n{a=\"\"} 1\n"},
		{
			"counter of a driver", func(e *exposition) { e.metric(Metric{"x_total", "X.", 3, false}) },
			"# HELP lorawand_x_total X.\n# TYPE lorawand_x_total counter\nlorawand_x_total 3\n",
		},
		{
			"gauge of a driver", func(e *exposition) { e.metric(Metric{"x", "X.", 3, true}) },
			"# HELP lorawand_x X.\n# TYPE lorawand_x gauge\nlorawand_x 3\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e exposition
			tt.add(&e)
			if string(e.b) != tt.want {
				t.Errorf("%q, want %q", e.b, tt.want)
			}
		})
	}
}

// Each number of the core stands in its own line, and no other line moves.
func TestCoreMetrics(t *testing.T) {
	tests := []struct {
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
		{`lorawand_uplinks_dropped_total{reason="reused_f_cnt"}`, func(s *bridge.Stats) { s.Dropped[len(s.Dropped)-1] = 9 }},
		{`lorawand_joins_total{result="accepted"}`, func(s *bridge.Stats) { s.Joins = 9 }},
		{
			`lorawand_joins_total{result="not_stored"}`,
			func(s *bridge.Stats) { s.Refusals = map[event.JoinRefusal]uint64{event.JoinNotStored: 9} },
		},
		{`lorawand_downlinks_sent_total{window="rx1"}`, func(s *bridge.Stats) { s.Sent[0] = 9 }},
		{`lorawand_downlinks_sent_total{window="rx2"}`, func(s *bridge.Stats) { s.Sent[1] = 9 }},
		{`lorawand_downlinks_sent_total{window="ping"}`, func(s *bridge.Stats) { s.Sent[3] = 9 }},
		{`lorawand_downlinks_sent_total{window="rxc"}`, func(s *bridge.Stats) { s.Sent[2] = 9 }},
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
		{"lorawand_devices", func(s *bridge.Stats) { s.Devices = 9 }},
		{"lorawand_gateways", func(s *bridge.Stats) { s.Gateways = 9 }},
		{"lorawand_gateways_connected", func(s *bridge.Stats) { s.Online = 9 }},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			var s bridge.Stats
			tt.change(&s)
			var e exposition
			coreMetrics(&e, &s)
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
		var e exposition
		formatterMetrics(&e, tt.stats)
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
	h := newHouse(t)
	h.admin.o.Formatters = formatter.New(formatter.Options{})
	if b, err := h.admin.metrics(t.Context()); err != nil || !strings.Contains(string(b), "\nlorawand_formatter_calls_total 0\n") {
		t.Errorf("%v\n%s", err, b)
	}
}

// Events are counted by kind, in the order of their names, and only those that
// have happened.
func TestEventMetrics(t *testing.T) {
	s := bridge.Stats{Stats: event.Stats{Events: map[event.Kind]uint64{"some news": 2, "a decision": 1}}}
	var e exposition
	coreMetrics(&e, &s)
	want := "lorawand_events_total{kind=\"a_decision\"} 1\nlorawand_events_total{kind=\"some_news\"} 2\n"
	if !strings.Contains(string(e.b), want) || strings.Count(string(e.b), "lorawand_events_total{") != 2 {
		t.Errorf("%s", e.b)
	}
}

// The status names the reasons for dropped frames that have come, and no others.
func TestDropped(t *testing.T) {
	tests := []struct {
		name    string
		dropped map[event.DropReason]uint64
		want    map[string]uint64
	}{
		{"none", nil, map[string]uint64{}},
		{"the first reason", map[event.DropReason]uint64{event.DropMalformed: 1}, map[string]uint64{"malformed": 1}},
		{"the last reason", map[event.DropReason]uint64{event.DropReusedFCnt: 2}, map[string]uint64{"reused_f_cnt": 2}},
		{
			"several, beyond 32 bits",
			map[event.DropReason]uint64{event.DropMIC: 1 << 40, event.DropDevAddr: 3},
			map[string]uint64{"mic": 1 << 40, "dev_addr": 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s event.Stats
			for reason, n := range tt.dropped {
				s.Dropped[reason] = n
			}
			if got := dropped(&s); !maps.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// The store that cannot be written is told by the status and by a metric.
func TestStoreFault(t *testing.T) {
	h := newHouse(t)
	if h.admin.storeError() != nil {
		t.Fatalf("a healthy store: %v", h.admin.storeError())
	}
	var healthy exposition
	h.admin.storeMetrics(&healthy)
	if !strings.Contains(string(healthy.b), "lorawand_store_writable 1\n") {
		t.Errorf("%s", healthy.b)
	}
	broken := errors.New("the disk is broken")
	h.disk.Fail(func(string, string) error { return broken })
	if _, err := h.ask("key.create", `{"application_id":"app1"}`); err == nil {
		t.Fatal("a key is stored on a broken disk")
	}
	var s Status
	err := h.admin.Call(t.Context(), "status", struct{}{},
		func(raw json.RawMessage) error { return json.Unmarshal(raw, &s) })
	if err != nil || !strings.Contains(s.StoreError, broken.Error()) {
		t.Errorf("status %+v, %v", s, err)
	}
	var faulty exposition
	h.admin.storeMetrics(&faulty)
	if !strings.Contains(string(faulty.b), "lorawand_store_writable 0\n") {
		t.Errorf("%s", faulty.b)
	}
}
