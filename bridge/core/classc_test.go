package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// classC is a stand whose dev1 listens at all times, with windows as a join-accept asks
// for, and was heard by gateway A a minute ago.
func classC(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	s.late("dev1").ClassC = true
	s.online(gwA)
	s.answering(gwA)
	s.heardC(1)
	s.wait(time.Minute)
	return s
}

// heardC has gateway A hear an uplink of dev1.
func (s *stand) heardC(fCnt uint32) {
	s.Helper()
	s.hear(gwA, s.phy("dev1", fCnt, payload("up")))
}

// begins are the downlinks since the last call: when each begins, ms after t, and what it
// holds; "ok" is what their gateways answer.
func (s *stand) begins(t radio.HostTime, lines ...string) {
	s.Helper()
	var got []string
	for ; s.read < len(s.sent); s.read++ {
		h := &s.sent[s.read]
		_, rest, _ := strings.Cut(h.text, "ahead: ")
		at := radio.HostTime(h.Time * 1000).Sub(t).Milliseconds()
		got = append(got, fmt.Sprintf("%s +%d ms %v %v %s", s.gateway(h.Gateway).ID, at, h.Frequency, h.DataRate, rest))
	}
	s.compare("sent", got, lines)
}

// serve lets time pass, in which gateways answer what they get.
func (s *stand) serve(d time.Duration) {
	s.Helper()
	for end := s.now.Host.Add(d); ; s.wait(20 * ms) {
		for i := range s.sent {
			if h := &s.sent[i]; h.Time > radio.ConcentratorTime(s.now.Host/1000) && !h.over {
				s.ackOf(h, radio.TxOK)
			}
		}
		if s.now.Host >= end {
			return
		}
	}
}

// said are the last parts of the topics since the last call, with the names of errors.
func (s *stand) said(want string) {
	s.Helper()
	var got []string
	for ; s.told < len(s.ups); s.told++ {
		m := s.message(s.told)
		line := s.ups[s.told].Suffix
		if m.Failed != nil {
			line += " " + m.Failed.Error.Name
		}
		got = append(got, line)
	}
	if text := strings.Join(got, ", "); text != want {
		s.Errorf("said %q, want %q", text, want)
	}
}

const rxc = " 869.525 MHz SF9BW125 "

// A quiet device is sent to at once; what follows comes as soon as it hears again.
func TestClassCQuiet(t *testing.T) {
	s := classC(t)
	s.told = len(s.ups)
	at := s.now.Host
	s.push("dev1", item("one"), item("two"), item("three"))
	s.serve(2 * time.Second)
	s.begins(at, "gw-a +153 ms"+rxc+"#1 15:one", "gw-a +417 ms"+rxc+"#2 15:two", "gw-a +682 ms"+rxc+"#3 15:three")
	s.said("down/queued, down/queued, down/queued, down/sent, down/sent, down/sent")
	if got := s.c.Stats().Sent; got != [4]uint64{2: 3} {
		t.Errorf("sent in RX1, RX2, RXC: %v", got)
	}
}

// Windows that are open take what waits, and nothing meets them.
func TestClassCWindows(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // from the uplink to the push
		want  []string
	}{
		{"before RX1", 500 * ms, []string{"gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x"}},
		{"between RX1 and RX2", 5500 * ms, []string{"gw-a +6000 ms" + rxc + "#1 15:x"}},
		{"behind the last decision", 5900 * ms, []string{"gw-a +6050 ms" + rxc + "#1 15:x"}},
		{"later", 7 * time.Second, []string{"gw-a +7150 ms" + rxc + "#1 15:x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC(t)
			at := s.now.Host
			s.heardC(2)
			s.wait(tt.after)
			s.push("dev1", item("x"))
			s.serve(10 * time.Second)
			s.begins(at, tt.want...)
		})
	}
}

