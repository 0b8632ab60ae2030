package core

import (
	"testing"
	"time"

	"lorawand/bridge/classb"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// groupB is the stand of group, with a group of Class B that has a ping slot each 4 s. Gateway A
// tells GPS time.
func groupB(t *testing.T) *stand {
	t.Helper()
	s := group(t)
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: "lights"}, Version: session.V1_0_3, Plan: "EU_863_870_TTN",
		ClassB: true, Multicast: true, Session: &session.Session{DevAddr: radio.DevAddr{8, 8, 8, 8}, Keys: testKeys(8)},
	}
	d.Settings.MAC.Ping = macstate.Ping{Periodicity: 2, Known: true}
	s.add(d)
	s.hear(gwA, s.phy("dev2", 2, payload("up")), s.withGPS)
	s.step(Starting{})
	s.wait(time.Minute)
	s.told, s.read = len(s.ups), len(s.sent)
	return s
}

// A group of Class B is sent to in the ping slots of its address: one frame by one gateway of each
// group, and no two in one slot.
func TestMulticastClassB(t *testing.T) {
	one := func(id string, group uint32) session.GatewayAntenna {
		return session.GatewayAntenna{GatewayID: id, Group: group}
	}
	for _, tt := range []struct {
		name string
		item session.Item
		by   []string // gateways, in the order of the slots
		said string
	}{
		{"no gateways", item("x"), nil, "down/failed no_downlink_path"},
		{"unknown", item("x", via(one("none", 0))), nil, "down/queued, down/failed fixed_paths"},
		{"one without GPS time", item("x", via(one("gw-c", 0))), nil, "down/queued, down/failed no_gps_time"},
		{"one", item("x", via(one("gw-a", 0))), []string{"gw-a"}, "down/queued, down/sent"},
		{"two of a group", item("x", via(one("gw-a", 3), one("gw-b", 3))), []string{"gw-a"}, "down/queued, down/sent"},
		{
			"two groups", item("x", via(one("gw-a", 1), one("gw-b", 2))),
			[]string{"gw-a", "gw-b"},
			"down/queued, down/sent, down/sent",
		},
		{
			"two groups, one of nobody", item("x", via(one("none", 1), one("gw-b", 2))),
			[]string{"gw-b"},
			"down/queued, down/failed fixed_paths, down/sent",
		},
		{
			"two groups, one without GPS time", item("x", via(one("gw-b", 1), one("gw-c", 2))),
			[]string{"gw-b"},
			"down/queued, down/sent, down/failed no_gps_time",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := groupB(t)
			s.hear(gwB, s.phy("dev2", 3, payload("up")), s.withGPS)
			s.wait(10 * time.Second)
			s.told, s.read = len(s.ups), len(s.sent)
			s.push("lights", tt.item)
			s.serve(2 * time.Minute)
			s.said(tt.said)
			s.inSlotsOfLights(tt.by)
			if d := s.devices["lights"]; d.Queue.Len() != 0 || len(s.c.opportunities)+len(s.c.inFlight) != 0 {
				t.Error("something is left")
			}
		})
	}
}

// inSlotsOfLights checks that gateways have sent the same bytes, with FCntDown 1, each in a ping slot
// of its own.
func (s *stand) inSlotsOfLights(by []string) {
	s.Helper()
	addr, last := s.devices["lights"].Session.DevAddr, radio.GPSTime(0)
	var got []string
	for _, h := range s.sent[s.read:] {
		same := string(h.PHYPayload) == string(s.sent[s.read].PHYPayload)
		if h.GPS <= last || h.GPS != classb.NextSlot(h.GPS, addr, 2) || !same {
			s.Errorf("%s at %v of GPS time, the one before at %v", h.text, h.GPS, last)
		}
		last = h.GPS
		got = append(got, s.gateway(h.Gateway).ID)
	}
	s.compare("sent by", got, by)
	if n := s.devices["lights"].Session.NFCntDown; n != uint32(min(len(by), 1)) {
		s.Errorf("FCntDown %d", n)
	}
}

// A slot of the second group of gateways that cannot be had is passed over: the next one takes it.
func TestMulticastClassBBusy(t *testing.T) {
	s := groupB(t)
	s.hear(gwB, s.phy("dev2", 3, payload("up")), s.withGPS)
	s.wait(10 * time.Second)
	s.told, s.read = len(s.ups), len(s.sent)
	s.gateway(gwB).EnforceDutyCycle = true
	s.spend(gwB, 0)
	s.c.schedule.Restore(gwB, map[radio.Frequency]time.Duration{869_400_000: 360 * time.Second})
	s.push("lights", item("x", via(
		session.GatewayAntenna{GatewayID: "gw-a", Group: 1}, session.GatewayAntenna{GatewayID: "gw-b", Group: 2},
	)))
	s.serve(20 * time.Second)
	s.said("down/queued, down/sent")
	s.gateway(gwB).EnforceDutyCycle = false
	s.serve(20 * time.Second)
	s.said("down/sent")
	s.inSlotsOfLights([]string{"gw-a", "gw-b"})
}

// Without a ping slot periodicity nobody knows when a group of Class B listens.
func TestMulticastClassBWithoutPingSlots(t *testing.T) {
	s := groupB(t)
	s.devices["lights"].Settings.MAC.Ping = macstate.Ping{}
	s.push("lights", item("x", via(session.GatewayAntenna{GatewayID: "gw-a"})))
	s.said("down/failed not_served")
}
