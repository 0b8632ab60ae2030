package core

import (
	"fmt"
	"testing"
	"time"

	"lorawand/bridge/classb"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// gps is the GPS time of the stand's clock.
func (s *stand) gps() radio.GPSTime { return radio.GPSTimeOf(s.now.Wall.Time) }

// withGPS has the gateway tell GPS time.
func (s *stand) withGPS(up *radio.Uplink) { up.GPS = s.gps() }

// classB is a stand whose dev1 is in Class B with a ping slot each 2 s, as a gateway with GPS
// time has heard.
func classB(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	d := s.late("dev1")
	d.ClassB = true
	d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{Periodicity: 1, Known: true})
	s.online(gwA)
	s.answering(gwA)
	s.heardB(1, true, s.withGPS)
	s.wait(time.Minute)
	return s
}

// heardB has gateway A hear an uplink of dev1, with the bit of Class B or without.
func (s *stand) heardB(fCnt uint32, bit bool, change ...func(*radio.Uplink)) {
	s.Helper()
	f := payload("up")
	f.ClassB = bit
	s.hear(gwA, s.phy("dev1", fCnt, f), change...)
}

// inSlots checks that each downlink since the last call begins in a ping slot of dev1, also by
// the counter of its gateway, and says what they hold.
func (s *stand) inSlots(want ...string) {
	s.Helper()
	var got []string
	addr := s.devices["dev1"].Session.DevAddr
	for ; s.read < len(s.sent); s.read++ {
		h := &s.sent[s.read]
		if slot := classb.NextSlot(h.GPS, addr, 1); slot != h.GPS || h.GPS == 0 {
			s.Errorf("%s begins at %v of GPS time, the next slot is at %v", h.text, h.GPS, slot)
		}
		begin := s.now.Host.Add(time.Duration(h.GPS - s.gps()))
		if by := radio.HostTime(h.Time * 1000).Sub(begin).Abs(); by > time.Millisecond {
			s.Errorf("%s begins %v off its slot by the counter", h.text, by)
		}
		got = append(got, fmt.Sprintf("%v %v %s", h.Frequency, h.DataRate, h.text[len(h.text)-len("#1 15:x"):]))
	}
	s.compare("sent", got, want)
}

const pingSlot = "869.525 MHz SF9BW125 "

// What is pushed goes out in the next ping slots, one item each.
func TestClassB(t *testing.T) {
	s := classB(t)
	s.told = len(s.ups)
	s.push("dev1", item("x"), item("y"))
	s.serve(6 * time.Second)
	s.inSlots(pingSlot+"#1 15:x", pingSlot+"#2 15:y")
	s.said("down/queued, down/queued, down/sent, down/sent")
	if got := s.c.Stats().Sent; got != [4]uint64{3: 2} {
		t.Errorf("sent in RX1, RX2, RXC, ping slots: %v", got)
	}
}

// When a device is sent to in ping slots, and when in the windows of its next uplink only.
func TestClassBBegins(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*stand, *session.Device)
		slots  bool
	}{
		{"in Class B", func(*stand, *session.Device) {}, true},
		{"the last uplink has not the bit", func(s *stand, _ *session.Device) { s.heardB(2, false, s.withGPS) }, false},
		{"no PingSlotInfoReq", func(_ *stand, d *session.Device) {
			d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{})
		}, false},
		{"its owner knows nothing of it", func(_ *stand, d *session.Device) { d.ClassB = false }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			tt.change(s, s.devices["dev1"])
			s.keeps.seldom = true
			s.wait(10 * time.Second)
			s.read = len(s.sent)
			s.push("dev1", item("x"))
			s.serve(40 * time.Second)
			if tt.slots {
				s.inSlots(pingSlot + "#1 15:x")
				return
			}
			s.inSlots()
			at := s.now.Host
			s.heardB(3, false)
			s.serve(10 * time.Second)
			s.begins(at, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x")
		})
	}
}