// From when on a device listens at all times.
func TestClassCBegins(t *testing.T) {
	push := func(s *stand) {
		s.push("dev1", item("x"))
		s.wait(time.Second)
	}
	for _, tt := range []struct {
		name    string
		change  func(*session.Device)
		listens bool
	}{
		{"ABP", func(*session.Device) {}, true},
		{"joined and heard", func(d *session.Device) { d.SupportsJoin = true }, true},
		{"joined and not heard", func(d *session.Device) { d.SupportsJoin, d.Session.Heard = true, false }, false},
		{"a join waits", func(d *session.Device) { d.Pending = &session.Session{} }, false},
		{"1.1, said nothing", func(d *session.Device) { d.Version = session.V1_1 }, false},
		{"1.1, said so", func(d *session.Device) {
			d.Version = session.V1_1
			d.Session.MAC = &macstate.State{ClassC: true}
		}, true},
		{"Class A", func(d *session.Device) { d.ClassC = false }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC(t)
			tt.change(s.devices["dev1"])
			if got := s.devices["dev1"].Listens(); got != tt.listens {
				t.Errorf("listens: %v", got)
			}
			s.keeps.seldom = true
			before := len(s.sent)
			if s.devices["dev1"].Pending = nil; tt.name != "a join waits" && s.devices["dev1"].Version < session.V1_1 {
				push(s)
				if sent := len(s.sent) > before; sent != tt.listens {
					t.Errorf("sent: %v", sent)
				}
			}
		})
	}
}

// A gateway that is gone, that is silent or that refuses: the next one, or the item fails.
func TestClassCGateways(t *testing.T) {
	named := func(ids ...string) func(*session.Item) {
		return func(it *session.Item) {
			it.ClassBC = &session.ClassBC{}
			for _, id := range ids {
				it.ClassBC.Gateways = append(it.ClassBC.Gateways, session.GatewayAntenna{GatewayID: id})
			}
		}
	}
	for _, tt := range []struct {
		name string
		item session.Item
		do   func(*stand) // after the push
		wait time.Duration
		sent int
		said string
	}{
		{"named", item("x", named("gw-a")), nil, 5 * time.Second, 1, "down/queued, down/sent"},
		{"unknown, then one", item("x", named("none", "gw-a")), nil, 5 * time.Second, 1, "down/queued, down/sent"},
		{"unknown", item("x", named("none")), nil, time.Second, 0, "down/queued, down/failed fixed_paths"},
		{"nothing named", item("x", named()), nil, 5 * time.Second, 1, "down/queued, down/sent"},
		{"named, and never heard", item("x", named("gw-b")), nil, 29 * time.Second, 0, "down/queued"},
		{"the same, too long", item("x", named("gw-b")), nil, 31 * time.Second, 0, "down/queued, down/failed fixed_paths"},
		{"it comes", item("x", named("gw-b")), func(s *stand) {
			s.wait(10 * time.Second)
			s.online(gwB)
			s.answering(gwB)
			s.hear(gwB, s.phy("dev2", 1, payload("x")))
		}, 5 * time.Second, 1, "down/queued, up, down/sent"},
		{"refused", item("x"), func(s *stand) {
			s.ack(radio.TxTooLate)
		}, time.Second, 1, "down/queued, down/failed transmission"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC(t)
			s.told, s.read = len(s.ups), len(s.sent)
			s.push("dev1", tt.item)
			s.wait(0)
			if tt.do != nil {
				tt.do(s)
			}
			s.serve(tt.wait)
			if n := len(s.sent) - s.read; n != tt.sent {
				t.Errorf("sent %d times, want %d", n, tt.sent)
			}
			s.said(tt.said)
		})
	}
}

// A gateway that always answers and is silent: the same bytes once more, by another one
// if there is one, and after 30 s the item has failed.
func TestClassCSilentGateway(t *testing.T) {
	s := classC(t)
	s.told = len(s.ups)
	s.push("dev1", item("x"))
	s.wait(40 * time.Second)
	s.said("down/queued, down/failed fixed_paths")
	if n := len(s.sent); n < 15 || n > 30 {
		t.Errorf("tried %d times", n)
	}
	for i := range s.sent {
		if string(s.sent[i].PHYPayload) != string(s.sent[0].PHYPayload) {
			t.Fatalf("other bytes: %s", s.sent[i].text)
		}
	}
	n := len(s.sent)
	s.online(gwB)
	s.answering(gwB)
	s.hear(gwB, s.phy("dev1", 2, payload("b")), at(-11000))
	s.hear(gwA, s.phy("dev1", 2, payload("b")), at(-3000))
	s.wait(10 * time.Second)
	s.told = len(s.ups)
	s.push("dev1", item("y"))
	s.wait(700 * ms)
	if got := len(s.sent) - n; got != 2 || s.sent[n].Gateway != gwA || s.sent[n+1].Gateway != gwB {
		t.Fatalf("%d downlinks: %+v", got, s.sent[n:])
	}
	s.ack(radio.TxOK)
	s.said("down/queued, down/sent")
}

