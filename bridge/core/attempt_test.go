package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/radio"
)

// What a gateway refuses for RX1 goes in RX2, the same bytes, and nobody is
// told; what it refuses there too has failed, and is gone.
func TestRefused(t *testing.T) {
	for r := radio.TxTooLate; r <= radio.TxUnknownError; r++ {
		t.Run(r.String(), func(t *testing.T) {
			s := oneDown(t)
			for p := range radio.Decibel(64) { // no lower power is left to try: see TestRefusedPower
				s.gateway(gwA).RefusesPower(p * 100)
			}
			s.wait(3 * ms)
			s.ack(r)
			s.downs("gw-a "+rx1+", 150ms ahead: #1 15:one", "gw-a "+rx2+", 1.147s ahead: #1 15:one")
			s.tells()
			s.ackOf(&s.sent[0], radio.TxOK) // of what is over: it says nothing
			s.tells()
			s.ack(r)
			s.tells("dev1 failed one: transmission " + r.String())
			s.onDisk("dev1")
			e := s.event(event.DownlinkUnsent, 0)
			if text := e.Decision.Text(); strings.Count(text, "refused it: "+r.String()) != 2 {
				t.Error(text)
			}
			if st := s.c.Stats(); st.Sent != [2]uint64{} || st.Refused[0][r] != 1 || st.Refused[1][r] != 1 || st.Unsent != 1 ||
				st.InFlight != 0 {
				t.Errorf("counts %+v", st)
			}
			s.wait(10 * time.Second)
			s.hear(gwA, s.phy("dev1", 1, confirmed("y")))
			s.wait(10 * time.Second)
			s.downs("gw-a " + rx1 + ", 150ms ahead: #2 ack")
		})
	}
}

func TestRefusedThenSent(t *testing.T) {
	s := oneDown(t)
	s.ack(radio.TxCollisionPacket)
	s.ack(radio.TxOK)
	s.tells("dev1 sent one #1")
	s.onDisk("dev1")
	// RX2 is taken.
	s = newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.answering(gwA)
	s.online(gwA)
	s.push("dev1", item("one"))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.hear(gwA, s.phy("dev2", 0, confirmed("y")))
	s.wait(4850 * ms)
	s.told = len(s.ups)
	s.downs("gw-a "+rx2+", 1.15s ahead: #1 15:one", "gw-a "+rx1+", 150ms ahead: #1 ack")
	s.ack(radio.TxTooEarly)
	s.ackOf(&s.sent[0], radio.TxOK)
	s.tells("dev1 sent one #1")
	s.wait(10 * time.Second)
	s.downs()
}

// A missing TX_ACK is not a refusal: the frame is taken for sent when it would
// be over.
func TestNoAck(t *testing.T) {
	for name, ack := range map[string]bool{"nothing": false, "the driver's time-out": true} {
		t.Run(name, func(t *testing.T) {
			s := oneDown(t)
			s.wait(150 * ms)
			if ack {
				s.ack(radio.TxNoAck)
			}
			s.wait(200 * ms)
			s.tells()
			s.wait(100 * ms)
			s.tells("dev1 sent one #1")
			s.ack(radio.TxTooLate) // late: nothing any more
			s.wait(10 * time.Second)
			s.tells()
			s.downs("gw-a " + rx1 + ", 150ms ahead: #1 15:one")
			s.onDisk("dev1")
		})
	}
}

// A forwarder that has never answered may have no queue: it gets a frame
// 800 ms ahead and no sooner, and is taken to have sent it.
func TestNeverAnswers(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.online(gwA)
	s.push("dev1", item("one"))
	s.push("dev2", item("two"))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.hear(gwA, s.phy("dev2", 0, payload("y"))) // RX1 is taken
	s.told = len(s.ups)
	s.wait(4200 * ms)
	s.downs("gw-a " + rx1 + ", 800ms ahead: #1 15:one")
	s.wait(999 * ms)
	s.downs()
	s.wait(ms)
	s.downs("gw-a " + rx2 + ", 800ms ahead: #1 15:two")
	s.tells()
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1", "dev2 sent two #1")
	if s.gateway(gwA).Answers {
		t.Error("the gateway has answered")
	}
}

// What no driver takes never left this host: the next gateway gets it, or it
// goes back to the head of the queue and is sent with another counter.
func TestNoPath(t *testing.T) {
	s := oneDown(t)
	s.push("dev1", item("two"))
	s.told = len(s.ups)
	s.ack(radio.TxNoPath)
	s.downs("gw-a "+rx1+", 150ms ahead: #1 15:one", "gw-a "+rx2+", 1.15s ahead: #1 15:one")
	s.ack(radio.TxNoPath)
	s.tells()
	s.event(event.DownlinkUnsent, 0)
	s.onDisk("dev1", "one", "two")
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, payload("y")))
	s.wait(4850 * ms)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #2 pending 15:one")
	s.ack(radio.TxOK)
	s.tells("dev1 up 1", "dev1 sent one #2")
	s.onDisk("dev1", "two")
}