// Windows after an uplink take what waits; behind them it goes into ping slots again.
func TestClassBWindows(t *testing.T) {
	s := classB(t)
	at := s.now.Host
	s.heardB(2, true, s.withGPS)
	s.push("dev1", item("x"), item("y"))
	s.serve(11 * time.Second)
	slot := s.sent[1:]
	s.sent = s.sent[:1]
	s.begins(at, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 pending 15:x")
	s.sent = append(s.sent, slot...)
	s.inSlots(pingSlot + "#2 15:y")
}

// A gateway that sends beacons answers in RX1 also within the time that is kept for ping slots behind
// a beacon, but not over the beacon: then it answers in RX2.
func TestAnswersAroundBeacon(t *testing.T) {
	for _, tt := range []struct {
		name   string
		behind time.Duration // from the begin of a beacon to that of RX1
		begins string
	}{
		{"with a beacon", 0, "gw-a +6000 ms 869.525 MHz SF9BW125 #1 15:x"},
		{"before one", -200 * time.Millisecond, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x"},
		{"behind one", 200 * time.Millisecond, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x"},
		{"long behind one", 2 * time.Second, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			s.gateway(gwA).Beacons = true
			const period = 128 * time.Second
			s.wait(period - (time.Duration(s.gps())+5*time.Second-tt.behind)%period)
			at := s.now.Host
			s.heardB(2, false, s.withGPS)
			s.push("dev1", item("x"))
			s.serve(10 * time.Second)
			s.begins(at, tt.begins)
		})
	}
}

// Without GPS time there is no ping slot: the item fails with that reason, unless a gateway
// gets to know it in time.
func TestClassBWithoutTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*stand)
		sent int
		said string
	}{
		{"never", func(s *stand) { s.wait(25 * time.Second) }, 0, "down/queued, down/failed no_gps_time"},
		{"in time", func(s *stand) {
			s.wait(10 * time.Second)
			s.hear(gwA, s.phy("dev2", 1, payload("v")), s.withGPS)
		}, 1, "down/queued, up, down/sent"},
		{"by another gateway, named by nobody", func(s *stand) {
			s.online(gwB)
			s.answering(gwB)
			s.hear(gwB, s.phy("dev2", 1, payload("v")), s.withGPS)
		}, 0, "down/queued, up, down/failed no_gps_time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			s.hear(gwA, s.phy("dev2", 0, payload("u"))) // GPS time is lost
			s.wait(10 * time.Second)
			s.told, s.read = len(s.ups), len(s.sent)
			s.push("dev1", item("x"))
			s.wait(time.Second)
			tt.do(s)
			s.serve(40 * time.Second)
			if n := len(s.sent) - s.read; n != tt.sent {
				t.Errorf("sent %d times, want %d", n, tt.sent)
			}
			s.said(tt.said)
		})
	}
}

// A slot that another frame has is left to it; the next one takes the item. Without any it has
// failed with the reason.
func TestClassBBusy(t *testing.T) {
	s := classB(t)
	s.gateway(gwA).EnforceDutyCycle = true
	s.spend(gwA, 0)
	s.c.schedule.Restore(gwA, map[radio.Frequency]time.Duration{869_400_000: 360 * time.Second})
	s.told = len(s.ups)
	s.push("dev1", item("x"))
	s.serve(33 * time.Second)
	s.said("down/queued")
	s.serve(10 * time.Second)
	s.said("down/failed no_free_slot")
}

// An item with a time of its own goes into the first ping slot from then on.
func TestClassBAbsolute(t *testing.T) {
	s := classB(t)
	then := s.gps() + radio.GPSTime(50*time.Second)
	s.push("dev1", item("x", func(it *session.Item) {
		it.ClassBC = &session.ClassBC{AbsoluteTime: s.now.Wall.Time.Add(50 * time.Second)}
	}))
	s.serve(60 * time.Second)
	if n := len(s.sent); n != 1 || s.sent[0].GPS != classb.NextSlot(then, s.devices["dev1"].Session.DevAddr, 1) {
		t.Fatalf("%d sent: %+v", n, s.sent)
	}
	s.inSlots(pingSlot + "#1 15:x")
}

