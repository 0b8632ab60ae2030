package bridge

import (
	"strings"
	"testing"
	"time"

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
	up := func() Event {
		s.hear(gwA, s.phy("dev1", n, confirmed("x")))
		n++
		s.wait(10 * time.Second)
		return s.events[len(s.events)-1]
	}
	up()
	s.fails = errDisk
	for up().Kind == DownlinkSent && n < 1000 {
	}
	if n != 65 || s.count(DownlinkSent) != 64 {
		t.Errorf("%d acknowledged of %d uplinks", s.count(DownlinkSent), n)
	}
	e := s.event(DownlinkUnsent, 0)
	for _, o := range e.Decision.Options[:2] {
		if o.Verdict.Reason != schedule.NoCounter {
			t.Errorf("option %+v", o)
		}
	}
	if !strings.Contains(e.Decision.Text(), "the store cannot be written") {
		t.Error(e.Decision.Text())
	}
	s.fails = nil
	if e := up(); e.Kind != DownlinkSent || e.FCnt != 65 {
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
		if it := s.devices["dev1"].Queue.Awaiting(); it == nil || it.SentFCnt != 1 || string(it.FRMPayload) != "one" || s.devices["dev1"].Queue.Len() != 2 {
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
		if e := s.event(DownlinkSent, 0); e.FCnt != first {
			t.Errorf("clean %v: the first downlink has %d, want %d", clean, e.FCnt, first)
		}
		again()
		s.hear(gwA, s.up(d, in, 1, confirmed("x")))
		s.wait(10 * time.Second)
		if e := s.event(DownlinkSent, 0); e.FCnt != first+map[bool]uint32{true: 1, false: 64}[clean] {
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
		sent = s.event(DownlinkSent, 0).FCnt
		s.restart(s.disk.firm)
		if in := s.devices["dev1"].Session; in.NFCntDown-in.LastSent().N > 3*64 {
			t.Fatalf("crash %d: %+v was sent last, the store says %+v and goes on behind %d", i+1, sent, in.LastSent(), in.NFCntDown)
		}
	}
}