// The best gateway by signal is tried first, then the others, in RX1 and then
// in RX2.
func TestSeveralPaths(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA, gwB, gwC)
	s.online(gwA, gwB, gwC)
	s.push("dev1", item("one"))
	phy := s.phy("dev1", 0, payload("x"))
	s.hear(gwA, phy, at(-100))
	s.hear(gwB, phy, at(-70))
	s.hear(gwC, phy, at(-60), func(up *radio.Uplink) { up.Receptions[0].NoDownlink = true })
	s.wait(4850 * ms)
	for range 3 {
		s.ack(radio.TxCollisionPacket)
	}
	s.downs(
		"gw-b "+rx1+", 150ms ahead: #1 15:one", "gw-a "+rx1+", 150ms ahead: #1 15:one",
		"gw-b "+rx2+", 1.15s ahead: #1 15:one", "gw-a "+rx2+", 1.15s ahead: #1 15:one",
	)
	s.ack(radio.TxOK)
	s.tells("dev1 queued one", "dev1 up 0", "dev1 sent one #1")
}

// A copy that comes after 200 ms is not published, and may be the best way back.
func TestLateCopyIsAPath(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy, at(-110))
	s.wait(700 * ms)
	s.hear(gwB, phy, at(-50), delayed(700*ms))
	s.wait(10 * time.Second)
	s.downs("gw-b " + rx1 + ", 150ms ahead: #1 ack")
	s.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
}

// A gateway that is gone, or whose counter has begun anew, cannot answer what
// it has heard before.
func TestGatewayIsGone(t *testing.T) {
	gone := map[string]radio.GatewayEventKind{
		"disconnected":  radio.GatewayDisconnected,
		"counter reset": radio.GatewayCounterReset,
	}
	for name, kind := range gone {
		t.Run(name+" before the decision", func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.answering(gwA, gwB)
			s.online(gwA, gwB)
			phy := s.phy("dev1", 0, confirmed("x"))
			s.hear(gwA, phy, at(-50))
			s.hear(gwB, phy, at(-90))
			s.wait(time.Second)
			s.gatewayEvent(gwA, kind)
			s.wait(10 * time.Second)
			s.downs("gw-b " + rx1 + ", 150ms ahead: #1 ack")
		})
		t.Run(name+" of the only one", func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.answering(gwA)
			s.online(gwA)
			s.push("dev1", item("one"))
			s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
			s.wait(time.Second)
			s.gatewayEvent(gwA, kind)
			s.wait(10 * time.Second)
			s.downs()
			if n := s.count(event.DownlinkUnsent); n != 1 {
				t.Errorf("%d events that nothing was sent: %+v", n, s.events)
			}
			if len(s.c.opportunities) != 0 || s.devices["dev1"].Queue.Len() != 1 {
				t.Errorf("%d opportunities, %d items", len(s.c.opportunities), s.devices["dev1"].Queue.Len())
			}
			s.online(gwA)
			s.hear(gwA, s.phy("dev1", 1, payload("y")))
			s.wait(10 * time.Second)
			s.downs("gw-a " + rx1 + ", 150ms ahead: #1 15:one")
		})
	}
}

func TestCounterResetWhileDownlinkWaits(t *testing.T) {
	s := oneDown(t)
	s.gatewayEvent(gwA, radio.GatewayCounterReset)
	s.tells()
	s.onDisk("dev1", "one")
	s.ackOf(&s.sent[0], radio.TxOK) // who knows
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, payload("y")))
	s.wait(10 * time.Second)
	s.downs("gw-a "+rx1+", 150ms ahead: #1 15:one", "gw-a "+rx1+", 150ms ahead: #2 15:one")
	s.tells("dev1 up 1", "dev1 sent one #2")
}

func TestCounterResetBeforeHandover(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.online(gwA)
	s.push("dev2", item("two"))
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.hear(gwA, s.phy("dev2", 0, payload("y")))
	s.wait(4300 * ms) // dev2's is planned for RX2
	s.gatewayEvent(gwA, radio.GatewayCounterReset)
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 800ms ahead: #1 ack")
	s.onDisk("dev2", "two")
}

func TestCounterResetOnTheAir(t *testing.T) {
	s := oneDown(t)
	s.wait(160 * ms)
	s.gatewayEvent(gwA, radio.GatewayCounterReset)
	s.wait(10 * time.Second)
	s.tells("dev1 sent one #1")
}

// An uplink that no gateway can answer: an owner hears of it.
func TestNoPathBack(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	noDownlink := func(up *radio.Uplink) { up.Receptions[0].NoDownlink = true }
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")), noDownlink)
	s.wait(10 * time.Second)
	s.downs()
	if e := s.event(event.DownlinkUnsent, 0); !strings.HasSuffix(e.Decision.Text(), "nothing was sent") {
		t.Error(e.Decision.Text())
	}
	s.events = nil
	s.hear(gwA, s.phy("dev1", 1, payload("y")), noDownlink)
	s.push("dev1", item("one"))
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 2, payload("z")))
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 15:one")
	if len(s.c.opportunities) != 0 {
		t.Error("an opportunity stays open")
	}
}
