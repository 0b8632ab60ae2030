package core

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/radio"
	"lorawand/radio/frame"
)

func TestUplinkAtOnce(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, payload("hello")))
	s.wants(`dev1/up f_cnt 0 port 15 "hello" gw-a`)
	if len(s.commits) != 1 || !s.commits[0].Lag || s.commits[0].Records[0].Key != "app1/dev1" ||
		s.commits[0].Records[0].Kind != state.KindCounters {
		t.Errorf("kept %+v", s.commits)
	}
	text := string(s.ups[0].Payload)
	for _, want := range []string{
		`"application_id":"app1"`, `"dev_eui":"0100000000000000","dev_addr":"01020300"}`, `"received_at":"2026-11-24T12:00:00Z","uplink_message"`,
		`"consumed_airtime":"0.051456s"`, `"timestamp":60000000,"rssi":-60,`, `"received_at":"2026-11-24T12:00:00Z"}]`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	var v struct {
		IDs []string `json:"correlation_ids"`
	}
	if err := json.Unmarshal(s.ups[0].Payload, &v); err != nil {
		t.Fatal(err)
	}
	kinds := ""
	for _, id := range v.IDs {
		kinds += id[:len(id)-26] + " "
	}
	if kinds != "as:up: gs:conn: gs:uplink: ns:uplink: " || !slices.IsSorted(v.IDs) {
		t.Errorf("correlation ids %v", v.IDs)
	}
}

// FPort 224 goes both ways for a device under test, and for it alone.
func TestTestPort(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.devices["dev1"]
	d.Settings.TestPort = true
	s.push("dev1", session.Item{FPort: session.TestPort, FRMPayload: []byte{1, 2}})
	s.push("dev2", session.Item{FPort: session.TestPort, FRMPayload: []byte{1, 2}})
	if a := s.answers; len(a) != 2 || a[0].Err != nil || a[1].Err == nil ||
		!strings.Contains(a[1].Err.Error(), "inside range [1, 223]") {
		t.Fatalf("answers %+v", a)
	}
	s.ups = nil
	s.hear(gwA, s.phy("dev1", 0, frame.Data{HasFPort: true, FPort: session.TestPort, FRMPayload: []byte("test")}))
	s.wants(`dev1/up f_cnt 0 port 224 "test" gw-a`)
	s.wait(10 * time.Second)
	if _, port := s.asked(&s.sent[0], d); port != session.TestPort {
		t.Errorf("the downlink is on port %d", port)
	}
	s.hear(gwA, s.phy("dev2", 0, frame.Data{HasFPort: true, FPort: session.TestPort, FRMPayload: []byte("test")}))
	s.event(event.UplinkDropped, event.DropTestPort)
}

func TestUplinkKinds(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, frame.Data{MType: frame.ConfirmedUp, HasFPort: true, FPort: 3}))
	s.hear(gwA, s.phy("dev1", 1, frame.Data{}))
	s.hear(gwA, s.phy("dev1", 2, frame.Data{HasFPort: true, FPort: 0, FRMPayload: []byte{2}}))
	s.hear(gwA, s.phy("dev1", 3, frame.Data{FOpts: []byte{2}, HasFPort: true, FPort: 255, FRMPayload: []byte("x")}))
	s.hear(gwA, s.phy("dev1", 4, frame.Data{HasFPort: true, FPort: 224, FRMPayload: []byte("test")}))
	s.event(event.UplinkDropped, event.DropTestPort)
	s.hear(gwA, s.phy("dev1", 10, payload("lost some")))
	s.wants(`dev1/up f_cnt 0 port 3 "" gw-a`, `dev1/up f_cnt 1 port 0 "" gw-a`, `dev1/up f_cnt 2 port 0 "" gw-a`,
		`dev1/up f_cnt 3 port 255 "x" gw-a`, `dev1/up f_cnt 10 port 15 "lost some" gw-a`)
	if !strings.Contains(string(s.ups[0].Payload), `"confirmed":true`) ||
		strings.Contains(string(s.ups[1].Payload), `"confirmed"`) {
		t.Error("confirmed")
	}
	if !strings.Contains(string(s.ups[4].Payload), `"packet_error_rate":0.45454547`) { // 5 of 11
		t.Errorf("%s", s.ups[4].Payload)
	}
}

