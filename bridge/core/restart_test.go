package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
)

// No counter is used before the store has its reservation.
func TestCounterIsReserved(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.slow = true
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.wait(5 * time.Second)
	s.downs()
	s.stored()
	s.wait(850 * ms)
	s.downs("gw-a " + rx2 + ", 150ms ahead: #1 ack")
	s.slow = true
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, confirmed("x"))) // from the reserve
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #2 ack")
}

// While the store fails there are downlinks as long as reserved counters last,
// and again when it works.
func TestCountersRunOut(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	n := uint32(0)
	up := func() event.Event {
		s.hear(gwA, s.phy("dev1", n, confirmed("x")))
		n++
		s.wait(10 * time.Second)
		return s.events[len(s.events)-1]
	}
	up()
	s.fails = errDisk
	for up().Kind == event.DownlinkSent && n < 1000 {
	}
	if n != 65 || s.count(event.DownlinkSent) != 64 {
		t.Errorf("%d acknowledged of %d uplinks", s.count(event.DownlinkSent), n)
	}
	e := s.event(event.DownlinkUnsent, 0)
	for _, o := range e.Decision.Options[:2] {
		if o.Verdict.Reason != schedule.NoCounter {
			t.Errorf("option %+v", o)
		}
	}
	if !strings.Contains(e.Decision.Text(), "the store cannot be written") {
		t.Error(e.Decision.Text())
	}
	s.fails = nil
	if e := up(); e.Kind != event.DownlinkSent || e.FCnt != 65 {
		t.Errorf("event %+v", e)
	}
}

// scene is a stand with a confirmed item that waits for its acknowledgement,
// and two more.
func scene(t *testing.T) *stand {
	t.Helper()
	s := oneDown(t, confirm)
	s.ack(radio.TxOK)
	s.push("dev1", item("two"), item("three", prio(radio.PriorityHigh)))
	return s
}

// After a crash, and after a clean stop, the queue is as it was, the item that
// waits for its acknowledgement still does, and counters go on.
func TestRestart(t *testing.T) {
	for _, clean := range []bool{false, true} {
		s := scene(t)
		next, disk := "#65", s.disk.firm
		if clean {
			s.step(Stopping{})
			next, disk = "#2", s.disk.soft
		}
		s.restart(disk)
		s.late("dev1")
		s.answering(gwA)
		s.online(gwA)
		if it := s.devices["dev1"].Queue.Awaiting(); it == nil || it.SentFCnt != 1 || string(it.FRMPayload) != "one" ||
			s.devices["dev1"].Queue.Len() != 2 {
			t.Fatalf("waits for %+v, %d items", it, s.devices["dev1"].Queue.Len())
		}
		s.told = len(s.ups)
		s.wait(10 * time.Second)
		if clean {
			s.hear(gwA, s.phy("dev1", 0, payload("x"))) // a repetition
			s.tells()
			s.wait(time.Second)
		}
		s.hear(gwA, s.phy("dev1", 1, payload("y")))
		s.wait(10 * time.Second)
		s.tells("dev1 nack one #1 attempt 2", "dev1 up 1", "dev1 sent two "+next)
		s.downs("gw-a " + rx1 + ", 150ms ahead: " + next + " pending 15:two")
		s.push("dev1", item("four"))
		s.onDisk("dev1", "three", "one", "four")
	}
}

// The same with a device that has joined, before and after it has used its
// session.
func TestRestartAfterJoin(t *testing.T) {
	for _, clean := range []bool{false, true} {
		s := newStand(t)
		s.answering(gwA)
		s.online(gwA)
		d := s.otaa("dev3", session.V1_0_4)
		in := s.joined(d, 1)
		again := func() {
			disk := s.disk.firm
			if clean {
				s.step(Stopping{})
				disk = s.disk.soft
			}
			s.restart(disk)
			d = s.devices["dev3"]
			s.answering(gwA)
			s.online(gwA)
		}
		again()
		s.hear(gwA, s.up(d, in, 0, confirmed("x")))
		s.wait(10 * time.Second)
		first := uint32(1)
		if !clean {
			first = 65
		}
		if e := s.event(event.DownlinkSent, 0); e.FCnt != first {
			t.Errorf("clean %v: the first downlink has %d, want %d", clean, e.FCnt, first)
		}
		again()
		s.hear(gwA, s.up(d, in, 1, confirmed("x")))
		s.wait(10 * time.Second)
		if e := s.event(event.DownlinkSent, 0); e.FCnt != first+map[bool]uint32{true: 1, false: 64}[clean] {
			t.Errorf("clean %v: the second downlink has %d", clean, e.FCnt)
		}
	}
}

