package core

import (
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/schedule"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const ms = time.Millisecond

var acknowledgements = []struct {
	name   string
	change func(*stand)
	up     []func(*radio.Uplink)
	want   string
}{
	{"ABP", nil, nil, "gw-a +1s 868.3 MHz SF7BW125 14 dBm, 800ms ahead: #1 ack"},
	{"of a join", func(s *stand) { s.late("dev1") }, nil, "gw-a +5s 868.3 MHz SF7BW125 14 dBm, 800ms ahead: #1 ack"},
	{
		"RX1 data rate offset", func(s *stand) { d := s.late("dev1"); d.Session.Parameters.RX1DROffset = 2; settle(d) }, nil,
		"gw-a +5s 868.3 MHz SF9BW125 14 dBm, 800ms ahead: #1 ack",
	},
	{
		"mac_settings.rx1_delay", func(s *stand) {
			n := uint8(3)
			d := s.devices["dev1"]
			d.Settings.RX1Delay = &n
			settle(d)
		}, nil,
		"gw-a +3s 868.3 MHz SF7BW125 14 dBm, 800ms ahead: #1 ack",
	},
	{
		"antenna gain", func(s *stand) { s.gateway(gwA).AntennaGain = 250 }, nil,
		"gw-a +1s 868.3 MHz SF7BW125 11.5 dBm, 800ms ahead: #1 ack",
	},
	{
		"another channel and data rate", nil,
		[]func(*radio.Uplink){with(10), func(up *radio.Uplink) { up.Frequency = 867_100_000 }},
		"gw-a +1s 867.1 MHz SF10BW125 14 dBm, 800ms ahead: #1 ack",
	},
	{
		"the gateway answers", func(s *stand) { s.answering(gwA) }, nil,
		"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack",
	},
	{
		"the gateway answers over a network", func(s *stand) { s.gateway(gwA).Answered(80 * ms) }, nil,
		"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 340ms ahead: #1 ack",
	},
	{"late", nil, []func(*radio.Uplink){delayed(400 * ms)}, "gw-a +2s 869.525 MHz SF12BW125 27 dBm, 800ms ahead: #1 ack"},
}

// A confirmed uplink is acknowledged in RX1, on its own frequency and data
// rate, 1 s after its end with ABP, with what the sub-band allows.
func TestAcknowledgement(t *testing.T) {
	for _, tt := range acknowledgements {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			if tt.change != nil {
				tt.change(s)
			}
			s.online(gwA)
			s.hear(gwA, s.phy("dev1", 0, confirmed("x")), tt.up...)
			s.wait(10 * time.Second)
			s.downs(tt.want)
			s.tells("dev1 up 0")
			if e := s.event(event.DownlinkSent, 0); e.FCnt != 1 {
				t.Errorf("event %+v", e)
			}
			if len(s.c.attempts) != 0 || len(s.c.inFlight) != 0 || len(s.c.opportunities) != 0 || s.c.agenda.Len() != 0 {
				t.Errorf("left over: %d attempts, %d opportunities, %d entries", len(s.c.attempts), len(s.c.opportunities),
					s.c.agenda.Len())
			}
		})
	}
}

// What is decided, and when, before a window, by the kind of gateway.
func TestDecisionPoint(t *testing.T) {
	tests := []struct {
		name   string
		change func(*stand)
		lead   time.Duration
	}{
		{"never answered", func(*stand) {}, 800 * ms},
		{"local", func(s *stand) { s.answering(gwA) }, 150 * ms},
		{"network", func(s *stand) { s.gateway(gwA).Answered(100 * ms) }, 350 * ms},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			tt.change(s)
			s.late("dev1")
			s.online(gwA)
			s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
			s.wait(5*time.Second - tt.lead - 1)
			s.downs()
			s.push("dev1", item("in time"))
			s.wait(1)
			s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, " + tt.lead.String() + " ahead: #1 ack 15:in time")
			s.push("dev1", item("too late"))
			s.wait(10 * time.Second)
			s.downs()
		})
	}
}

// An answer to the up that an application has just seen goes out in the same
// window, in the same frame as what is owed.
func TestAnswerRides(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
	s.wait(2 * time.Second)
	s.push("dev1", item("one", prio(radio.PriorityLow)), item("two"))
	s.wait(2850 * ms)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack pending 15:one")
	s.ack(radio.TxOK)
	s.tells("dev1 up 0", "dev1 queued one", "dev1 queued two", "dev1 sent one #1")
	if m := s.message(3); m.Sent.Priority != "HIGHEST" { // the frame's
		t.Errorf("priority %s", m.Sent.Priority)
	}
	s.wait(10 * time.Second)
	s.hear(gwA, s.phy("dev1", 1, payload("y")))
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 15:two")
	s.hear(gwA, s.phy("dev1", 2, payload("z")))
	s.wait(10 * time.Second)
	s.downs()
	s.tells("dev1 up 1", "dev1 sent two #2", "dev1 up 2")
	s.onDisk("dev1")
}

