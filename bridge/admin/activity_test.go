package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/radio"
)

// hear lets the gateway hear an uplink of goodDevice.
func (h *house) hear(fCnt uint32, payload string) {
	h.Helper()
	h.Hear(h.T, radio.DevAddr{1, 0, 0, 1}, fCnt, payload)
}

// A device that has done nothing is not told of; one that has is, with its uplinks and
// events where these are asked for.
func TestDeviceActivity(t *testing.T) {
	h := newHouse(t)
	put := `{"application_id":"app1","devices":[` + goodDevice + `,` + joining + `]}`
	h.steps([]step{
		{name: "devices", op: "device.put", args: put, parts: 1},
		{name: "none has sent", op: "device.activity", args: `{}`},
		{name: "this one neither", op: "device.activity", args: `{"application_id":"app1","device_id":"dev1"}`},
	})
	h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	h.hear(1, "one")
	h.hear(2, "two")
	admintest.WaitFor(h.T, "both uplinks are published", func() bool {
		parts, err := h.ask("device.activity", `{"application_id":"app1","device_id":"dev1","history":true}`)
		return err == nil && strings.Count(strings.Join(parts, ""), `"uplink_message"`) == 2
	})
	h.steps([]step{
		{
			name: "all", op: "device.activity", args: `{}`, parts: 1, with: []string{`"device_id":"dev1"`},
			without: []string{"recent_uplinks", "dev2"},
		},
		{name: "of the application", op: "device.activity", args: `{"application_id":"app1"}`, parts: 1},
		{name: "of another", op: "device.activity", args: `{"application_id":"app2"}`},
		{
			name: "history is of one device", op: "device.activity", args: `{"application_id":"app1","history":true}`, parts: 1,
			without: []string{"recent_uplinks"},
		},
		{name: "the other device", op: "device.activity", args: `{"application_id":"app1","device_id":"dev2","history":true}`},
		{
			name: "no such device", op: "device.activity", args: `{"application_id":"app1","device_id":"dev9"}`,
			err: "no such device",
		},
	})
	parts, err := h.ask("device.activity", `{"application_id":"app1","device_id":"dev1","history":true}`)
	if err != nil || len(parts) != 1 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	var did struct {
		Uplinks []struct {
			Up struct {
				FCnt    uint32 `json:"f_cnt"`
				Payload []byte `json:"frm_payload"`
			} `json:"uplink_message"`
		} `json:"recent_uplinks"`
	}
	if err := json.Unmarshal([]byte(parts[0]), &did); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one", "two"} { // oldest first
		if u := did.Uplinks[i].Up; u.FCnt != uint32(i+1) || string(u.Payload) != want {
			t.Errorf("uplink %d: %+v, want %s", i, u, want)
		}
	}
	h.steps([]step{
		{name: "delete", op: "device.delete", args: `{"application_id":"app1","devices":["dev1"]}`},
		{name: "gone with the device", op: "device.activity", args: `{}`},
	})
}
