package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const (
	rx1 = "+5s 868.3 MHz SF7BW125 14 dBm"
	rx2 = "+6s 869.525 MHz SF9BW125 27 dBm"
)

// oneDown is a stand with an item that was handed to gateway A for RX1.
func oneDown(t *testing.T, change ...func(*session.Item)) *stand {
	t.Helper()
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA, gwB)
	s.online(gwA)
	s.push("dev1", item("one", change...))
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wait(4850 * ms)
	s.told = len(s.ups)
	return s
}

// The device listens after its last uplink only, even where we cannot tell when.
func TestWindowsUnknown(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.wait(time.Second)
	s.hear(gwA, s.phy("dev1", 1, payload("y")), func(up *radio.Uplink) { up.DataRate = radio.LoRaDataRate(7, 500_000) })
	s.event(event.WindowsUnknown, 0)
	s.wait(10 * time.Second)
	s.downs()
}

// A confirmed item is acknowledged, or not and sent again behind the others.
func TestConfirmed(t *testing.T) {
	s := oneDown(t, confirm)
	s.push("dev1", item("two"))
	s.told = len(s.ups)
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, payload("no")))
	s.onDisk("dev1", "two", "one")
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 2, payload("x")))
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 3, acked("yes")))
	s.wait(10 * time.Second)
	s.downs(
		"gw-a "+rx1+", 150ms ahead: #1 confirmed 15:one", "gw-a "+rx1+", 150ms ahead: #2 pending 15:two",
		"gw-a "+rx1+", 150ms ahead: #3 confirmed 15:one",
	)
	s.tells("dev1 sent one #1", "dev1 nack one #1 attempt 2", "dev1 up 1", "dev1 sent two #2", "dev1 up 2",
		"dev1 sent one #3", "dev1 ack one #3", "dev1 up 3")
	s.onDisk("dev1")
	m := s.message(len(s.ups) - 2)
	if ids := fmt.Sprint(m.Ack.CorrelationIDs); !strings.Contains(ids, "my:one") || len(m.Ack.CorrelationIDs) != 2 ||
		len(m.CorrelationIDs) != 6 {
		t.Errorf("ids of the item %v, of the envelope %v", m.Ack.CorrelationIDs, m.CorrelationIDs)
	}
}

// The counts are those that were measured with The Things Stack.
func TestAttempts(t *testing.T) {
	tests := []struct {
		name   string
		change func(*session.Item)
		want   int
		last   []string
	}{
		{"default", func(*session.Item) {}, 8, []string{
			"dev1 failed one: max_retries_reached 8",
			"dev1 nack one #8 attempt 9", "dev1 up 8",
		}},
		{
			"max_attempts 2", func(it *session.Item) { it.MaxAttempts, it.Attempt = 2, 0 }, 3,
			[]string{"dev1 failed one: max_retries_reached 2", "dev1 nack one #3 attempt 3", "dev1 up 3"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := oneDown(t, confirm, tt.change)
			for n := 1; s.devices["dev1"].Queue.Len() > 0 || s.c.inFlight[s.devices["dev1"]] != nil ||
				s.devices["dev1"].Queue.Awaiting() != nil; n++ {
				s.wait(10 * time.Second)
				s.told = len(s.ups)
				s.hear(gwA, s.phy("dev1", uint32(n), payload("no")))
				s.wait(4850 * ms)
				if n > 20 {
					t.Fatal("for ever")
				}
			}
			s.tells(tt.last...)
			if len(s.sent) != tt.want {
				t.Errorf("sent %d times, want %d", len(s.sent), tt.want)
			}
			s.onDisk("dev1")
		})
	}
}

