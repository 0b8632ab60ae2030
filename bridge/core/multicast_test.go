package core

import (
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/radio"
)

// group is a stand with a multicast group, and gateways A and B, of which A has heard
// something.
func group(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	s.add(&session.Device{
		ID: session.ID{Application: "app1", Device: "group"}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
		ClassC: true, Multicast: true, Session: &session.Session{DevAddr: radio.DevAddr{9, 9, 9, 9}, Keys: testKeys(9)},
	})
	s.online(gwA, gwB)
	s.answering(gwA, gwB)
	s.hear(gwA, s.phy("dev2", 1, payload("up")))
	s.step(Starting{})
	s.wait(time.Minute)
	s.told, s.read = len(s.ups), len(s.sent)
	return s
}

// via names gateways, each with its group.
func via(gateways ...session.GatewayAntenna) func(*session.Item) {
	return func(it *session.Item) { it.ClassBC = &session.ClassBC{Gateways: gateways} }
}

const groupRX2 = " 869.525 MHz SF12BW125 "

func TestMulticast(t *testing.T) {
	one := func(id string, group uint32) session.GatewayAntenna {
		return session.GatewayAntenna{GatewayID: id, Group: group}
	}
	for _, tt := range []struct {
		name string
		item session.Item
		hear bool // gateway B hears something first
		sent []string
		said string
	}{
		{"no gateways", item("x"), true, nil, "down/failed no_downlink_path"},
		{"confirmed", item("x", via(one("gw-a", 0)), confirm), true, nil, "down/failed confirmed_multicast_downlink"},
		{"unknown", item("x", via(one("none", 0))), true, nil, "down/queued, down/failed fixed_paths"},
		{
			"one", item("x", via(one("gw-a", 0))), true,
			[]string{"gw-a +153 ms" + groupRX2 + "#1 15:x"},
			"down/queued, down/sent",
		},
		{
			"two of a group", item("x", via(one("gw-a", 0), one("gw-b", 0))), true,
			[]string{"gw-a +153 ms" + groupRX2 + "#1 15:x"},
			"down/queued, down/sent",
		},
		{
			"two groups", item("x", via(one("gw-a", 1), one("gw-b", 2))), true,
			[]string{"gw-a +153 ms" + groupRX2 + "#1 15:x", "gw-b +1408 ms" + groupRX2 + "#1 15:x"},
			"down/queued, down/sent, down/sent",
		},
		{
			"two groups, one of nobody", item("x", via(one("none", 1), one("gw-b", 2))), true,
			[]string{"gw-b +150 ms" + groupRX2 + "#1 15:x"},
			"down/queued, down/failed fixed_paths, down/sent",
		},
		{"no counter is known", item("x", via(one("gw-b", 0))), false, nil, "down/queued, down/failed fixed_paths"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := group(t)
			if tt.hear {
				s.hear(gwB, s.phy("dev2", 2, payload("up")))
				s.wait(10 * time.Second)
				s.told = len(s.ups)
			}
			at := s.now.Host
			s.push("group", tt.item)
			s.serve(40 * time.Second)
			s.begins(at, tt.sent...)
			s.said(tt.said)
			if d := s.devices["group"]; d.Queue.Len() != 0 || len(s.c.opportunities)+len(s.c.inFlight) != 0 {
				t.Error("something is left")
			}
		})
	}
}

// An uplink with the address of a group is nothing.
func TestMulticastUplink(t *testing.T) {
	s := group(t)
	s.hear(gwA, s.phy("group", 1, payload("x")))
	s.wait(10 * time.Second)
	s.said("")
	s.begins(0)
}

// An item that takes the place of one whose chance is waited for is sent as it says, and
// not as the one before was to be.
func TestReplacedWhileWaiting(t *testing.T) {
	gateway := func(id string, group uint32) session.GatewayAntenna {
		return session.GatewayAntenna{GatewayID: id, Group: group}
	}
	for name, tt := range map[string]struct {
		before session.Item
		in     time.Duration // when it is to be sent; 0: as soon as can be
		after  []session.Item
		sent   []string
	}{
		"by fewer groups, in the second one": {
			item("x", via(gateway("none", 1), gateway("gw-b", 2))), 0,
			[]session.Item{item("y", via(gateway("gw-a", 0)))},
			[]string{"gw-a +153 ms" + groupRX2 + "#1 15:y"},
		},
		"before its time": {
			item("x", via(gateway("gw-a", 0))), time.Hour,
			[]session.Item{item("y", via(gateway("gw-a", 0)))},
			[]string{"gw-a +153 ms" + groupRX2 + "#1 15:y"},
		},
		"by nothing, before its time": {item("x", via(gateway("gw-a", 0))), time.Minute, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := group(t)
			if tt.in != 0 {
				tt.before.ClassBC.AbsoluteTime = s.now.Wall.Time.Add(tt.in)
			}
			s.push("group", tt.before)
			s.serve(5 * time.Second)
			at := s.now.Host
			s.replace("group", tt.after...)
			s.serve(2 * time.Minute)
			s.begins(at, tt.sent...)
			if d := s.devices["group"]; d.Queue.Len() != 0 || len(s.c.opportunities)+len(s.c.inFlight) != 0 {
				t.Error("something is left")
			}
		})
	}
}
