package bridge

import (
	"fmt"
	"slices"
	"testing"

	"lorawand/bridge/event"
	"lorawand/bridge/gateway"
	"lorawand/radio"
)

// heardOf is a Forwarder that writes down what it is told of gateways.
type heardOf struct{ told []string }

func (h *heardOf) Uplink(radio.Uplink, bool) {}

func (h *heardOf) Gateway(g radio.EUI64, connected bool, at *radio.Place) {
	h.told = append(h.told, fmt.Sprintf("%d %v %v", g[7], connected, at != nil))
}

// Other networks are told which gateways are connected, whatever becomes of their names and EUIs.
func TestGatewaysForOthers(t *testing.T) {
	a := &gateway.Gateway{ID: "a", EUI: radio.EUI64{7: 1}, Location: &gateway.Location{Latitude: 1}}
	b := &gateway.Gateway{ID: "b", EUI: radio.EUI64{7: 2}}
	gateways := gateway.NewRegistry()
	for _, g := range []*gateway.Gateway{a, b} {
		if err := gateways.Add(g); err != nil {
			t.Fatal(err)
		}
	}
	to := &heardOf{}
	o := others{to: to, connected: map[radio.EUI64]bool{}}
	for _, tt := range []struct {
		name   string
		change func()
		kind   event.Kind
		id     string
		want   []string
	}{
		{"one connects", func() { gateways.SetOnline(a, true, 1) }, event.GatewayConnected, "a", []string{"1 true true"}},
		{"a frame of it", func() {}, event.UplinkDropped, "a", nil},
		{"its counter begins anew", func() {}, event.GatewayCounterReset, "a", []string{"1 true true"}},
		{"so does that of one that is off line", func() {}, event.GatewayCounterReset, "b", nil},
		{
			"another connects", func() { gateways.SetOnline(b, true, 1) }, event.GatewayConnected, "b",
			[]string{"2 true false"},
		},
		{
			"it goes under another name", func() { b.ID = "c"; gateways.SetOnline(b, false, 2) }, event.GatewayDisconnected, "c",
			[]string{"2 false false"},
		},
		{"the first is removed", func() {
			gateways.SetOnline(a, false, 3)
			gateways.Remove(a)
		}, event.GatewayDisconnected, "a", []string{"1 false false"}},
	} {
		tt.change()
		to.told = nil
		if o.event(&event.Event{Kind: tt.kind, Gateway: tt.id}, gateways); !slices.Equal(to.told, tt.want) {
			t.Errorf("%s: told %q, want %q", tt.name, to.told, tt.want)
		}
	}
	second := &heardOf{}
	both := others{to: Forwarders{to, second}, connected: map[radio.EUI64]bool{}}
	gateways.SetOnline(b, true, 4)
	to.told = nil
	both.event(&event.Event{Kind: event.GatewayConnected}, gateways)
	if !slices.Equal(to.told, second.told) || len(to.told) != 1 {
		t.Errorf("two ways: told %q and %q", to.told, second.told)
	}
	nobody := others{}
	nobody.event(&event.Event{Kind: event.GatewayConnected}, gateways)
}