// A push between the decision points of RX1 and RX2 goes out in RX2.
func TestPushBetweenTheWindows(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wait(4900 * ms)
	s.push("dev1", item("one"))
	s.wait(949 * ms)
	s.downs()
	s.push("dev1", item("two"))
	s.wait(ms)
	s.downs("gw-a +6s 869.525 MHz SF9BW125 27 dBm, 150ms ahead: #1 pending 15:one")
	s.ack(radio.TxOK)
	s.tells("dev1 up 0", "dev1 queued one", "dev1 queued two", "dev1 sent one #1")
}

// An uplink that comes late is decided on at once; what is too late for RX1
// goes in RX2, and what is too late for that waits.
func TestLateUplink(t *testing.T) {
	tests := []struct {
		name  string
		late  time.Duration
		want  []string
		event event.Kind
	}{
		{
			"in time for RX1", 4900 * ms,
			[]string{"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 100ms ahead: #2 ack 15:one"},
			event.DownlinkSent,
		},
		{
			"in time for RX2", 4950 * ms,
			[]string{"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.05s ahead: #2 ack 15:one"},
			event.DownlinkSent,
		},
		{
			"at the last moment", 5925 * ms,
			[]string{"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 75ms ahead: #2 ack 15:one"},
			event.DownlinkSent,
		},
		{"too late", 5926 * ms, nil, event.DownlinkUnsent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.answering(gwA)
			s.online(gwA)
			s.hear(gwA, s.phy("dev1", 0, confirmed("x"))) // reserves counters
			s.wait(10 * time.Second)
			s.push("dev1", item("one"))
			s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack")
			s.events = nil
			s.hear(gwA, s.phy("dev1", 1, confirmed("y")), delayed(tt.late))
			s.downs(tt.want...)
			s.wait(10 * time.Second)
			if n := s.count(tt.event); n != 1 {
				t.Errorf("%d events %q: %+v", n, tt.event, s.events)
			}
			s.downs()
			if tt.want == nil && s.devices["dev1"].Queue.Len() != 1 {
				t.Error("the item is gone")
			}
		})
	}
}

// Two devices want one gateway at the same time: the first one has RX1, or the
// more important one.
func TestConflict(t *testing.T) {
	tests := []struct {
		name          string
		first, second session.Item
		owed          bool // the second one
		want          []string
	}{
		{"the first one", item("one"), item("two"), false, []string{
			"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 15:one",
			"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:two",
		}},
		{"the more important one", item("one"), item("two", prio(radio.PriorityLow)), false, []string{
			"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:one",
			"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 15:two",
		}},
		{"the one that owes", item("one", prio(radio.PriorityHighest)), item("two"), true, []string{
			"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:one",
			"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack 15:two",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.late("dev2")
			s.answering(gwA)
			s.online(gwA)
			s.push("dev1", tt.first)
			s.push("dev2", tt.second)
			s.hear(gwA, s.phy("dev1", 0, payload("x")))
			s.wait(10 * ms)
			second := payload("y")
			if tt.owed {
				second = confirmed("y")
			}
			s.hear(gwA, s.phy("dev2", 0, second))
			s.wait(10 * time.Second)
			s.downs(tt.want...)
		})
	}
}

// Three devices at once: the third finds both windows taken.
func TestConflictInBothWindows(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	s.devices["unserved"].Plan = "EU_863_870_TTN"
	for i, name := range []string{"dev1", "dev2", "unserved"} {
		s.late(name)
		s.push(name, item(name, prio(radio.PriorityHigh-radio.Priority(i))))
		s.hear(gwA, s.phy(name, 0, payload("x")))
		s.wait(10 * ms)
	}
	s.wait(10 * time.Second)
	s.downs(
		"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 15:dev1",
		"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:dev2",
	)
	if n := s.count(event.DownlinkUnsent); n != 1 {
		t.Fatalf("%d events: %+v", n, s.events)
	}
	for _, e := range s.events {
		if e.Kind != event.DownlinkUnsent {
			continue
		}
		for _, o := range e.Decision.Options {
			if o.Verdict.Reason != schedule.Conflict && o.Verdict.Reason != schedule.TooLate {
				t.Errorf("option %+v", o)
			}
		}
		if text := e.Decision.Text(); !strings.Contains(text, "RX2 869.525 MHz SF9BW125 at +6s") ||
			!strings.HasSuffix(text, "nothing was sent") {
			t.Error(text)
		}
	}
	s.hear(gwA, s.phy("unserved", 1, payload("y"))) // the next window
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 15:unserved")
}