// A frame of a session that has ended, or that nobody knows to hold, is not sent once more: its
// item goes out in the session that the device is in then.
func TestClassCSilentGatewaySessionEnds(t *testing.T) {
	silent := func(s *stand, _ []byte) { s.wait(1500 * ms) }
	var up radio.HostTime
	takesUp := func(s *stand, phy []byte) {
		up, s.read = s.now.Host, len(s.sent)
		s.hear(gwA, phy)
	}
	refused := func(s *stand, _ []byte) { s.ackOf(&s.sent[0], radio.TxTooLate) }
	inRX1 := []string{"gw-a +5000 ms 868.3 MHz SF7BW125 #1 15:x"}
	for _, tt := range []struct {
		name string
		do   []func(s *stand, phy []byte) // phy: the first frame in the session that a join has offered
		sent []string
		said string
	}{
		{"silent, then taken up", []func(*stand, []byte){silent, takesUp}, inRX1, "up, down/sent"},
		{"taken up, then refused", []func(*stand, []byte){takesUp, refused}, inRX1, "up, down/sent"},
		{"taken up, then silent", []func(*stand, []byte){takesUp, silent}, inRX1, "up, down/sent"},
		{"offered, then silent", []func(*stand, []byte){silent}, nil, ""},
		{"offered, then refused", []func(*stand, []byte){refused}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC(t)
			d := s.devices["dev1"]
			next := &session.Session{
				DevAddr: radio.DevAddr{1, 2, 9, 9}, Keys: testKeys(9), Parameters: d.Session.Parameters, MAC: d.Session.MAC,
			}
			marks, _ := next.Reserve(d.Version)
			next.Reserved(marks, true)
			s.push("dev1", item("x"))
			s.wait(20 * ms)
			s.c.opts.Devices.Offer(d, next)
			s.told, s.read = len(s.ups), len(s.sent)
			for _, do := range tt.do {
				do(s, s.phyIn(next, d.Version, 0, payload("n"), frame.Context{}))
			}
			s.serve(20 * time.Second)
			s.begins(up, tt.sent...)
			s.said(tt.said)
			if waits := d.Queue.Len() == 1; waits != (tt.sent == nil) {
				t.Errorf("the item waits: %v", waits)
			}
		})
	}
}

// What is not acknowledged in time is sent again as often as it may be.
func TestClassCConfirmed(t *testing.T) {
	s := classC(t)
	timeout := 20 * time.Second
	d := s.devices["dev1"]
	d.Settings.MAC.ClassCTimeout = &timeout
	s.keeps.seldom = true
	s.told = len(s.ups)
	s.push("dev1", item("c", confirm, func(it *session.Item) { it.MaxAttempts = 2 }), item("u"))
	answer := s.serve
	answer(19 * time.Second)
	s.said("down/queued, down/queued, down/sent, down/sent")
	answer(2 * time.Second)
	s.said("down/nack, down/sent")
	answer(19 * time.Second)
	s.said("")
	answer(2 * time.Second)
	s.said("down/failed max_retries_reached, down/nack")
	s.push("dev1", item("d", confirm))
	answer(5 * time.Second)
	s.hear(gwA, s.phy("dev1", 2, acked("ack")))
	answer(time.Minute)
	s.said("down/queued, down/sent, down/ack, up")
}

// A device that did not hear its join-accept is sent to as soon as it goes on in the session that
// it has, also after a restart.
func TestClassCJoinAcceptIsLost(t *testing.T) {
	for name, restart := range map[string]func(*stand){
		"goes on": func(*stand) {},
		"stopped": func(s *stand) {
			s.step(Stopping{})
			s.restart(s.disk.soft)
		},
		"crashed": func(s *stand) { s.restart(s.disk.firm) },
	} {
		t.Run(name, func(t *testing.T) {
			s := classC(t)
			d := s.devices["dev1"]
			d.Changed()
			s.c.opts.Devices.Offer(d, &session.Session{DevAddr: radio.DevAddr{1, 2, 9, 9}, Keys: testKeys(9)})
			s.push("dev1", item("x"))
			s.serve(20 * time.Second)
			s.heardC(2)
			s.replace("dev1")
			s.serve(20 * time.Second)
			restart(s)
			s.step(Starting{})
			s.online(gwA)
			s.answering(gwA)
			s.hear(gwA, s.phy("dev2", 1, payload("v")))
			s.told = len(s.ups)
			s.push("dev1", item("y"))
			s.serve(20 * time.Second)
			s.said("down/queued, down/sent")
			if s.devices["dev1"].Pending == nil {
				t.Error("the device can not take up the session that it was offered")
			}
		})
	}
}