// A device of LoRaWAN 1.1 that was told RekeyConf does not say RekeyInd again:
// its session is known after a power cut.
func TestPowerCutAfterRekey(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_1)
	in := s.joined(d, 1)
	f := payload("x")
	f.FOpts = []byte{0x0b, 1}
	s.hear(gwA, s.up(d, in, 0, f))
	s.wait(10 * time.Second)
	s.downs("gw-a "+joinRX1+", 2s ahead: join_accept", "gw-a "+rx1+", 150ms ahead: #1 fopts 0b 01")
	s.restart(s.disk.firm)
	d = s.devices["dev3"]
	s.answering(gwA)
	s.online(gwA)
	s.told = len(s.ups)
	s.hear(gwA, s.up(d, in, 1, payload("y")))
	s.tells("dev3 up 1")
}

// A host that crashes after each downlink does not run away from a device that
// hears it.
func TestCrashesAfterDownlinks(t *testing.T) {
	s := newStand(t)
	var sent uint32
	for i := range uint32(100) {
		s.late("dev1")
		s.answering(gwA)
		s.online(gwA)
		s.hear(gwA, s.phy("dev1", i, confirmed("x")))
		s.wait(10 * time.Second)
		sent = s.event(event.DownlinkSent, 0).FCnt
		s.restart(s.disk.firm)
		if in := s.devices["dev1"].Session; in.NFCntDown-in.LastSent().N > 3*64 {
			t.Fatalf("crash %d: %+v was sent last, the store says %+v and goes on behind %d", i+1, sent, in.LastSent(),
				in.NFCntDown)
		}
	}
}

var counterRestarts = []struct {
	name   string
	change func(*session.Device)
	fCnts  []uint32 // of uplinks with other bytes each
	up     string   // f_cnt of those that are published
	window string   // of the last one
}{
	{"goes on", nil, []uint32{7, 8}, "7 8", rx1},
	{"begins at 0", nil, []uint32{7, 0}, "7 0", "+1s 868.3 MHz SF7BW125 14 dBm"},
	{
		"begins at 0 with 16 bits", func(d *session.Device) { d.Settings.Counter16 = true },
		[]uint32{7, 0},
		"7 0",
		"+1s 868.3 MHz SF7BW125 14 dBm",
	},
	{
		"with a factory setting", func(d *session.Device) { d.Settings.RX1Delay = new(uint8(2)) },
		[]uint32{7, 0},
		"7 0",
		"+2s 868.3 MHz SF7BW125 14 dBm",
	},
	{"begins at 1 once more", nil, []uint32{1, 1, 1}, "1 1 1", "+1s 868.3 MHz SF7BW125 14 dBm"},
	{
		"always 0", nil,
		[]uint32{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "+1s 868.3 MHz SF7BW125 14 dBm",
	},
	{
		"always 0 with 16 bits", func(d *session.Device) { d.Settings.Counter16 = true },
		[]uint32{0, 0, 0},
		"0 0 0",
		"+1s 868.3 MHz SF7BW125 14 dBm",
	},
	{
		"always 0 with LoRaWAN 1.1", func(d *session.Device) { d.Version = session.V1_1 },
		[]uint32{0, 0, 0},
		"0 0 0",
		"+1s 868.3 MHz SF7BW125 14 dBm",
	},
	{"may not begin anew", func(d *session.Device) { d.Settings.ResetsFCnt = false }, []uint32{7, 0}, "7", ""},
}

// A personalised device that may begin its counter anew is back at what it was
// made with, when it does so.
func TestCounterBeginsAnew(t *testing.T) {
	for _, tt := range counterRestarts {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.answering(gwA)
			s.online(gwA)
			d := s.late("dev1")
			d.Settings.ResetsFCnt = true
			if tt.change != nil {
				tt.change(d)
			}
			for i, n := range tt.fCnts {
				s.read = len(s.sent)
				s.hear(gwA, s.phy("dev1", n, confirmed(string(rune('a'+i)))))
				s.wait(30 * time.Second)
			}
			var up []string
			for i := range s.ups {
				if m := s.message(i); m.Up != nil {
					up = append(up, fmt.Sprint(m.Up.FCnt))
				}
			}
			if got := strings.Join(up, " "); got != tt.up {
				t.Errorf("published %s, want %s", got, tt.up)
			}
			switch {
			case tt.window == "" && s.read < len(s.sent):
				t.Errorf("sent %s", s.sent[s.read].text)
			case tt.window != "" && (s.read == len(s.sent) || !strings.Contains(s.sent[s.read].text, tt.window)):
				t.Errorf("sent %+v, want %s", s.sent[s.read:], tt.window)
			}
		})
	}
}