func TestRepeatedAndReplayed(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	one, two := s.phy("dev1", 0, payload("one")), s.phy("dev1", 1, payload("two"))
	s.hear(gwA, one)
	s.wait(52 * time.Millisecond)
	s.hear(gwA, one) // as soon as it can be: it takes 51.5 ms
	s.event(event.UplinkRepeated, 0)
	s.wait(3 * time.Second)
	s.hear(gwA, one) // later
	s.event(event.UplinkRepeated, 0)
	s.hear(gwA, two)
	s.wait(5 * time.Second)
	s.hear(gwA, one)
	if e := s.event(event.UplinkDropped, event.DropReplay); e.Device.Device != "dev1" || e.FCnt != 0 {
		t.Errorf("event %+v", e)
	}
	s.wants(`dev1/up f_cnt 0 port 15 "one" gw-a`, `dev1/up f_cnt 1 port 15 "two" gw-a`)
	if st := s.c.Stats(); st.Repeated != 2 || st.Dropped[event.DropReplay] != 1 || st.Published != 2 || st.Uplinks != 5 {
		t.Errorf("stats %+v", st)
	}
}

// ADR counts how often a frame is heard that its device sends twice, unless it was answered.
func TestTransmissionsCount(t *testing.T) {
	for _, tt := range []struct {
		name            string
		again, answered bool
		want            uint32 // frames that count as heard twice
	}{{"once", false, false, 0}, {"twice", true, false, 1}, {"once, with an answer", false, true, 1}} {
		s := newStand(t)
		s.online(gwA)
		d := s.devices["dev1"]
		d.Session.SetParameters(&session.Parameters{ADRNbTrans: 2, RX1Delay: 1})
		first := frame.Data{HasFPort: true, FPort: 1}
		if tt.answered {
			first.MType = frame.ConfirmedUp
		}
		one := s.phy("dev1", 0, first)
		s.hear(gwA, one)
		if s.wait(3 * time.Second); tt.again {
			s.hear(gwA, one)
			s.wait(3 * time.Second)
		}
		s.hear(gwA, s.phy("dev1", 1, payload("next")))
		if got := d.History.Link().Twice; got != tt.want {
			t.Errorf("%s: %d frames are heard twice, want %d", tt.name, got, tt.want)
		}
	}
}

// A device that is new, or that another gateway has heard lately, is waited
// for until all of these have reported, at most 200 ms.
func TestSeveralGateways(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB)
	phy := s.phy("dev1", 0, payload("0"))
	s.hear(gwA, phy)
	s.wants()
	s.wait(30 * time.Millisecond)
	s.hear(gwB, phy)
	s.wants(`dev1/up f_cnt 0 port 15 "0" gw-a gw-b`) // both are in: no need to wait longer

	phy = s.phy("dev1", 1, payload("1"))
	s.hear(gwB, phy)
	s.wait(199 * time.Millisecond)
	if len(s.ups) != 1 {
		t.Fatal("published before 200 ms")
	}
	s.wait(time.Millisecond)
	if len(s.ups) != 2 {
		t.Fatal("not published after 200 ms")
	}
	s.hear(gwA, phy) // too late: swallowed
	if len(s.ups) != 2 {
		t.Fatal("a late copy is published")
	}

	// dev2 was never heard by gateway B: after the first frame nobody waits.
	s.hear(gwA, s.phy("dev2", 0, payload("a")))
	s.wait(200 * time.Millisecond)
	s.hear(gwA, s.phy("dev2", 1, payload("b")))
	if len(s.ups) != 4 {
		t.Fatalf("%d messages, want 4: gateway B has never heard dev2", len(s.ups))
	}
	// Until it hears it once, late or not.
	s.hear(gwB, s.phy("dev2", 1, payload("b")))
	s.hear(gwA, s.phy("dev2", 2, payload("c")))
	if len(s.ups) != 4 {
		t.Fatal("published without waiting for a gateway that has heard the device")
	}
	s.wait(200 * time.Millisecond)
	// A gateway that is off line is not waited for.
	s.step(GatewayChanged{radio.GatewayEvent{Gateway: gwB, Kind: radio.GatewayDisconnected, At: s.now.Host}})
	s.hear(gwA, s.phy("dev2", 3, payload("d")))
	if len(s.ups) != 6 {
		t.Fatal("a gateway that is off line is waited for")
	}
	if st := s.c.Stats(); st.Copies != 3 {
		t.Errorf("stats %+v", st)
	}
}