// The time for an acknowledgement runs on while nobody knows in which session a device is.
func TestClassCConfirmedAndOffered(t *testing.T) {
	s := classC(t)
	d := s.devices["dev1"]
	d.Settings.MAC.ClassCTimeout = new(time.Duration)
	s.told = len(s.ups)
	s.push("dev1", item("c", confirm, func(it *session.Item) { it.MaxAttempts = 1 }))
	s.serve(100 * ms)
	s.c.opts.Devices.Offer(d, &session.Session{DevAddr: radio.DevAddr{1, 2, 9, 9}, Keys: testKeys(9)})
	s.serve(20 * time.Second)
	s.said("down/queued, down/sent")
	d.Pending.PassedOver = true
	s.serve(10 * time.Second)
	s.said("down/failed max_retries_reached, down/nack")
}

// The duty cycle holds, and an item that finds no room in 30 s has failed with the reason.
func TestClassCDutyCycle(t *testing.T) {
	s := classC(t)
	s.gateway(gwA).EnforceDutyCycle = true
	s.spend(gwA, 0)
	s.c.schedule.Restore(gwA, map[radio.Frequency]time.Duration{869_400_000: 360 * time.Second})
	s.told = len(s.ups)
	s.push("dev1", item("x"))
	s.wait(29 * time.Second)
	s.said("down/queued")
	s.wait(2 * time.Second)
	s.said("down/failed no_free_slot")
	if s.count(event.DownlinkUnsent) != 1 {
		t.Error("no event says why")
	}
}

// At an absolute time, and when it has passed.
func TestClassCAbsolute(t *testing.T) {
	s := classC(t)
	s.told = len(s.ups)
	when := func(d time.Duration) func(*session.Item) {
		return func(it *session.Item) { it.ClassBC = &session.ClassBC{AbsoluteTime: s.now.Wall.Time.Add(d)} }
	}
	at := s.now.Host
	s.push("dev1", item("then", when(10*time.Second)), item("behind"))
	s.serve(12 * time.Second)
	s.begins(at, "gw-a +10000 ms"+rxc+"#1 15:then", "gw-a +10264 ms"+rxc+"#2 15:behind")
	s.push("dev1", item("past", when(-time.Second)))
	s.push("dev1", item("too close", when(10*ms)))
	s.wait(time.Second)
	s.said("down/queued, down/queued, down/sent, down/sent, down/failed downlink_expired, down/queued, " +
		"down/failed downlink_expired")
	s.now.Wall = radio.WallTime{}
	s.push("dev1", item("when", func(it *session.Item) {
		it.ClassBC = &session.ClassBC{AbsoluteTime: time.Unix(1<<31, 0)}
	}))
	s.said("down/failed absolute_time")
}

// However much is pushed to devices of Class C: a tenth of the sub-band stays for
// join-accepts and acknowledgements.
func TestClassCLeavesRoom(t *testing.T) {
	s := group(t)
	s.gateway(gwA).EnforceDutyCycle = true
	begin := s.now.Host
	for range 150 { // as much as fits in three quarters of an hour
		s.push("group", item(strings.Repeat("x", 51), prio(radio.PriorityHigh),
			via(session.GatewayAntenna{GatewayID: "gw-a"})))
		s.serve(18 * time.Second)
	}
	used := time.Duration(0)
	for i := range s.sent {
		used += s.sent[i].airtime
	}
	t.Logf("%d items sent in %v, %v on the air of 6m0s", len(s.sent), s.now.Host.Sub(begin), used)
	if used < 310*time.Second || used > 324*time.Second {
		t.Errorf("%v on the air, want just below 90 %% of 6 minutes", used)
	}
	s.c.schedule.Restore(gwA, map[radio.Frequency]time.Duration{868_000_000: 3600 * time.Second}) // no RX1
	at := s.now.Host
	s.read = len(s.sent)
	s.hear(gwA, s.phy("dev2", 2, confirmed("x")))
	s.serve(5 * time.Second)
	s.begins(at, "gw-a +2000 ms"+groupRX2+"#1 ack")
}
