package core

import (
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// twoGateways is a stand with gateways whose clocks are known, and a device
// that opens RX1 5 s after its frames.
func twoGateways(t *testing.T) *stand {
	t.Helper()
	s := newStand(t)
	s.late("dev1")
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	other := s.phy("dev2", 0, payload("of another device"))
	s.hear(gwA, other)
	s.hear(gwB, other)
	s.wait(time.Minute)
	s.ups, s.events = nil, nil
	return s
}

// blind is a gateway whose clock is not known: a frame that comes late seems to
// have ended just now.
func blind(up *radio.Uplink) { up.Ended = up.Received }

// gps tells when a frame ended by GPS, as long before now as it comes late.
func gps(late time.Duration) func(*radio.Uplink) {
	return func(up *radio.Uplink) {
		up.GPS = radio.GPSTime(time.Hour) + radio.GPSTime(up.Received) - radio.GPSTime(late)
	}
}

// lateOne is the downlink by the first gateway, at its usual time.
const lateOne = "gw-a " + rx1 + ", 150ms ahead: #1 ack pending 15:one"

var lateCopies = []struct {
	name   string
	rx1    uint8 // s
	late   time.Duration
	signal radio.Decibel // of the second gateway; the first one has -100 dBm
	change []func(*radio.Uplink)
	refuse bool // the first gateway refuses what it gets
	want   []string
	drop   bool // with an event
	slow   bool // the second gateway has no queue of its own
}{
	{name: "0.3 s, worse", rx1: 5, late: 300 * ms, signal: -110, want: []string{lateOne}},
	{
		name: "0.3 s, better", rx1: 5, late: 300 * ms, signal: -90,
		want: []string{"gw-b " + rx1 + ", 150ms ahead: #1 ack pending 15:one"},
	},
	{name: "1.6 s, worse", rx1: 5, late: 1600 * ms, signal: -110, want: []string{lateOne}},
	{
		name: "1.6 s, better", rx1: 5, late: 1600 * ms, signal: -60,
		want: []string{"gw-b " + rx1 + ", 150ms ahead: #1 ack pending 15:one"},
	},
	{name: "4.8 s, worse", rx1: 5, late: 4800 * ms, signal: -101, want: []string{lateOne}},
	{
		name: "4.8 s, better", rx1: 5, late: 4800 * ms, signal: -60,
		want: []string{"gw-b " + rx1 + ", 150ms ahead: #1 ack pending 15:one"},
	},
	{
		name: "4.8 s, its clock is not known", rx1: 5, late: 4800 * ms, signal: -110, change: []func(*radio.Uplink){blind},
		want: []string{lateOne},
	},
	{
		name: "4.8 s, better, with too little lead", rx1: 5, late: 4800 * ms, signal: -60, slow: true,
		want: []string{lateOne},
	},
	{name: "when RX1 is decided", rx1: 5, late: 4900 * ms, signal: -60, want: []string{lateOne}},
	{
		name: "when RX1 is decided, and refused", rx1: 5, late: 4900 * ms, signal: -110, refuse: true,
		want: []string{lateOne, "gw-b " + rx1 + ", 100ms ahead: #1 ack pending 15:one"},
	},
	{
		name: "when RX1 is past, and was refused", rx1: 5, late: 5100 * ms, signal: -110, refuse: true,
		want: []string{
			lateOne, "gw-a " + rx2 + ", 900ms ahead: #1 ack pending 15:one",
			"gw-b " + rx2 + ", 900ms ahead: #1 ack pending 15:one",
		},
	},
	{name: "in RX2", rx1: 5, late: 5990 * ms, signal: -60, want: []string{lateOne}},
	{
		name: "its clock is not known, in RX2", rx1: 5, late: 6 * time.Second, signal: -60,
		change: []func(*radio.Uplink){blind}, want: []string{lateOne},
	},
	{name: "when both windows are over", rx1: 5, late: 8 * time.Second, signal: -60, want: []string{lateOne}},
	{
		name: "when both windows are over, by GPS", rx1: 5, late: 8 * time.Second, signal: -60,
		change: []func(*radio.Uplink){blind, gps(8 * time.Second)}, want: []string{lateOne},
	},
	{name: "15.9 s", rx1: 5, late: 15900 * ms, signal: -60, want: []string{lateOne}},
	{name: "a minute", rx1: 5, late: time.Minute, signal: -60, want: []string{lateOne}, drop: true},
	{
		name: "RX1 after 1 s", rx1: 1, late: 1600 * ms, signal: -60,
		want: []string{"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack pending 15:one"},
	},
	{
		name: "RX1 after 1 s, late", rx1: 1, late: 4900 * ms, signal: -60,
		want: []string{"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack pending 15:one"},
	},
	{
		name: "RX1 after 15 s", rx1: 15, late: 12 * time.Second, signal: -60,
		want: []string{"gw-b +15s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #1 ack pending 15:one"},
	},
}

// A copy by a second gateway is one more way for the windows that the first one
// has opened, however late it comes, and never opens windows of its own.
func TestLateCopy(t *testing.T) {
	for _, tt := range lateCopies {
		t.Run(tt.name, func(t *testing.T) {
			s := twoGateways(t)
			s.devices["dev1"].Session.Parameters.RX1Delay = tt.rx1
			settle(s.devices["dev1"])
			s.push("dev1", item("one"), item("next"))
			s.ups, s.events = nil, nil
			if tt.slow {
				s.gateway(gwB).Answers = false
			}
			phy := s.phy("dev1", 0, confirmed("x"))
			s.hear(gwA, phy, at(-100), gps(0))
			s.wait(tt.late)
			if tt.refuse && tt.late > 5*time.Second {
				s.ack(radio.TxTooLate)
			}
			s.hear(gwB, phy, append([]func(*radio.Uplink){at(tt.signal), delayed(tt.late)}, tt.change...)...)
			if tt.refuse {
				s.ack(radio.TxTooLate)
			}
			s.wait(20 * time.Second)
			s.downs(tt.want...)
			if n := s.count(event.UplinkRepeated); n != 0 {
				t.Errorf("%d repetitions", n)
			}
			if drops := s.count(event.UplinkDropped); (drops == 1) != tt.drop {
				t.Errorf("%d frames are dropped: %+v", drops, s.events)
			}
			if n := s.devices["dev1"].Queue.Len(); n != 1 {
				t.Errorf("%d items wait, want 1", n)
			}
			if up := s.published()[0]; up[:13] != "dev1/up f_cnt" {
				t.Errorf("published %s", up)
			}
		})
	}
}

// A copy that comes after the decision for RX1 can still be used for RX2.
func TestLateCopyForRX2(t *testing.T) {
	for _, late := range []time.Duration{4900 * ms, 5500 * ms, 5800 * ms} {
		s := twoGateways(t)
		phy := s.phy("dev1", 0, confirmed("x"))
		s.hear(gwA, phy)
		s.wait(4 * time.Second)
		s.gatewayEvent(gwA, radio.GatewayDisconnected)
		s.wait(late - 4*time.Second)
		s.hear(gwB, phy, delayed(late))
		s.wait(10 * time.Second)
		ahead := min(6*time.Second-late, 150*ms)
		s.downs("gw-b " + rx2 + ", " + ahead.String() + " ahead: #1 ack")
	}
}

// The copies of a join-request are one with it, however late they come.
func TestLateCopyOfAJoin(t *testing.T) {
	for _, late := range []time.Duration{1600 * ms, 2900 * ms, 4900 * ms, 6100 * ms, 9 * time.Second} {
		s := twoGateways(t)
		d := s.otaa("dev3", session.V1_0_3)
		phy := s.joinRequest(d, 1)
		s.hear(gwA, phy, at(-100))
		s.wait(late)
		s.hear(gwB, phy, at(-60), delayed(late))
		s.wait(20 * time.Second)
		want := "gw-a " + joinRX1 + ", 2s ahead: join_accept"
		if late < 3*time.Second {
			want = "gw-b " + joinRX1 + ", 2s ahead: join_accept"
		}
		s.downs(want)
		if n := s.count(event.JoinRefused); n != 0 {
			t.Errorf("%v: %d refusals: %+v", late, n, s.events)
		}
	}
}

// The word of a stranger who says that he is a gateway neither ends nor opens
// windows, whatever his clock shows, and does not keep the gateway's own copy out.
func TestStrangersCopy(t *testing.T) {
	for _, first := range []bool{false, true} {
		for _, ahead := range []time.Duration{-time.Hour, -8 * time.Second, 0, 8 * time.Second, time.Hour} {
			s := twoGateways(t)
			phy := s.phy("dev1", 0, confirmed("x"))
			stranger := func() {
				s.hear(gwA, phy, func(up *radio.Uplink) {
					up.Receptions[0].NoDownlink = true
					up.Time = up.Time.Add(ahead)
					up.Ended = min(up.Ended.Add(ahead), up.Received)
				})
			}
			if first {
				stranger()
			}
			s.hear(gwA, phy)
			own := s.last
			s.last = map[string]radio.ConcentratorTime{}
			for range 3 {
				s.wait(time.Second)
				stranger()
			}
			s.last = own
			s.last[string(gwA[:])+address(phy)] = radio.ConcentratorTime(s.now.Host.Add(-3*time.Second) / 1000)
			s.wait(3 * time.Second)
			s.hear(gwB, phy, delayed(6*time.Second))
			s.wait(20 * time.Second)
			s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack")
			if n := s.count(event.UplinkRepeated); n != 0 {
				t.Errorf("first %v, %v ahead: %d repetitions", first, ahead, n)
			}
		}
	}
}

// heardAgain is a frame that a gateway hears after it was sent first.
type heardAgain struct {
	after  time.Duration
	by     radio.EUI64
	signal radio.Decibel
	change []func(*radio.Uplink)
}

const firstAck = "gw-a " + rx1 + ", 150ms ahead: #1 ack"

func ackBy(gw, n string) string { return "gw-" + gw + " " + rx1 + ", 150ms ahead: #" + n + " ack" }

var sentAgain = []struct {
	name   string
	heard  []heardAgain
	want   []string
	repeat uint64
}{
	{"by the same gateway", []heardAgain{{7 * time.Second, gwA, -100, nil}}, []string{firstAck, ackBy("a", "2")}, 1},
	{"by another gateway", []heardAgain{{7 * time.Second, gwB, -100, nil}}, []string{firstAck, ackBy("b", "2")}, 1},
	{"by another gateway, whose network is slow", []heardAgain{{
		8 * time.Second, gwB, -100,
		[]func(*radio.Uplink){delayed(time.Second)},
	}}, []string{firstAck, ackBy("b", "2")}, 1},
	{"by both", []heardAgain{{7 * time.Second, gwA, -100, nil}, {
		7300 * ms, gwB, -60,
		[]func(*radio.Uplink){delayed(300 * ms)},
	}}, []string{firstAck, ackBy("b", "2")}, 1},
	{"by both, the other one first", []heardAgain{
		{7 * time.Second, gwB, -100, nil},
		{7300 * ms, gwA, -60, []func(*radio.Uplink){delayed(300 * ms)}},
	}, []string{firstAck, ackBy("a", "2")}, 1},
	{"three times", []heardAgain{
		{7 * time.Second, gwB, -100, nil},
		{14 * time.Second, gwA, -100, nil},
		{21 * time.Second, gwA, -100, nil},
	}, []string{firstAck, ackBy("b", "2"), ackBy("a", "3"), ackBy("a", "4")}, 3},
	{"in doubt while a window is open", []heardAgain{{5500 * ms, gwB, -60, nil}}, []string{firstAck}, 0},
	{
		"and the first copy comes after it",
		[]heardAgain{{7 * time.Second, gwA, -100, nil}, {
			8 * time.Second, gwB, -60,
			[]func(*radio.Uplink){delayed(8 * time.Second)},
		}},
		[]string{firstAck, ackBy("a", "2")},
		1,
	},
	{
		"and the first one of the same gateway comes after it",
		[]heardAgain{{7 * time.Second, gwB, -100, nil}, {
			8 * time.Second, gwB, -60,
			[]func(*radio.Uplink){delayed(8 * time.Second)},
		}},
		[]string{firstAck, ackBy("b", "2")},
		1,
	},
}

// A frame that the device sends once more is told from a late copy: by the
// counter of a gateway that has heard both, else by when it ended.
func TestSentAgain(t *testing.T) {
	for _, tt := range sentAgain {
		t.Run(tt.name, func(t *testing.T) {
			s := twoGateways(t)
			phy := s.phy("dev1", 0, confirmed("x"))
			s.hear(gwA, phy, at(-100))
			begin := s.now.Host
			for _, h := range tt.heard {
				s.wait(begin.Add(h.after).Sub(s.now.Host))
				last := s.last[string(h.by[:])+address(phy)]
				s.hear(h.by, phy, append([]func(*radio.Uplink){at(h.signal)}, h.change...)...)
				if key := string(h.by[:]) + address(phy); s.last[key] < last {
					s.last[key] = last
				}
			}
			s.wait(20 * time.Second)
			s.downs(tt.want...)
			if st := s.c.Stats(); st.Repeated != tt.repeat {
				t.Errorf("%d repetitions, want %d", st.Repeated, tt.repeat)
			}
			s.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
		})
	}
}

func TestSentAgainToANewGateway(t *testing.T) {
	s := twoGateways(t)
	s.answering(gwC)
	s.online(gwC)
	phy := s.phy("dev1", 0, confirmed("x"))
	s.hear(gwA, phy)
	s.wait(8 * time.Second)
	s.hear(gwC, phy)
	s.wait(20 * time.Second)
	s.downs(firstAck)
}

func sameFrame(s *stand) []byte { return s.phy("dev1", 7, confirmed("x")) }

func otherFrame(s *stand) []byte { return s.phy("dev1", 7, confirmed("y")) }

var answeredAgain = []string{"gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 ack 15:one"}

var sameFCnts = []struct {
	name   string
	change func(*stand)
	after  time.Duration
	phy    func(*stand) []byte
	want   []string
	kind   event.Kind
	reason event.DropReason
}{
	{"the same frame, soon", nil, 3 * time.Second, sameFrame, answeredAgain, event.UplinkRepeated, 0},
	{"the same frame, 11.9 s", nil, 11900 * ms, sameFrame, answeredAgain, event.UplinkRepeated, 0},
	{"the same frame, 12.1 s", nil, 12100 * ms, sameFrame, nil, event.UplinkDropped, event.DropReplay},
	{"the same frame, a minute", nil, time.Minute, sameFrame, nil, event.UplinkDropped, event.DropReplay},
	{"the same frame, a day", nil, 24 * time.Hour, sameFrame, nil, event.UplinkDropped, event.DropReplay},
	{
		"the same frame, 15 s, where RX1 is after 5 s", func(s *stand) { s.late("dev1") }, 15 * time.Second, sameFrame,
		[]string{"gw-a " + rx1 + ", 150ms ahead: #2 ack 15:one"},
		event.UplinkRepeated, 0,
	},
	{
		"the same frame, counters of 16 bits", func(s *stand) { s.devices["dev1"].Settings.Counter16 = true }, time.Minute,
		sameFrame, nil, event.UplinkDropped, event.DropReplay,
	},
	{"another frame, soon", nil, 3 * time.Second, otherFrame, nil, event.UplinkDropped, event.DropReusedFCnt},
	{
		"another frame of a device that joins", func(s *stand) { s.devices["dev1"].SupportsJoin = true }, 3 * time.Second,
		otherFrame, nil, event.UplinkDropped, event.DropReusedFCnt,
	},
	{"another frame, a minute", nil, time.Minute, otherFrame, nil, event.UplinkDropped, event.DropReusedFCnt},
	{
		"another frame, counters of 16 bits", func(s *stand) { s.devices["dev1"].Settings.Counter16 = true },
		3 * time.Second, otherFrame, nil, event.UplinkDropped, event.DropReusedFCnt,
	},
}

// A frame with the counter of the last one is a repetition only if it is the
// same frame, soon: else it opens no windows, spends nothing and is not told,
// but to the owner.
func TestSameFCnt(t *testing.T) {
	for _, tt := range sameFCnts {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.answering(gwA)
			s.online(gwA)
			if tt.change != nil {
				tt.change(s)
			}
			s.hear(gwA, sameFrame(s))
			s.wait(tt.after)
			s.push("dev1", item("one"))
			s.read, s.told = 1, len(s.ups)
			s.hear(gwA, tt.phy(s))
			if e := s.event(tt.kind, tt.reason); e.Kind == event.UplinkDropped &&
				(e.Device.Device != "dev1" || e.FCnt != 7 || (e.Hint == "") == (tt.reason == event.DropReusedFCnt)) {
				t.Errorf("event %+v", e)
			}
			s.wait(10 * time.Second)
			s.downs(tt.want...)
			if tt.want == nil {
				s.tells()
				s.onDisk("dev1", "one")
			} else {
				s.tells("dev1 sent one #2")
			}
		})
	}
}

