package core

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// asked returns the MAC commands of a downlink in hex, and its FPort; -1: none.
func (s *stand) asked(d *sentDown, dev *session.Device) (commands string, port int) {
	s.Helper()
	f, err := frame.ParseData(d.PHYPayload)
	if err != nil {
		s.Fatal(err)
	}
	cipher := dev.Session.Cipher(dev.Version)
	if port = -1; f.HasFPort {
		port = int(f.FPort)
	}
	if f.HasFPort && f.FPort == 0 {
		return hex.EncodeToString(cipher.AppendFRMPayload(nil, f, uint32(f.FCnt))), port
	}
	return hex.EncodeToString(f.FOpts), port
}

// abp adds a personalised device of EU868 that is asked for what it lacks.
func (s *stand) abp(version session.Version) *session.Device {
	s.asks = true
	s.add(&session.Device{
		ID: session.ID{Application: "app1", Device: "asked"}, DevEUI: radio.EUI64{0x77}, Version: version,
		Plan:    "EU_863_870_TTN",
		Session: &session.Session{DevAddr: radio.DevAddr{7, 7, 7, 7}, Keys: testKeys(7)},
	})
	return s.devices["asked"]
}

// up sends an uplink with MAC commands, and returns what it was asked in answer.
func (s *stand) uplinkWith(d *session.Device, fCnt uint32, commands string, how ...func(*radio.Uplink)) (
	asked string, port int,
) {
	s.Helper()
	opts, err := hex.DecodeString(commands)
	if err != nil {
		s.Fatal(err)
	}
	before := len(s.sent)
	phy, err := frame.BuildUplink(frame.Data{
		MType: frame.UnconfirmedUp, DevAddr: d.Session.DevAddr, FOpts: opts, HasFPort: true, FPort: 1, FRMPayload: []byte{1},
	}, fCnt, d.Session.Keys)
	if err != nil {
		s.Fatal(err)
	}
	s.hear(gwA, phy, how...)
	s.wait(8 * time.Second)
	if len(s.sent) == before {
		return "", -1
	}
	return s.asked(&s.sent[len(s.sent)-1], d)
}

// What a personalised device of EU868 is asked, as The Things Stack asks it.
const abpSetUp = "0503d2ad84" + "0703184f8450" + "0704e8568450" + "0705b85e8450" + "070688668450" + "0707586e8450" +
	"0805" + "06"

// A personalised device gets its set-up once, answers, and then no downlink that
// nobody has asked for follows.
func TestSetUpOnce(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.abp(session.V1_0_3)
	if got, port := s.uplinkWith(d, 0, ""); got != abpSetUp || port != 0 {
		t.Fatalf("asked %s on port %d, want %s", got, port, abpSetUp)
	}
	if got, port := s.uplinkWith(d, 1, "0507"+strings.Repeat("0703", 5)+"08"); got != "06" || port != -1 {
		t.Errorf("asked %q on port %d after its answers, want the status only", got, port)
	}
	if got := s.sent[len(s.sent)-1].text; !strings.Contains(got, "+5s") {
		t.Errorf("the delay that the device has taken is not used: %s", got)
	}
	s.uplinkWith(d, 2, "06fe0a")
	before := len(s.sent)
	for fCnt := uint32(3); fCnt < 33; fCnt++ {
		s.uplinkWith(d, fCnt, "")
	}
	if len(s.sent) != before {
		t.Errorf("%d downlinks that nobody has asked for", len(s.sent)-before)
	}
	if p := d.Session.Parameters; p == nil || len(p.Channels) != 8 || p.RX1Delay != 5 || p.RX2DataRate != 3 {
		t.Errorf("parameters %+v", p)
	}
	for _, e := range []struct {
		kind event.Kind
		n    int
		last string
	}{{event.MACAsked, 9, "DevStatusReq"}, {event.MACAccepted, 8, "DevStatusReq"}, {event.MACRefused, 0, ""}} {
		n, last := 0, ""
		for i := range s.events {
			if s.events[i].Kind == e.kind {
				n, last = n+1, s.events[i].Err.Error()
			}
		}
		if n != e.n || last != e.last {
			t.Errorf("%s: %d events, the last of %s", e.kind, n, last)
		}
	}
	if st := d.Session.MAC.Status; st == nil || st.Battery != 254 || st.Margin != 10 {
		t.Errorf("status %+v", st)
	}
}

