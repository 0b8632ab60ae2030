package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// namesA has an item name gateway A.
func namesA(it *session.Item) { it.ClassBC.Gateways = []session.GatewayAntenna{{GatewayID: "gw-a"}} }

const inRX1 = " 868.3 MHz SF7BW125 "

var absoluteInWindows = []struct {
	name   string
	uplink frame.Data
	after  time.Duration // from the uplink to the item's time
	change func(*session.Item)
	want   []string
}{
	{"long before RX1", payload("u"), 2 * time.Second, nil, []string{"gw-a +2000 ms" + rxc + "#1 15:x"}},
	{
		"so, and an answer is due", confirmed("u"), 2 * time.Second, nil,
		[]string{"gw-a +2000 ms" + rxc + "#1 15:x", "gw-a +5000 ms" + inRX1 + "#2 ack"},
	},
	{"into RX1", payload("u"), 4950 * ms, nil, []string{"gw-a +5000 ms" + inRX1 + "#1 15:x"}},
	{"at RX1", payload("u"), 5 * time.Second, nil, []string{"gw-a +5000 ms" + inRX1 + "#1 15:x"}},
	{
		"at RX1, and an answer is due", confirmed("u"), 5 * time.Second, nil,
		[]string{"gw-a +5000 ms" + inRX1 + "#1 ack 15:x"},
	},
	{"between RX1 and RX2", payload("u"), 5500 * ms, nil, []string{"gw-a +5500 ms" + rxc + "#1 15:x"}},
	{
		"so, and an answer is due", confirmed("u"), 5500 * ms, nil,
		[]string{"gw-a +5000 ms" + inRX1 + "#1 ack pending", "gw-a +5500 ms" + rxc + "#2 15:x"},
	},
	{"at RX2", payload("u"), 6 * time.Second, nil, []string{"gw-a +6000 ms" + rxc + "#1 15:x"}},
	{
		"behind the windows", confirmed("u"), 7 * time.Second, nil,
		[]string{"gw-a +5000 ms" + inRX1 + "#1 ack pending", "gw-a +7000 ms" + rxc + "#2 15:x"},
	},
	{"by a gateway that it names", payload("u"), 5500 * ms, namesA, []string{"gw-a +5500 ms" + rxc + "#1 15:x"}},
	{
		"at RX1 by a gateway that it names", payload("u"), 5 * time.Second, namesA,
		[]string{"gw-a +5000 ms" + inRX1 + "#1 15:x"},
	},
}

// An item with a time that falls into the windows after an uplink is sent at that time
// where the device hears it then; where it does not, in the window that is in the way.
func TestClassCAbsoluteInWindows(t *testing.T) {
	for _, tt := range absoluteInWindows {
		for _, pushed := range []string{"before the uplink", "behind it"} {
			t.Run(tt.name+", pushed "+pushed, func(t *testing.T) {
				s := classC(t)
				at := s.now.Host.Add(time.Second)
				it := item("x", func(it *session.Item) {
					it.ClassBC = &session.ClassBC{AbsoluteTime: s.now.Wall.Time.Add(time.Second + tt.after)}
				})
				if tt.change != nil {
					tt.change(&it)
				}
				if pushed == "before the uplink" && tt.after > 2*time.Second {
					s.push("dev1", it)
				}
				s.wait(time.Second)
				s.hear(gwA, s.phy("dev1", 2, tt.uplink))
				if pushed != "before the uplink" || tt.after <= 2*time.Second {
					s.wait(100 * ms)
					s.push("dev1", it)
				}
				s.told = len(s.ups)
				s.serve(10 * time.Second)
				s.begins(at, tt.want...)
				s.said("down/sent")
			})
		}
	}
}

