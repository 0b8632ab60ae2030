package core

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// classC11 is a stand whose dev1 is of LoRaWAN 1.1 and has not said that it is in Class C.
func classC11(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	s.c.opts.Devices.Remove(session.ID{Application: "app1", Device: "dev1"})
	s.add(&session.Device{
		ID: session.ID{Application: "app1", Device: "dev1"}, DevEUI: radio.EUI64{4}, Version: session.V1_1,
		Plan: "EU_863_870_TTN", ClassC: true, Session: &session.Session{DevAddr: radio.DevAddr{4}, Keys: testKeys(4)},
	})
	s.late("dev1").Changed()
	s.online(gwA)
	s.answering(gwA)
	s.hear(gwA, s.phy("dev1", 1, payload("up")))
	s.wait(time.Minute)
	return s
}

// An item with class_b_c is not for Class A. While its device does not listen it waits as long as
// any does for a free slot, and keeps what is behind it no longer.
func TestItemsForClassBAndCWhileNobodyListens(t *testing.T) {
	unheard := func(_ *stand, d *session.Device) { d.SupportsJoin, d.Session.Heard = true, false }
	byA := via(session.GatewayAntenna{GatewayID: "gw-a"})
	for _, tt := range []struct {
		name   string
		begin  func(*testing.T) *stand
		change func(*stand, *session.Device)
		item   func(*session.Item)
		in     time.Duration // from the push
		said   string
		then   string // with the next uplink
	}{
		{"Class C of 1.1 that has said nothing", classC11, nil, byA, 19 * time.Second, "down/queued, down/queued", "up"},
		{
			"the same, too long", classC11, nil, byA,
			31 * time.Second, "down/queued, down/queued, down/failed no_free_slot", "up, down/sent",
		},
		{
			"no gateway and no time", classC11, nil, via(),
			31 * time.Second, "down/queued, down/queued, down/failed no_free_slot", "up, down/sent",
		},
		{
			"Class C of 1.0.3 that has joined and was not heard", classC, unheard, byA,
			time.Hour, "down/queued, down/queued", "up, down/sent, down/sent",
		},
		{
			"Class B without ping slots", classB, func(_ *stand, d *session.Device) {
				d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{})
			}, byA, 31 * time.Second, "down/queued, down/queued, down/failed no_free_slot", "up, down/sent",
		},
		{
			"Class B that has left it", classB, func(s *stand, _ *session.Device) {
				s.heardB(2, false, s.withGPS)
				s.wait(10 * time.Second)
			}, byA, 31 * time.Second, "down/queued, down/queued, down/failed no_free_slot", "up, down/sent",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.begin(t)
			d := s.devices["dev1"]
			if tt.change != nil {
				tt.change(s, d)
			}
			s.keeps.seldom = true
			s.told = len(s.ups)
			s.push("dev1", item("x", tt.item), item("y"))
			s.serve(tt.in)
			s.said(tt.said)
			s.hear(gwA, s.phy("dev1", 3, payload("up")))
			s.serve(10 * time.Second)
			s.said(tt.then)
		})
	}
}

// It waits as long from a restart on, of a device that its owner has made one of Class A meanwhile
// too; and an uplink that comes meanwhile does not make it wait longer.
func TestItemsForClassBAndCFromARestartOn(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*session.Device)
	}{
		{"Class C of 1.1 that has said nothing", func(*session.Device) {}},
		{"Class A", func(d *session.Device) { d.ClassC = false }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC11(t)
			d := s.devices["dev1"]
			s.push("dev1", item("x", via(session.GatewayAntenna{GatewayID: "gw-a"})))
			tt.change(d)
			d.Changed()
			s.step(TimerFired{})
			s.wait(20 * time.Second)
			s.restart(s.disk.firm)
			s.step(Starting{})
			s.online(gwA)
			s.told = len(s.ups)
			s.serve(20 * time.Second)
			s.hear(gwA, s.phy("dev1", 2, payload("up")))
			s.serve(9 * time.Second)
			s.said("up")
			s.serve(2 * time.Second)
			s.said("down/failed no_free_slot")
			if n := s.devices["dev1"].Queue.Len(); n != 0 {
				t.Errorf("%d items wait", n)
			}
			s.onDisk("dev1")
		})
	}
}