// The longest FRMPayload in RX1 at SF12 and in RX2 at SF9, in bytes.
const dr0, dr3 = 51, 115

// long is an item of n bytes.
func long(n int) session.Item { return item(strings.Repeat("l", n)) }

var sizeCases = []struct {
	name string
	sf   uint8 // of the uplink
	push []session.Item
	d    frame.Data
	want []string
	told []string
}{
	{
		"fits RX1", 12,
		[]session.Item{long(dr0)},
		payload("x"),
		[]string{"gw-a +5s 868.3 MHz SF12BW125 14 dBm, 150ms ahead: #1 15:llllllllllllllll"},
		[]string{"dev1 up 0", "dev1 sent llllllllllllllll #1"},
	},
	{
		"too long for RX1", 12,
		[]session.Item{long(dr0 + 1)},
		payload("x"),
		[]string{"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:llllllllllllllll"},
		[]string{
			"dev1 up 0",
			"dev1 sent llllllllllllllll #1",
		},
	},
	{
		"too long for RX1, with an acknowledgement", 12,
		[]session.Item{long(dr0 + 1)},
		confirmed("x"),
		[]string{"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 ack 15:llllllllllllllll"},
		[]string{"dev1 up 0", "dev1 sent llllllllllllllll #1"},
	},
	{
		"too long for both", 12,
		[]session.Item{long(dr3 + 1), long(dr3 + 2), item("next")},
		payload("x"),
		[]string{"gw-a +5s 868.3 MHz SF12BW125 14 dBm, 150ms ahead: #1 15:next"},
		[]string{
			"dev1 up 0", "dev1 failed llllllllllllllll: application_downlink_too_long 116 115",
			"dev1 failed llllllllllllllll: application_downlink_too_long 117 115", "dev1 sent next #1",
		},
	},
	{
		"too long for both, nothing else", 12,
		[]session.Item{long(dr3 + 1)},
		payload("x"), nil,
		[]string{"dev1 up 0", "dev1 failed llllllllllllllll: application_downlink_too_long 116 115"},
	},
	{
		"too long for both, something owed", 12,
		[]session.Item{long(dr3 + 1)},
		confirmed("x"),
		[]string{"gw-a +5s 868.3 MHz SF12BW125 14 dBm, 150ms ahead: #1 ack"},
		[]string{"dev1 up 0", "dev1 failed llllllllllllllll: application_downlink_too_long 116 115"},
	},
	{
		"MAC answers take the room", 9,
		[]session.Item{long(dr3)},
		frame.Data{FOpts: []byte{2}},
		[]string{"gw-a +5s 868.3 MHz SF9BW125 14 dBm, 150ms ahead: #1 pending fopts 02 15 01"},
		[]string{"dev1 up 0"},
	},
}

// An item that is too long for the data rate of one window goes out in the other, or fails.
func TestSizes(t *testing.T) {
	for _, tt := range sizeCases {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.late("dev1")
			s.answering(gwA)
			s.online(gwA)
			s.push("dev1", tt.push...)
			s.told = len(s.ups)
			s.hear(gwA, s.phy("dev1", 0, tt.d), with(tt.sf))
			s.wait(10 * time.Second)
			s.downs(tt.want...)
			s.tells(tt.told...)
			left := 0
			if strings.HasPrefix(tt.name, "MAC") {
				left = 1
			}
			if n := s.devices["dev1"].Queue.Len(); n != left {
				t.Errorf("%d items are left", n)
			}
		})
	}
}

// A place is held in a window that can carry what it is held for.
func TestHoldsWhereItFits(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.late("dev2")
	s.answering(gwA)
	s.online(gwA)
	s.push("dev1", item(strings.Repeat("l", 100)))
	s.hear(gwA, s.phy("dev2", 0, payload("y")))
	s.wait(10 * ms)
	s.hear(gwA, s.phy("dev1", 0, payload("x")), with(12)) // RX2
	s.push("dev2", item("two"))                           // RX1
	s.wait(10 * time.Second)
	s.downs(
		"gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 15:two",
		"gw-a +6s 869.525 MHz SF9BW125 27 dBm, 1.15s ahead: #1 15:llllllllllllllll",
	)
}

// FPending tells that more waits, whether it could go in this frame or not.
func TestFPending(t *testing.T) {
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA)
	s.online(gwA)
	s.push("dev1", item("one", confirm), item("two", confirm))
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy)
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack pending confirmed 15:one")
	s.hear(gwA, phy) // once more: "two" has to wait until "one" is decided
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 ack pending")
	s.hear(gwA, s.phy("dev1", 1, acked("y")))
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #3 confirmed 15:two")
}
