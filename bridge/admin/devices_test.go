package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const goodDevice = `{"ids":{"device_id":"dev1"},"lorawan_version":"MAC_V1_0_3","frequency_plan_id":"EU_863_870_TTN","session":{"dev_addr":"01000001",` +
	`"keys":{"f_nwk_s_int_key":{"key":"11111111111111111111111111111111"},"app_s_key":{"key":"22222222222222222222222222222222"}}}}`

// A change that is refused changes nothing, at either door.
func TestRefusedChanges(t *testing.T) {
	h := newHouse(t)
	h.listen()
	for _, tt := range []struct{ name, op, args, want string }{
		{"one of two devices", "device.put", `{"application_id":"app1","devices":[` + goodDevice + `,{"ids":{"device_id":"Dev 2"}}]}`, ErrNothingChanged.Error()},
		{"two in one", "device.put", `{"application_id":"app1","devices":[[` + goodDevice + `,` + goodDevice + `]]}`, ErrNothingChanged.Error()},
		{"no application", "device.put", `{"devices":[` + goodDevice + `]}`, ErrNothingChanged.Error()},
		{"an unknown member", "device.put", `{"application_id":"app1","force":true,"devices":[` + goodDevice + `]}`, "unknown field"},
		{"a topic as a device", "downlink.push", `{"application_id":"app1","device_id":"+/up","body":{"downlinks":[]}}`, "not an id"},
		{"a topic as an application", "downlink.push", `{"application_id":"#","device_id":"dev1","body":{"downlinks":[]}}`, "application: not an id"},
		{"a device that is not there", "device.set", `{"application_id":"app1","device_id":"dev1","fields":{"colour":"red"}}`, "no such device"},
		{"an application that is none", "key.create", `{"application_id":"#"}`, "application: not an id"},
		{"a long name", "key.create", `{"application_id":"app1","name":"` + strings.Repeat("x", 101) + `"}`, "at most 100"},
		{"a right that is none", "key.create", `{"application_id":"app1","rights":"root"}`, "no such right"},
		{"no such key", "key.revoke", `{"id":"x"}`, ErrNoKey.Error()},
		{"one that is not there", "device.delete", `{"application_id":"app1","devices":["dev1"]}`, "no such device"},
	} {
		if _, err := h.call(tt.op, json.RawMessage(tt.args)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	stats, err := h.Stats(context.Background())
	if err != nil || stats.Devices != 0 || h.State.Keys.Len() != 0 {
		t.Errorf("%d devices and %d keys, %v", stats.Devices, h.State.Keys.Len(), err)
	}
	if parts, err := h.call("device.put", json.RawMessage(`{"application_id":"app1","devices":[`+goodDevice+`]}`)); err != nil || len(parts) != 1 {
		t.Errorf("%v, %v", parts, err)
	}
	if _, err := h.call("device.set", json.RawMessage(`{"application_id":"app1","device_id":"dev1","fields":{"colour":"red"}}`)); err == nil || !strings.Contains(err.Error(), "no such field") {
		t.Errorf("%v", err)
	}
}

// Faults are told one by one, and not without end.
func TestManyFaults(t *testing.T) {
	h := newHouse(t)
	devices := make([]json.RawMessage, maxFaults+10)
	for i := range devices {
		devices[i] = json.RawMessage(`{}`)
	}
	var faults []PutPart
	err := h.admin.Call(context.Background(), "device.put", PutArgs{Application: "app1", Devices: devices},
		func(raw json.RawMessage) error {
			var f PutPart
			defer func() { faults = append(faults, f) }()
			return json.Unmarshal(raw, &f)
		})
	if err == nil || len(faults) != maxFaults+1 || faults[maxFaults].Error != "and 10 faults more" ||
		faults[7].Index != 7 {
		t.Errorf("%v, %+v", err, faults)
	}
}

// What reading many devices leaves is taken back at once. Who changes nothing does not have the gateway pay for that,
// nor who registers one at a time, as the API does.
func TestImportLeavesNoGarbage(t *testing.T) {
	h := newHouse(t)
	var list []string
	for i := range 150 {
		list = append(list, device(fmt.Sprintf("dev%d", i), i, ""))
	}
	many := put("app1", list[1:]...)
	for _, tt := range []struct {
		step
		taken uint32
	}{
		{step{name: "one", args: put("app1", list[0]), parts: 1}, 0},
		{step{name: "many that are only tried", args: strings.Replace(many, "{", `{"dry_run":true,`, 1)}, 0},
		{step{name: "many", args: many}, 1},
		{step{name: "many that are refused", args: many, parts: maxFaults + 1, err: "nothing was changed"}, 0},
	} {
		tt.op = "device.put"
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h.steps([]step{tt.step})
		runtime.ReadMemStats(&after)
		if got := after.NumForcedGC - before.NumForcedGC; got != tt.taken {
			t.Errorf("%s: %d collections, want %d", tt.name, got, tt.taken)
		}
	}
}