// The windows that have stepped aside are as good as before when the item is gone, or the
// device sends again.
func TestClassCWindowsStepAside(t *testing.T) {
	begin := func(t *testing.T) *stand {
		s := classC(t)
		s.hear(gwA, s.phy("dev1", 2, confirmed("u")))
		s.push("dev1", item("x", func(it *session.Item) {
			it.ClassBC = &session.ClassBC{AbsoluteTime: s.now.Wall.Time.Add(4 * time.Second)}
		}))
		return s
	}
	t.Run("replaced", func(t *testing.T) {
		s := begin(t)
		at := s.now.Host
		s.wait(time.Second)
		s.replace("dev1", item("y"))
		s.serve(10 * time.Second)
		s.begins(at, "gw-a +5000 ms 868.3 MHz SF7BW125 #1 ack 15:y")
	})
	t.Run("a later uplink", func(t *testing.T) {
		s := begin(t)
		at := s.now.Host
		s.wait(1500 * ms)
		s.hear(gwA, s.phy("dev1", 3, confirmed("v")))
		s.serve(10 * time.Second)
		s.begins(at, "gw-a +4000 ms"+rxc+"#1 15:x", "gw-a +6500 ms 868.3 MHz SF7BW125 #2 ack")
	})
	t.Run("the gateway's counter begins anew", func(t *testing.T) {
		s := begin(t)
		s.wait(time.Second)
		s.gatewayEvent(gwA, radio.GatewayCounterReset)
		s.serve(20 * time.Second)
		s.begins(s.now.Host)
		s.told = 0
	})
}

// What a silent gateway may have sent goes out once more with the same counter, so that the
// device does not take it twice, also where the device has sent something meanwhile.
func TestClassCSilentThenUplink(t *testing.T) {
	begin := func(t *testing.T) *stand {
		s := classC(t)
		s.push("dev1", item("x"))
		s.wait(2 * time.Second) // some tries that nobody answers
		s.read = len(s.sent)
		return s
	}
	t.Run("nothing is due", func(t *testing.T) {
		s := begin(t)
		at := s.now.Host
		s.hear(gwA, s.phy("dev1", 2, payload("u")))
		s.serve(20 * time.Second)
		if len(s.sent)-s.read != 1 {
			t.Fatalf("sent %+v", s.sent[s.read:])
		}
		if d := &s.sent[s.read]; string(d.PHYPayload) != string(s.sent[0].PHYPayload) {
			t.Errorf("other bytes: %s", d.text)
		} else if after := radio.HostTime(d.Time * 1000).Sub(at); after < 5*time.Second || after > 8*time.Second {
			t.Errorf("%v after the uplink", after)
		}
		s.told = len(s.ups) - 1
		s.said("down/sent")
	})
	t.Run("an answer is due", func(t *testing.T) { // its counter is above: the one before is not heard any more
		s := begin(t)
		at := s.now.Host
		s.hear(gwA, s.phy("dev1", 2, confirmed("u")))
		s.serve(20 * time.Second)
		s.begins(at, "gw-a +5000 ms 868.3 MHz SF7BW125 #2 ack 15:x")
	})
}

// A gateway has a frame two seconds ahead. An answer in a window before it would have a later
// counter, and the device would not take the frame any more: the answer takes a later window, or
// none.
func TestClassCIsNotOvertaken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  time.Duration // from the push to the uplink; the item is for 1.9 s behind the push
		uplink frame.Data
		want   []string
		unsent int
	}{
		{
			"RX2 comes behind it", 300 * ms, confirmed("u"),
			[]string{"gw-a +1900 ms" + rxc + "#1 15:x", "gw-a +2300 ms" + rxc + "#2 ack"}, 0,
		},
		{"no window comes behind it", 0, confirmed("u"), []string{"gw-a +1900 ms" + rxc + "#1 15:x"}, 1},
		{
			"RX1 comes behind it", 1300 * ms, confirmed("u"),
			[]string{"gw-a +1900 ms" + rxc + "#1 15:x", "gw-a +2300 ms" + inRX1 + "#2 ack"}, 0,
		},
		{"no answer is due", 300 * ms, payload("u"), []string{"gw-a +1900 ms" + rxc + "#1 15:x"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := classC(t)
			d := s.devices["dev1"]
			p := *d.Session.Parameters
			p.RX1Delay = 1
			d.Session.SetParameters(&p)
			settle(d)
			at := s.now.Host
			s.push("dev1", item("x", func(it *session.Item) {
				it.ClassBC = &session.ClassBC{AbsoluteTime: s.now.Wall.Time.Add(1900 * ms)}
			}))
			s.wait(tt.after)
			if len(s.sent) != 1 {
				t.Fatalf("%d frames were handed over", len(s.sent))
			}
			s.told, s.events = len(s.ups), nil
			s.hear(gwA, s.phy("dev1", 2, tt.uplink))
			s.serve(10 * time.Second)
			s.begins(at, tt.want...)
			s.said("up, down/sent")
			if got := s.count(event.DownlinkUnsent); got != tt.unsent {
				t.Errorf("told %d times that nothing was sent, want %d", got, tt.unsent)
			}
		})
	}
}