// After 20 uplinks without it a gateway is not waited for any longer.
func TestForgottenGateway(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB)
	phy := s.phy("dev1", 0, payload(""))
	s.hear(gwA, phy)
	s.hear(gwB, phy)
	n := 0
	for i := uint32(1); i <= 30; i++ {
		before := len(s.ups)
		s.hear(gwA, s.phy("dev1", i, payload("")))
		if len(s.ups) == before {
			n++
		}
		s.wait(time.Second)
	}
	if n != 19 {
		t.Errorf("%d frames have waited, want 19", n)
	}
}

func TestThreeGateways(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB, gwC)
	phy := s.phy("dev1", 0, payload("x"))
	for _, g := range []radio.EUI64{gwC, gwA, gwC, gwB} { // one of them twice
		s.wants()
		s.hear(g, phy)
	}
	s.wants(`dev1/up f_cnt 0 port 15 "x" gw-c gw-a gw-b`)
	if !strings.Contains(string(s.ups[0].Payload), `"rx_metadata":[{"gateway_ids":{"gateway_id":"gw-c","eui":"0C00000000000000"}`) {
		t.Errorf("the first copy is not first: %s", s.ups[0].Payload)
	}
}

func TestStoppingPublishes(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB)
	s.hear(gwA, s.phy("dev1", 0, payload("x")))
	s.wants()
	s.step(Stopping{})
	s.wants(`dev1/up f_cnt 0 port 15 "x" gw-a`)
}

func TestDrops(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	stranger := s.phy("dev1", 5, payload("x"))
	stranger[1] ^= 0xff
	s.hear(gwA, stranger)
	if e := s.event(event.UplinkDropped, event.DropDevAddr); !e.HasDevAddr || e.Gateway != "gw-a" {
		t.Errorf("event %+v", e)
	}
	forged := s.phy("dev1", 5, payload("x"))
	forged[len(forged)-1] ^= 1
	s.hear(gwA, forged)
	s.event(event.UplinkDropped, event.DropMIC)
	s.hear(gwA, s.phy("unserved", 5, payload("x")))
	if e := s.event(event.UplinkDropped, event.DropUnserved); !strings.Contains(e.Err.Error(), "app1/unserved") ||
		!strings.Contains(e.Err.Error(), `frequency plan "none"`) {
		t.Errorf("event %+v", e)
	}
	s.hear(gwA, s.phy("dev1", 5, payload("x")))
	s.hear(gwA, s.phy("dev1", 50000, payload("x")))
	s.event(event.UplinkDropped, event.DropGap)
	for _, phy := range [][]byte{{0x40}, {0x41, 1, 2, 3}, make([]byte, 256), nil} {
		s.events = nil
		s.hear(gwA, phy)
		s.event(event.UplinkDropped, event.DropMalformed)
	}
	s.hear(gwA, append([]byte{0x00}, make([]byte, 22)...))
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinUnknownDevEUI) || !e.HasEUIs || e.Hint == "" {
		t.Errorf("event %+v", e)
	}
	s.hear(gwA, append([]byte{0x00}, make([]byte, 21)...))
	s.event(event.UplinkDropped, event.DropMalformed)
	s.hear(gwA, append([]byte{0xc0}, make([]byte, 22)...))
	s.event(event.UplinkDropped, event.DropMalformed)
	s.hear(gwA, append([]byte{0x60}, make([]byte, 22)...))
	s.event(event.UplinkDropped, event.DropNotForUs)
	s.hear(gwA, append([]byte{0xe0}, make([]byte, 22)...))
	s.event(event.UplinkDropped, event.DropNotForUs)
	s.wants(`dev1/up f_cnt 5 port 15 "x" gw-a`)
}