// What is not acknowledged in time is sent again.
func TestClassBConfirmed(t *testing.T) {
	s := classB(t)
	timeout := 30 * time.Second
	s.devices["dev1"].Settings.MAC.ClassBTimeout = &timeout
	s.devices["dev1"].Changed()
	s.told = len(s.ups)
	s.push("dev1", item("x", confirm, func(it *session.Item) { it.MaxAttempts = 2 }))
	s.serve(20 * time.Second)
	s.said("down/queued, down/sent")
	s.serve(20 * time.Second)
	s.said("down/nack, down/sent")
	f := acked("ack")
	f.ClassB = true
	s.hear(gwA, s.phy("dev1", 2, f), s.withGPS)
	s.serve(time.Second)
	s.said("down/ack, up")
}

// A gateway that always answers and is silent: the same bytes once more, in later ping slots; when
// the item has waited for too long it has failed.
func TestClassBSilentGateway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		every  uint8         // periodicity
		silent time.Duration // from the push on
		then   time.Duration // in which gateways answer
		least  int           // times that it is sent
		most   int
		said   string
	}{
		{"one TX_ACK is lost", 1, 3 * time.Second, 10 * time.Second, 2, 2, "down/queued, down/sent"},
		{"for 20 s", 1, 20 * time.Second, 10 * time.Second, 6, 11, "down/queued, down/sent"},
		{"for ever", 1, 50 * time.Second, time.Second, 10, 20, "down/queued, down/failed fixed_paths"},
		{"one TX_ACK is lost, a slot each 32 s", 5, 40 * time.Second, 50 * time.Second, 2, 3, "down/queued, down/sent"},
		{"for ever, a slot each 32 s", 5, 220 * time.Second, time.Second, 3, 7, "down/queued, down/failed fixed_paths"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classB(t)
			d := s.devices["dev1"]
			d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{Periodicity: tt.every, Known: true})
			s.told = len(s.ups)
			s.push("dev1", item("x"))
			s.wait(tt.silent)
			for i := range s.sent {
				s.sent[i].over = true // no answer to it comes any more
			}
			s.serve(tt.then)
			s.said(tt.said)
			if n := len(s.sent); n < tt.least || n > tt.most {
				t.Errorf("sent %d times, want from %d to %d", n, tt.least, tt.most)
			}
			for i := range s.sent {
				h := &s.sent[i]
				if string(h.PHYPayload) != string(s.sent[0].PHYPayload) {
					t.Errorf("other bytes: %s", h.text)
				}
				if i > 0 && h.GPS <= s.sent[i-1].GPS || h.GPS != classb.NextSlot(h.GPS, d.Session.DevAddr, tt.every) {
					t.Errorf("at %v of GPS time, the one before at %v", h.GPS, s.sent[max(i-1, 0)].GPS)
				}
			}
		})
	}
}

// What a device has told of its ping slots outlives a crash: an item goes out in them though the
// device says nothing more.
func TestClassBOutlivesACrash(t *testing.T) {
	s := classB(t)
	f := payload("up")
	f.ClassB, f.FOpts = true, []byte{0x10, 0x03} // PingSlotInfoReq: every 8 s
	s.hear(gwA, s.phy("dev1", 2, f), s.withGPS)
	s.wait(20 * time.Second)
	s.restart(s.disk.firm)
	s.step(Starting{})
	s.online(gwA)
	s.answering(gwA)
	s.hear(gwA, s.phy("dev2", 1, payload("v")), s.withGPS)
	s.push("dev1", item("x"))
	s.serve(20 * time.Second)
	addr := s.devices["dev1"].Session.DevAddr
	if n := len(s.sent) - s.read; n != 1 || s.sent[s.read].GPS != classb.NextSlot(s.sent[s.read].GPS, addr, 3) {
		t.Errorf("%d downlinks: %+v", n, s.sent[s.read:])
	}
}
