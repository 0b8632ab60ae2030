package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// A frame that a gateway refuses is tried again with the same counter, but not behind a frame with a
// later one: the device takes that for a replay. Here an item is sent behind the acknowledgement in
// RX1, which is then refused, while RX2 is to come behind the item.
func TestRefusedBehindALaterCounter(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version session.Version
		want    []string
	}{
		{
			"one counter", session.V1_0_3,
			[]string{"gw-a +5000 ms" + inRX1 + "#1 ack", "gw-a +5141 ms" + rxc + "#2 15:x"},
		},
		{
			"the item has another counter", session.V1_1,
			[]string{
				"gw-a +5000 ms" + inRX1 + "#1 ack", "gw-a +5141 ms" + rxc + "#1 15:x", "gw-a +6000 ms" + rxc + "#1 ack",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			d := s.late("dev1")
			d.ClassC, d.Version = true, tt.version
			settle(d).Session.SetMAC(d.Session.MAC.With(func(m *macstate.State) { m.ClassC = true }))
			s.online(gwA)
			s.answering(gwA)
			s.heardC(1)
			s.wait(time.Minute)
			s.told, s.events, s.read = len(s.ups), nil, len(s.sent)
			at, first := s.now.Host, len(s.sent)
			s.hear(gwA, s.phy("dev1", 2, confirmed("u")))
			s.wait(4860 * ms)
			if len(s.sent) != first+1 {
				t.Fatalf("%d frames were handed over", len(s.sent)-first)
			}
			s.push("dev1", item("x"))
			s.wait(10 * ms)
			s.ackOf(&s.sent[first], radio.TxCollisionPacket)
			s.serve(10 * time.Second)
			s.begins(at, tt.want...)
			s.said("up, down/queued, down/sent")
			want := 0
			if len(tt.want) == 2 {
				want = 1
			}
			if got := s.count(event.DownlinkUnsent); got != want {
				t.Errorf("told %d times that nothing was sent, want %d", got, want)
			}
		})
	}
}

// So it is where the item is refused, and the answer to an uplink has a later counter meanwhile: the
// item gets a counter behind that one.
func TestItemRefusedBehindAnAnswer(t *testing.T) {
	s := newStand(t)
	d := s.late("dev1")
	d.ClassC, d.Session.Parameters.RX1Delay = true, 1
	settle(d).Session.SetMAC(d.Session.MAC.With(func(m *macstate.State) { m.ClassC = true }))
	s.online(gwA, gwB)
	s.answering(gwA, gwB)
	phy := s.phy("dev1", 1, payload("up"))
	s.hear(gwA, phy)
	s.hear(gwB, phy, at(-90))
	s.wait(time.Minute)
	begin := s.now.Host
	confirmedItem := item("one", func(it *session.Item) { it.Confirmed = true })
	s.push("dev1", confirmedItem, item("two"))
	s.ack(radio.TxOK) // two has to wait until the device can have acknowledged one
	s.wait(560 * ms)
	if len(s.sent) != 2 {
		t.Fatalf("%d frames were handed over", len(s.sent))
	}
	s.hear(gwA, s.phy("dev1", 2, confirmed("u")))
	s.wait(900 * ms)
	s.ackOf(&s.sent[1], radio.TxCollisionPacket)
	s.told = len(s.ups)
	s.serve(10 * time.Second)
	s.begins(begin, "gw-a +153 ms"+rxc+"#1 confirmed 15:one", "gw-a +2317 ms"+rxc+"#2 15:two",
		"gw-a +2560 ms"+rxc+"#3 ack pending", "gw-a +2804 ms"+rxc+"#4 15:two", "gw-a +3069 ms"+rxc+"#5 confirmed 15:one")
	s.said("down/sent, down/sent")
}