// The same bytes are a repetition with such a device too, and after a power cut
// it is what it has become.
func TestCounterBegunAnew(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.late("dev1")
	d.Settings.ResetsFCnt = true
	d.Changed()
	s.hear(gwA, s.phy("dev1", 7, payload("x")))
	phy := s.phy("dev1", 0, payload("y"))
	for range 3 {
		s.hear(gwA, phy)
		s.wait(3 * time.Second)
	}
	if n := s.count(event.UplinkRepeated); n != 2 || len(s.ups) != 2 || s.count(event.CounterRestarted) != 1 {
		t.Errorf("%d repetitions, %d messages, %d beginnings", n, len(s.ups), s.count(event.CounterRestarted))
	}
	s.restart(s.disk.firm)
	if d := s.devices["dev1"]; d.Session.Parameters != nil || d.Session.FCntUp != 0 {
		t.Errorf("after a power cut %+v", d.Session)
	}
}

// After a start nobody knows the bytes of the last frame: one with its counter is
// a beginning too.
func TestCounterBeginsAnewAfterStart(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	s.devices["dev1"].Settings.ResetsFCnt = true
	s.devices["dev1"].Changed()
	s.hear(gwA, s.phy("dev1", 0, payload("a")))
	s.restart(s.disk.soft)
	s.online(gwA)
	s.ups = nil
	for _, text := range []string{"b", "c", "d"} {
		s.wait(30 * time.Second)
		s.hear(gwA, s.phy("dev1", 0, payload(text)))
	}
	s.wants(`dev1/up f_cnt 0 port 15 "b" gw-a`, `dev1/up f_cnt 0 port 15 "c" gw-a`, `dev1/up f_cnt 0 port 15 "d" gw-a`)
}

// The first downlink after a start finds a counter, with a store that does not
// answer in time; a clean stop gives back what was not used.
func TestFirstDownlinkAfterStart(t *testing.T) {
	for _, clean := range []bool{false, true} {
		s := newStand(t)
		s.late("dev1")
		s.answering(gwA)
		s.online(gwA)
		s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
		s.wait(10 * time.Second)
		s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
		disk, next := s.disk.firm, "#65"
		if clean {
			s.step(Stopping{})
			disk, next = s.disk.soft, "#2"
		}
		for range 3 { // starts after which nothing is sent
			s.restart(disk)
			s.step(Starting{})
			if clean {
				s.step(Stopping{})
				disk = s.disk.soft
				continue
			}
			disk = s.disk.firm
		}
		s.restart(disk)
		s.step(Starting{})
		if !clean {
			next = "#68" // each start has skipped one
		}
		s.slow = true
		s.late("dev1")
		s.answering(gwA)
		s.online(gwA)
		s.hear(gwA, s.phy("dev1", 1, confirmed("x")))
		s.wait(10 * time.Second)
		s.downs("gw-a " + rx1 + ", 150ms ahead: " + next + " ack")
	}
}