func TestWithoutCalendar(t *testing.T) {
	s := newStand(t)
	s.now.Wall = radio.WallTime{Time: time.Unix(100, 0)}
	s.online(gwA)
	s.hear(gwA, s.phy("dev1", 0, payload("x")), func(up *radio.Uplink) {
		up.GatewayTime = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
		up.GPS = radio.GPSTimeOf(up.GatewayTime)
	})
	text := string(s.ups[0].Payload)
	if strings.Contains(text, "received_at") || strings.Contains(text, `"time"`) ||
		!strings.Contains(text, `"gps_time":"2026-11-24T12:00:00Z"`) {
		t.Errorf("%s", text)
	}
	// The calendar is set: half a century passes, and nothing happens.
	s.now.Wall = radio.WallTime{Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Quality: radio.TimeNTP}
	s.hear(gwA, s.phy("dev1", 1, payload("y")), func(up *radio.Uplink) {
		up.GatewayTime = time.Date(1970, 1, 1, 0, 1, 0,
			0, time.UTC)
	})
	text = string(s.ups[1].Payload)
	if !strings.Contains(text, "received_at") || strings.Contains(text, "1970") {
		t.Errorf("%s", text)
	}
}

func TestCounterRestarted(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.devices["dev1"].Settings.ResetsFCnt = true
	s.hear(gwA, s.phy("dev1", 500, payload("x")))
	s.hear(gwA, s.phy("dev1", 0, payload("y")))
	s.event(event.CounterRestarted, 0)
	s.wants(`dev1/up f_cnt 500 port 15 "x" gw-a`, `dev1/up f_cnt 0 port 15 "y" gw-a`)
}

func TestUnknownGatewayOfADriver(t *testing.T) {
	s := newStand(t)
	stranger := radio.EUI64{0xA1, 0xC0, 0xFF, 0xEE}
	s.online(stranger)
	s.hear(stranger, s.phy("dev1", 0, payload("x")))
	s.wants(`dev1/up f_cnt 0 port 15 "x" eui-a1c0ffee00000000`)
}

// What is remembered of frames is bounded in number and in time.
func TestReceptionsAreBounded(t *testing.T) {
	s := newStand(t)
	s.online(gwA, gwB) // each frame waits
	s.keeps.seldom = true
	for i := range uint32(maxReceptions + 100) {
		phy := s.phy("dev1", i, payload(""))
		s.hear(gwA, phy)
		if st := s.c.Stats(); st.Pending > maxReceptions {
			t.Fatalf("%d frames are remembered", st.Pending)
		}
	}
	s.wait(time.Minute)
	if len(s.ups) != maxReceptions+100 || s.c.Stats().Pending != 0 || len(s.c.receptions) != 0 || len(s.c.waiting) != 0 {
		t.Errorf("%d published, %d remembered, %d in the map, %d waiting", len(s.ups), s.c.Stats().Pending,
			len(s.c.receptions), len(s.c.waiting))
	}
	for i := 1; i < len(s.ups); i++ {
		if string(s.ups[i-1].Payload) == string(s.ups[i].Payload) {
			t.Fatal("a message comes twice")
		}
	}
}

// Equal inputs have equal effects, byte for byte.
func TestDeterminism(t *testing.T) {
	run := func() string {
		s := newStand(t)
		s.online(gwA, gwB, gwC)
		rnd := rand.New(rand.NewSource(7))
		var next [2]uint32
		for range 500 {
			i := rnd.Intn(2)
			phy := s.phy([]string{"dev1", "dev2"}[i], next[i], payload(fmt.Sprint(next[i])))
			next[i] += uint32(rnd.Intn(3))
			for _, g := range []radio.EUI64{gwA, gwB, gwC} {
				if rnd.Intn(2) == 0 {
					s.hear(g, phy)
				}
				s.wait(time.Duration(rnd.Intn(100)) * time.Millisecond)
			}
		}
		s.wait(time.Minute)
		return fmt.Sprint(s.ups, s.commits, s.c.Stats())
	}
	if first, second := run(), run(); first != second {
		t.Error("two runs of the same inputs differ")
	}
}

func TestNewCoreRefuses(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a core without anything")
	}
}