// A frame that the device repeats opens its windows again and is acknowledged
// again; it decides nothing, is not published, and does not help for ever.
func TestRepetition(t *testing.T) {
	s := oneDown(t, confirm)
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	s.read, s.told = len(s.sent), len(s.ups)
	phy := s.phy("dev1", 0, payload("x")) // the one before the item
	s.hear(gwA, phy)
	if it := s.devices["dev1"].Queue.Awaiting(); it == nil {
		t.Fatal("a repetition decides")
	}
	s.wait(10 * time.Second)
	s.downs()
	confirmed := s.phy("dev1", 1, frame.Data{MType: frame.ConfirmedUp, ACK: true})
	for range 20 {
		s.hear(gwA, confirmed)
		s.wait(10 * time.Second)
	}
	s.tells("dev1 ack one #1", "dev1 up 1")
	if n := len(s.sent) - s.read; n != 16 {
		t.Errorf("acknowledged %d times, want once and 15 times again", n)
	}
	s.event(event.UplinkDropped, event.DropReplay)
	if last, want := s.sent[len(s.sent)-1].text, "gw-a "+rx1+", 150ms ahead: #17 ack"; last != want {
		t.Errorf("last %s, want %s", last, want)
	}
}

// A repetition in the windows of the frame itself ends them.
func TestRepetitionInTheWindow(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy)
	s.wait(time.Second)
	s.hear(gwA, phy)
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
	s.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
}

// The frame before the last one, heard again at once, is a replay: it does not
// end the windows of the last one.
func TestReplayInTheWindow(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy)
	s.wait(300 * ms)
	s.hear(gwA, s.phy("dev1", 1, confirmed("y")))
	s.wait(300 * ms)
	last := s.last
	s.last = map[string]radio.ConcentratorTime{}
	s.hear(gwA, phy)
	s.event(event.UplinkDropped, event.DropReplay)
	s.last = last
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
}

// A frame that comes before the windows of the one before are over, by a device
// in a hurry or a replay: what the gateway has already is awaited before the
// next item goes, and is not tried by another way.
func TestTwoInFlight(t *testing.T) {
	begin := func(t *testing.T) *stand {
		t.Helper()
		s := newStand(t)
		s.answering(gwA, gwB)
		s.online(gwA, gwB)
		s.push("dev2", item("one", confirm), item("two"))
		phy := s.phy("dev2", 0, payload("x"))
		s.hear(gwA, phy, at(-50))
		s.hear(gwB, phy, func(up *radio.Uplink) { up.Receptions[0].NoDownlink = true })
		s.wait(850 * ms)
		s.ack(radio.TxCollisionPacket)
		s.wait(50 * ms)
		s.hear(gwA, phy)
		s.hear(gwB, phy)
		s.told = len(s.ups)
		s.downs(
			"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 pending confirmed 15:one",
			"gw-a +2s 869.525 MHz SF12BW125 27 dBm, 1.15s ahead: #1 pending confirmed 15:one",
		)
		return s
	}
	t.Run("sent", func(t *testing.T) {
		s := begin(t)
		s.wait(10 * time.Second)
		s.tells("dev2 sent one #1")
		s.hear(gwA, s.phy("dev2", 1, acked("y")))
		s.wait(10 * time.Second)
		s.tells("dev2 ack one #1", "dev2 up 1", "dev2 sent two #2")
		s.onDisk("dev2")
	})
	t.Run("refused", func(t *testing.T) {
		s := begin(t)
		s.ack(radio.TxTooLate)
		s.tells("dev2 failed one: transmission TOO_LATE")
		s.wait(10 * time.Second)
		s.downs("gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 15:two")
	})
	t.Run("no path", func(t *testing.T) {
		s := begin(t)
		s.ack(radio.TxNoPath)
		s.tells()
		s.wait(10 * time.Second)
		s.downs("gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 pending confirmed 15:one")
	})
	t.Run("replaced", func(t *testing.T) {
		s := begin(t)
		s.replace("dev2", item("three"))
		s.onDisk("dev2", "three")
		s.wait(850 * ms)
		s.ackOf(&s.sent[1], radio.TxOK)
		s.wait(10 * time.Second)
		s.tells("dev2 queued three", "dev2 sent one #1", "dev2 sent three #2")
		s.onDisk("dev2")
	})
}
