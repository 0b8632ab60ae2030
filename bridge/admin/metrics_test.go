package admin

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/formatter"
)

// The payload formatters' numbers are there where something runs them.
func TestFormatterMetrics(t *testing.T) {
	h := newHouse(t)
	h.admin.o.Formatters = formatter.New(formatter.Options{})
	if text := h.metrics(); !strings.Contains(text, "\nlorawand_formatter_calls_total 0\n") {
		t.Errorf("%s", text)
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
		{"the last reason", map[event.DropReason]uint64{event.DropInboxFull: 2}, map[string]uint64{"inbox_full": 2}},
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
	if text := h.metrics(); !strings.Contains(text, "lorawand_store_writable 1\n") {
		t.Errorf("%s", text)
	}
	broken := errors.New("the disk is broken")
	h.Disk.Fail(func(string, string) error { return broken })
	if _, err := h.ask("key.create", `{"application_id":"app1"}`); err == nil {
		t.Fatal("a key is stored on a broken disk")
	}
	var s Status
	err := h.admin.Call(t.Context(), "status", struct{}{},
		func(raw json.RawMessage) error { return json.Unmarshal(raw, &s) })
	if err != nil || !strings.Contains(s.StoreError, broken.Error()) {
		t.Errorf("status %+v, %v", s, err)
	}
	if text := h.metrics(); !strings.Contains(text, "lorawand_store_writable 0\n") {
		t.Errorf("%s", text)
	}
}