// A device that never answers is asked six times, ever more seldom, and gets its
// application's items in between.
func TestNeverAnswering(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.abp(session.V1_0_3)
	var asked []string
	for fCnt := range uint32(80) {
		if got, _ := s.uplinkWith(d, fCnt, ""); got != "" {
			asked = append(asked, fmt.Sprint(fCnt))
		}
	}
	if got := strings.Join(asked, " "); got != "0 1 3 7 15 31" {
		t.Errorf("asked after uplinks %s", got)
	}
}

// What was asked, accepted and refused survives a power cut.
func TestAskedSurvivesPowerCut(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.abp(session.V1_0_3)
	s.uplinkWith(d, 0, "")
	s.uplinkWith(d, 1, "0503"+"0703") // refused, and the first channel taken
	s.restart(s.disk.firm)
	s.online(gwA)
	s.answering(gwA)
	d = s.devices["asked"]
	m := d.Session.MAC
	if m == nil || len(m.Refused) != 1 || len(d.Session.Parameters.Channels) != 4 {
		t.Fatalf("%+v", m)
	}
	want := strings.Replace(strings.Replace(abpSetUp, "0503d2ad84", "", 1), "0703184f8450", "", 1)
	if got, _ := s.uplinkWith(d, 4, ""); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
}

// Which of the 72 channels an owner wishes, and which of them the device has taken, survives
// a power cut before the answer, and one after it.
func TestMaskWishSurvivesPowerCut(t *testing.T) {
	s := newStand(t)
	d := s.abp(session.V1_0_4)
	s.onPlan("US_902_928_FSB_2", d)
	us := on(903_900_000)
	never, none := time.Duration(0), uint32(0)
	d.Settings.MAC.StatusCount, d.Settings.MAC.StatusTime = &none, &never
	d.Session.Parameters = &session.Parameters{RX1Delay: 5, RX2DataRate: 8, RX2Frequency: 923_300_000}
	wish := region.ChannelMask{0x0f00, 0, 0, 0, 0x0002}
	d.Session.SetMAC(&macstate.State{Wish: &macstate.Wish{Mask: &wish}})
	if got, _ := s.uplinkWith(d, 0, "", us); got != "0330020071"+"0330000f01" {
		t.Errorf("asked %s", got)
	}
	cut := func() {
		s.restart(s.disk.firm)
		s.online(gwA)
		s.answering(gwA)
		d = s.devices["asked"]
		s.onPlan("US_902_928_FSB_2", d)
	}
	cut()
	s.uplinkWith(d, 1, "0307"+"0307", us)
	cut()
	if m := d.Session.MAC; m == nil || m.Wish == nil || *m.Wish.Mask != wish || m.Mask == nil || *m.Mask != wish {
		t.Errorf("%+v", m)
	}
	for fCnt := range uint32(30) {
		if got, _ := s.uplinkWith(d, 2+fCnt, "", us); got != "" {
			t.Errorf("uplink %d: asked %s", 2+fCnt, got)
		}
	}
}

// An item waits behind requests that fill FPort 0, and goes with the next frame.
func TestItemAfterRequests(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	s.answering(gwA)
	d := s.abp(session.V1_0_3)
	s.push("asked", session.Item{FPort: 3, FRMPayload: []byte{1, 2}})
	if _, port := s.uplinkWith(d, 0, ""); port != 0 {
		t.Errorf("port %d first", port)
	}
	if f, err := frame.ParseData(s.sent[0].PHYPayload); err != nil || !f.FPending {
		t.Errorf("no FPending: %+v, %v", f, err)
	}
	if got, port := s.uplinkWith(d, 1, "0507"+strings.Repeat("0703", 5)+"08"); port != 3 || got != "06" {
		t.Errorf("%q on port %d", got, port)
	}
}