// What waits for a device stays when its owner makes it another one, which has no session until it
// joins: items with class_b_c fail in their time all the same, and from a restart on.
func TestItemsForClassBAndCWithoutASession(t *testing.T) {
	otherEUI := func(d *session.Device) { d.DevEUI[7]++ }
	corrected := func(d *session.Device) { d.Version, d.RootKeys.NwkKey = session.V1_1, d.RootKeys.AppKey }
	classA := func(d *session.Device) { d.DevEUI[7]++; d.ClassB, d.ClassC = false, false }
	for _, tt := range []struct {
		name   string
		timed  bool // the item has a time, in a minute
		change func(*session.Device)
		in     time.Duration // from the change
		said   string
	}{
		{"another DevEUI, with a time", true, otherEUI, 61 * time.Second, "down/failed downlink_expired"},
		{"another version, with a time", true, corrected, 61 * time.Second, "down/failed downlink_expired"},
		{"another DevEUI, its time is to come", true, otherEUI, 50 * time.Second, ""},
		{"another DevEUI, without a time", false, otherEUI, time.Hour, ""},
		{"another DevEUI, and of Class A", false, classA, 31 * time.Second, "down/failed no_free_slot"},
	} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", tt.name, again), func(t *testing.T) {
				s := newStand(t)
				d := &session.Device{
					ID: session.ID{Application: "app1", Device: "joins"}, DevEUI: radio.EUI64{0xd}, HasJoinEUI: true,
					Version: session.V1_0_3, Plan: "EU_863_870_TTN", SupportsJoin: true, ClassC: true,
					RootKeys: frame.RootKeys{AppKey: frame.Key{3}},
					Session:  &session.Session{DevAddr: radio.DevAddr{9}, Keys: testKeys(9), KeyID: []byte{1}},
				}
				s.add(d)
				how := via(session.GatewayAntenna{GatewayID: "gw-a"})
				if tt.timed {
					how = atTime(s.now.Wall.Time.Add(time.Minute))
				}
				s.push("joins", item("x", how))
				next := d.Clone()
				next.Session = nil
				tt.change(next)
				s.becomes(next)
				if again {
					s.restart(s.disk.firm)
					s.step(Starting{})
				}
				s.told = len(s.ups)
				s.serve(tt.in)
				s.said(tt.said)
				if n := s.devices["joins"].Queue.Len(); (n == 0) != (tt.said != "") {
					t.Errorf("%d items wait", n)
				}
			})
		}
	}
}

// becomes has the owner make a device another one, which keeps what waits and has no session.
func (s *stand) becomes(next *session.Device) {
	s.Helper()
	put := Provisioned{Ticket: 7, Put: []state.DevicePut{{Device: next, Replace: true}}}
	if err := s.provision(put, func(int) {}); err != nil {
		s.Fatal(err)
	}
	if d := s.c.opts.Devices.Device(next.ID); d.Session != nil || d.Queue.Len() != 1 {
		s.Fatalf("session %+v, %d items", d.Session, d.Queue.Len())
	}
}

// Where it is not known on what a device listens, its items have failed at once.
func TestNobodyKnowsOnWhatADeviceListens(t *testing.T) {
	rate := uint8(15)
	for _, tt := range []struct {
		name   string
		begin  func(*testing.T) *stand
		change func(*session.Device)
	}{
		{"Class C", classC, func(d *session.Device) {
			p := *d.Session.Parameters
			p.RX2DataRate = rate
			d.Session.SetParameters(&p)
		}},
		{"Class B", classB, func(d *session.Device) {
			d.Session.SetMAC(d.Session.MAC.WithPing(macstate.Ping{Known: true, Periodicity: 1, DataRate: &rate}))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.begin(t)
			tt.change(s.devices["dev1"])
			s.told = len(s.ups)
			s.push("dev1", item("x"), item("y"))
			s.serve(time.Second)
			s.said("down/queued, down/queued, down/failed not_served, down/failed not_served")
		})
	}
}

// An uplink comes while a gateway is silent on a frame for a ping slot: the same bytes go out again
// behind the windows. In another frame the device would take the item for a new one.
func TestClassBSilentGatewayAndUplink(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   time.Duration // of the uplink, before the ping slot; below 0: behind it
	}{
		{"before the slot", 500 * ms},
		{"in the slot", -20 * ms},
		{"behind it", -800 * ms},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			d := s.devices["dev1"]
			d.Session.SetMAC(d.Session.MAC.WithPing(macstate.Ping{Periodicity: 2, Known: true}))
			s.told = len(s.ups)
			s.push("dev1", item("x"))
			for len(s.sent) == 0 {
				s.wait(10 * ms)
			}
			first := s.sent[0]
			s.sent[0].over = true // no answer to it comes any more
			s.wait(radio.HostTime(first.Time * 1000).Add(-tt.at).Sub(s.now.Host))
			s.heardB(2, true, s.withGPS)
			s.wait(4 * time.Second)
			s.serve(20 * time.Second)
			for i := range s.sent {
				if string(s.sent[i].PHYPayload) != string(first.PHYPayload) {
					t.Errorf("other bytes: %s", s.sent[i].text)
				}
			}
			if n := len(s.sent); n < 2 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}
