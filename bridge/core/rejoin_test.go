package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// An item that was sent in the session before the last join cannot be
// acknowledged in the new one.
func TestAckOfAnotherSession(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	first := s.joined(d, 1)
	s.push("dev3", item("one", confirm))
	s.hear(gwA, s.up(d, first, 0, payload("x")))
	s.wait(4850 * ms)
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	key := d.Session.KeyID
	second := s.joined(d, 2)
	s.told = len(s.ups)
	s.hear(gwA, s.up(d, second, 0, acked("y")))
	s.tells("dev3 nack one #1 attempt 2", "dev3 up 0")
	if m := s.message(len(s.ups) - 2); string(m.Nack.SessionKeyID) != string(key) ||
		m.IDs.DevAddr != first.DevAddr.String() {
		t.Errorf("nack of another session: %s", s.ups[len(s.ups)-2].Payload)
	}
	s.read = len(s.sent)
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 confirmed 15:one")
}

// A downlink that is planned for the windows of an uplink does not go out if the device has
// sent a join-request since.
func TestJoinOvertakes(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	s.hear(gwA, s.joinRequest(d, 1))
	s.wait(10 * time.Second)
	first := s.accepted(d, 1)
	s.read = len(s.sent)
	s.push("dev3", item("one"))
	s.late("dev1")
	s.hear(gwA, s.phy("dev1", 0, confirmed("z"))) // takes RX1
	s.hear(gwA, s.up(d, first, 0, payload("x")))
	s.wait(4300 * ms) // RX2 is planned, and not handed over
	s.hear(gwA, s.joinRequest(d, 2))
	s.wait(10 * time.Second)
	s.downs("gw-a "+rx1+", 800ms ahead: #1 ack", "gw-a "+joinRX1+", 800ms ahead: join_accept")
	second := s.accepted(d, 2)
	s.hear(gwA, s.up(d, second, 0, payload("y")))
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 800ms ahead: #1 15:one")
}

// The last frame of a session that has ended is not answered any more, though
// its bytes were heard a moment ago.
func TestReplayOfAnEndedSession(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	first := s.joined(d, 1)
	phy := s.up(d, first, 0, confirmed("x"))
	s.hear(gwA, phy)
	second := s.joined(d, 2)
	s.wait(2 * time.Second)
	s.hear(gwA, phy) // somebody else
	s.event(event.UplinkRepeated, 0)
	s.wait(300 * ms)
	s.hear(gwA, s.up(d, second, 0, confirmed("y")))
	s.wait(300 * ms)
	s.read = len(s.sent)
	s.hear(gwA, phy)
	s.event(event.UplinkDropped, event.DropDevAddr)
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
}

// A device that repeats a frame with an acknowledgement has the counter in mind
// that it has acknowledged, not that of the answer which it has missed.
func TestRepeatedAck11(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_1)
	in := s.joined(d, 1)
	s.push("dev3", item("one", confirm), item("two", confirm))
	s.hear(gwA, s.up(d, in, 0, frame.Data{FOpts: []byte{0x0b, 1}}))
	s.wait(4850 * ms)
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	phy := s.phyIn(in, d.Version, 1, frame.Data{MType: frame.ConfirmedUp, ACK: true},
		frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 1})
	s.hear(gwA, phy)
	s.wait(4850 * ms)
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	s.read, s.told = len(s.sent), len(s.ups)
	s.hear(gwA, phy)
	s.event(event.UplinkRepeated, 0)
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
	s.tells()
	s.hear(gwA, s.phyIn(in, d.Version, 2, acked("y"), frame.Context{TxDR: 5, TxCh: 1, ConfFCnt: 2}))
	s.tells("dev3 ack two #2", "dev3 up 2")
}

// The answers to LinkCheckReq and DeviceTimeReq; without a calendar nobody is
// told the time.
func TestMACAnswers(t *testing.T) {
	for _, known := range []bool{true, false} {
		s := newStand(t)
		s.answering(gwA, gwB)
		s.online(gwA, gwB)
		s.late("dev1")
		if !known {
			s.now.Wall = radio.WallTime{Time: time.Unix(100, 0)}
		}
		phy := s.phy("dev1", 0, frame.Data{FOpts: []byte{0x02, 0x0d}})
		s.hear(gwA, phy, delayed(500*ms))
		s.hear(gwB, phy, delayed(500*ms), at(-50))
		s.push("dev1", item("one"))
		s.wait(10 * time.Second)
		want := "02 10 02" // 8.5 dB is 16 above the floor of SF7; two gateways
		if known {
			want += " 0d d1 3e 30 58 80" // 2026-11-24 11:59:59.5, 18 leap seconds
		}
		s.downs("gw-b +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 fopts " + want + " 15:one")
		told := 0
		for _, m := range s.ups {
			if strings.Contains(string(m.Payload), `"received_at"`) {
				told++
			}
		}
		if told != 0 && !known || told != len(s.ups) && known {
			t.Errorf("calendar known: %v; %d of %d messages tell a time", known, told, len(s.ups))
		}
	}
}

// A device of the registry that is removed takes nothing down with it.
func TestRemovedDevice(t *testing.T) {
	remove := func(s *stand) { s.c.opts.Devices.Remove(session.ID{Application: "app1", Device: "dev1"}) }
	t.Run("before the decision", func(t *testing.T) {
		s := newStand(t)
		s.answering(gwA)
		s.online(gwA)
		phy := s.phy("dev1", 0, confirmed("x"))
		s.hear(gwA, phy)
		remove(s)
		s.wait(50 * ms)
		s.hear(gwA, phy)
		s.event(event.UplinkDropped, event.DropDevAddr)
		s.gatewayEvent(gwA, radio.GatewayCounterReset)
		s.wait(10 * time.Second)
	})
	t.Run("in flight", func(t *testing.T) {
		s := oneDown(t, confirm)
		remove(s)
		s.gatewayEvent(gwA, radio.GatewayCounterReset)
		s.ack(radio.TxTooLate)
		s.wait(10 * time.Second)
		s.hear(gwA, s.phy("dev1", 1, payload("y")))
		s.event(event.UplinkDropped, event.DropDevAddr)
		s.push("dev1", item("two"))
		s.event(event.DownlinkFailed, 0)
	})
	t.Run("joining", func(t *testing.T) {
		s := newStand(t)
		s.answering(gwA)
		s.online(gwA)
		d := s.otaa("dev3", session.V1_0_3)
		s.slow = true
		s.hear(gwA, s.joinRequest(d, 1))
		s.c.opts.Devices.Remove(d.ID)
		s.stored()
		s.wait(10 * time.Second)
		s.downs()
	})
}
