package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"lorawand/bridge/admin/admintest"
	"lorawand/radio"
)

// Events tell uplinks where they are asked for, in the order in which all happened.
func TestEventsWithUplinks(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{{name: "device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1}})
	h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	h.hear(1, "one")
	admintest.WaitFor(h.T, "the uplink is published", func() bool {
		parts, err := h.ask("events", `{"uplinks":true,"text":true}`)
		return err == nil && strings.Contains(strings.Join(parts, ""),
			"  uplink  app1/dev1  f_cnt 1  f_port 7  SF7BW125  RSSI -80 SNR 7.0  gateway gw1  6F6E65")
	})
	parts, err := h.ask("events", `{"uplinks":true}`)
	if err != nil {
		t.Fatal(err)
	}
	connected, uplink := -1, -1
	for i, p := range parts {
		switch {
		case strings.Contains(p, `"gateway_connected"`):
			connected = i
		case strings.Contains(p, `"kind":"uplink"`) && strings.Contains(p, `"frm_payload":"b25l"`):
			uplink = i
		}
	}
	if connected < 0 || uplink < connected {
		t.Errorf("gateway connected is part %d, the uplink %d:\n%s", connected, uplink, strings.Join(parts, "\n"))
	}
	for args, want := range map[string]bool{
		`{}`: false, `{"uplinks":true,"device":"dev1"}`: true, `{"uplinks":true,"device":"app1/dev1"}`: true,
		`{"uplinks":true,"device":"dev2"}`: false, `{"uplinks":true,"gateway":"gw1"}`: true, `{"uplinks":true,"gateway":"gw2"}`: false,
		`{"uplinks":true,"application_id":"app1"}`: true, `{"uplinks":true,"application_id":"app2"}`: false,
	} {
		parts, err := h.ask("events", args)
		if got := strings.Contains(strings.Join(parts, ""), `"kind":"uplink"`); err != nil || got != want {
			t.Errorf("%s: %t, %v", args, got, err)
		}
	}
}

// A follower gets the new uplinks.
func TestFollowUplinks(t *testing.T) {
	h := newHouse(t)
	h.steps([]step{{name: "device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1}})
	h.GatewayEvent(radio.GatewayEvent{Gateway: admintest.GatewayEUI, Kind: radio.GatewayConnected, At: 1})
	seen := errors.New("seen")
	sent := false
	err := h.admin.Call(context.Background(), "events", EventsArgs{Follow: true, Uplinks: true},
		func(raw json.RawMessage) error {
			if !sent { // the first line is the gateway's: it follows now
				sent = true
				h.hear(1, "one")
			}
			if strings.Contains(string(raw), `"kind":"uplink"`) {
				return seen
			}
			return nil
		})
	if !errors.Is(err, seen) {
		t.Error(err)
	}
}
