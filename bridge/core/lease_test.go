package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/bridge/v3"
	"lorawand/radio"
)

// marked returns how many uplinks are published, and how many of them say that there was no lease.
func (s *stand) marked() (all, marked int) {
	for _, m := range s.ups {
		if m.Suffix != v3.Up {
			continue
		}
		if all++; strings.Contains(string(m.Payload), `"`+v3.NoLease+`"`) {
			marked++
		}
	}
	return all, marked
}

// Without a lease uplinks are published and marked, nothing is sent, and no FCntDown is taken; the item
// goes out when there is a lease again.
func TestWithoutLease(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	s.hear(gwA, s.phy("dev1", 1, payload("up")))
	s.wait(5 * time.Second)
	d := s.devices["dev1"]
	before, _ := d.Session.NextFCntDown(d.Version, true)
	s.step(Leased{})
	s.push("dev1", session.Item{FPort: 3, FRMPayload: []byte("down")})
	s.hear(gwA, s.phy("dev1", 2, confirmed("up")))
	s.wait(5 * time.Second)
	if next, _ := d.Session.NextFCntDown(d.Version, true); len(s.sent) > 0 || next != before {
		t.Errorf("%d downlinks without a lease; the next FCntDown is %d, it was %d", len(s.sent), next, before)
	}
	if all, marked := s.marked(); all != 2 || marked != 1 {
		t.Errorf("%d of %d uplinks are marked", marked, all)
	}
	s.step(Leased{Held: true})
	s.hear(gwA, s.phy("dev1", 3, payload("up")))
	s.wait(5 * time.Second)
	if len(s.sent) != 1 {
		t.Errorf("%d downlinks with a lease", len(s.sent))
	}
	if all, marked := s.marked(); all != 3 || marked != 1 {
		t.Errorf("%d of %d uplinks are marked", marked, all)
	}
}

// A device that listens at all times gets its item when there is a lease, however long that takes;
// one that is refused because the lease ends too soon does not fail either.
func TestClassCWithoutLease(t *testing.T) {
	s := classC(t)
	s.step(Leased{})
	s.push("dev1", session.Item{FPort: 3, FRMPayload: []byte("down")})
	s.serve(2 * time.Minute)
	if len(s.sent) > 0 || s.failures() > 0 {
		t.Fatalf("without a lease: %d downlinks, %d failures", len(s.sent), s.failures())
	}
	s.step(Leased{Held: true})
	for end := s.now.Host.Add(time.Minute); s.now.Host < end; s.wait(20 * ms) {
		for i := range s.sent {
			if h := &s.sent[i]; !h.over {
				h.over = true
				s.step(Acked{radio.TxAck{
					ID: h.ID, Gateway: h.Gateway, Result: radio.TxNoPath, Fault: schedule.FaultLease, At: s.now.Host,
				}})
			}
		}
	}
	if s.failures() > 0 {
		t.Error("it has failed because the lease was short")
	}
	s.serve(time.Minute)
	if n := len(s.sent); n < 5 || s.failures() > 0 {
		t.Errorf("%d downlinks, %d failures", n, s.failures())
	}
}

// failures returns how many items have failed.
func (s *stand) failures() (n int) {
	for _, m := range s.ups {
		if m.Suffix == v3.DownFailed {
			n++
		}
	}
	return n
}

// With a lease frames are handed over no earlier than they have to be: a join-accept at SF12 ends before
// a lease that was just renewed does.
func TestHandsOverLate(t *testing.T) {
	for _, leases := range []bool{false, true} {
		s := newStand(t)
		s.c.opts.Leases = leases
		s.answering(gwA)
		s.online(gwA)
		d := s.otaa("dev3", session.V1_0_3)
		var needs time.Duration
		s.trace = func(e Effect) {
			if e, ok := e.(Transmit); ok {
				needs = max(needs, e.Ends.Sub(s.now.Host))
			}
		}
		s.hear(gwA, s.joinRequest(d, 7), func(u *radio.Uplink) { u.DataRate = radio.LoRaDataRate(12, 125_000) })
		s.wait(6 * time.Second)
		if needs == 0 || leases != (needs < 3*time.Second) {
			t.Errorf("leases %v: %d downlinks, the longest needs %v", leases, len(s.sent), needs)
		}
	}
}

// A frame whose time is over before it is handed over, as this process was stopped, is not sent: its item
// waits for the next window.
func TestStoppedBeforeHandOver(t *testing.T) {
	s := oneDown(t)
	s.c.opts.Leases = true
	s.ack(radio.TxCollisionPacket) // RX2 is left, which is not handed over yet
	s.now.Host, s.now.Wall.Time = s.now.Host.Add(3*time.Second), s.now.Wall.Time.Add(3*time.Second)
	s.step(TimerFired{})
	s.tells()
	if waits := s.devices["dev1"].Queue.Len(); len(s.sent) != 1 || waits != 1 {
		t.Fatalf("%d downlinks, %d items wait", len(s.sent), waits)
	}
	s.hear(gwA, s.phy("dev1", 1, payload("x")))
	s.wait(10 * time.Second)
	if waits := s.devices["dev1"].Queue.Len(); len(s.sent) != 2 || waits != 0 {
		t.Errorf("%d downlinks behind the next uplink, %d items wait", len(s.sent), waits)
	}
}