// After a restart nobody knows the last frame any more: what has its counter is
// a replay, and what comes next is taken.
func TestSameFCntAfterARestart(t *testing.T) {
	for _, text := range []string{"x", "y"} {
		s := newStand(t)
		s.answering(gwA)
		s.online(gwA)
		s.hear(gwA, s.phy("dev1", 0, confirmed("x")))
		s.wait(2 * time.Second)
		s.step(Stopping{})
		s.restart(s.disk.soft)
		s.answering(gwA)
		s.online(gwA)
		s.push("dev1", item("one"))
		s.told = len(s.ups)
		s.hear(gwA, s.phy("dev1", 0, confirmed(text)))
		s.event(event.UplinkDropped, event.DropReplay)
		s.wait(10 * time.Second)
		s.downs()
		s.tells()
		s.hear(gwA, s.phy("dev1", 1, confirmed("z")))
		s.wait(10 * time.Second)
		s.downs("gw-a +1s 868.3 MHz SF7BW125 14 dBm, 150ms ahead: #2 ack 15:one")
	}
}

// The MIC of LoRaWAN 1.1 covers the channel: a frame that is sent once more by
// another one has another MIC, and is the same frame.
func TestSentAgainByAnotherChannel11(t *testing.T) {
	s := newStand(t)
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	d := s.otaa("dev3", session.V1_1)
	in := s.joined(d, 1)
	up := func(text string, ch uint8) []byte {
		f := confirmed(text)
		f.FOpts = []byte{0x0b, 1}
		return s.phyIn(in, d.Version, 0, f, frame.Context{TxDR: 5, TxCh: ch})
	}
	by := func(f radio.Frequency) func(*radio.Uplink) { return func(up *radio.Uplink) { up.Frequency = f } }
	s.hear(gwA, up("x", 1))
	s.wait(10 * time.Second)
	s.read, s.told = len(s.sent), len(s.ups)
	s.hear(gwA, up("x", 0), by(868_100_000))
	s.event(event.UplinkRepeated, 0)
	s.wait(3 * time.Second)
	s.hear(gwB, up("x", 0), by(868_100_000), delayed(3*time.Second), at(-110)) // a late copy of it
	s.hear(gwB, up("x", 1), delayed(13*time.Second), at(-50))                  // and one of the first
	s.wait(10 * time.Second)
	s.downs("gw-a +5s 868.1 MHz SF7BW125 14 dBm, 150ms ahead: #2 ack fopts 0b 01")
	s.hear(gwA, up("x", 2), by(868_500_000)) // 13 s later
	s.event(event.UplinkRepeated, 0)
	s.wait(time.Minute)
	s.hear(gwA, up("x", 0), by(868_100_000))
	s.event(event.UplinkDropped, event.DropReplay)
	s.hear(gwA, up("y", 0), by(868_100_000))
	s.event(event.UplinkDropped, event.DropReusedFCnt)
	s.tells()
}
