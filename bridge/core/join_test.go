package core

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

const joinRX1 = "+5s 868.3 MHz SF7BW125 14 dBm"

// otaa registers a device that joins.
func (s *stand) otaa(name string, v session.Version) *session.Device {
	s.Helper()
	d := &session.Device{
		ID: session.ID{Application: "app1", Device: name}, DevEUI: radio.EUI64{
			0xd,
			byte(len(s.devices)),
		}, JoinEUI: radio.EUI64{0xe}, HasJoinEUI: true,
		Version: v, Plan: "EU_863_870_TTN", SupportsJoin: true, RootKeys: frame.RootKeys{AppKey: frame.Key{
			3,
			byte(len(s.devices)),
		}},
	}
	if v >= session.V1_1 {
		d.RootKeys.NwkKey = frame.Key{4, byte(len(s.devices))}
	}
	s.add(d)
	return d
}

func joinKey(d *session.Device) frame.Key {
	if d.Version >= session.V1_1 {
		return d.RootKeys.NwkKey
	}
	return d.RootKeys.AppKey
}

func (s *stand) joinRequest(d *session.Device, nonce uint16) []byte {
	s.Helper()
	phy, err := frame.BuildJoinRequest(frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: nonce},
		joinKey(d))
	if err != nil {
		s.Fatal(err)
	}
	return phy
}

// accepted takes the last downlink as the device does that has sent req, and
// returns the session that it has then.
func (s *stand) accepted(d *session.Device, nonce uint16) *session.Session {
	s.Helper()
	if len(s.sent) == 0 {
		s.Fatal("nothing was sent")
	}
	req := &frame.JoinRequest{JoinEUI: d.JoinEUI, DevEUI: d.DevEUI, DevNonce: nonce}
	a, err := frame.ParseJoinAccept(s.sent[len(s.sent)-1].PHYPayload, d.RootKeys, req)
	if err != nil {
		s.Fatal(err)
	}
	if a.RXDelay != 5 || a.RX2DataRate != 3 {
		s.Errorf("join-accept %+v", a)
	}
	keys, err := frame.DeriveSessionKeys(*a, d.RootKeys, req)
	if err != nil {
		s.Fatal(err)
	}
	return &session.Session{DevAddr: a.DevAddr, Keys: keys}
}

// joined has a device join through gateway A.
func (s *stand) joined(d *session.Device, nonce uint16) *session.Session {
	s.Helper()
	s.hear(gwA, s.joinRequest(d, nonce))
	s.wait(3 * time.Second)
	s.ack(radio.TxOK)
	s.wait(7 * time.Second)
	return s.accepted(d, nonce)
}

// up makes an uplink of a device that has joined.
func (s *stand) up(d *session.Device, in *session.Session, fCnt uint32, f frame.Data) []byte {
	s.Helper()
	return s.phyIn(in, d.Version, fCnt, f, frame.Context{TxDR: 5, TxCh: 1})
}

func TestJoin(t *testing.T) {
	for v := session.V1_0_2; v <= session.V1_1; v++ {
		t.Run(v.String(), func(t *testing.T) {
			s := newStand(t)
			s.answering(gwA)
			s.online(gwA)
			d := s.otaa("dev3", v)
			s.push("dev3", item("early"))
			s.tells("dev3 failed early: no_device_session")
			s.hear(gwA, s.joinRequest(d, 7))
			s.wait(2999 * ms)
			s.downs()
			s.tells()
			s.wait(ms)
			s.downs("gw-a " + joinRX1 + ", 2s ahead: join_accept")
			s.tells() // the gateway may refuse it yet
			first := s.accepted(d, 7)
			s.ack(radio.TxOK)
			s.toldOfJoin(first)
			if d.Session != nil || d.Pending == nil {
				t.Fatal("the session is in use before the device has used it")
			}
			s.push("dev3", item("one")) // is taken while the join is pending
			s.wait(10 * time.Second)
			f, conf := firstUplink(v)
			s.hear(gwA, s.up(d, first, 0, f))
			s.wait(10 * time.Second)
			s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack " + conf + "15:one")
			s.tells("dev3 queued one", "dev3 up 0", "dev3 sent one #1")
			s.joinsAgain(d, first)
		})
	}
}

// toldOfJoin checks the message and the event of the join that led to a session.
func (s *stand) toldOfJoin(in *session.Session) {
	s.Helper()
	s.tells("dev3 join")
	if m := s.message(len(s.ups) - 1); m.IDs.DevAddr != in.DevAddr.String() || len(m.Join.SessionKeyID) != 16 ||
		m.ReceivedAt == "" || len(m.CorrelationIDs) != 4 {
		s.Errorf("%s", s.ups[len(s.ups)-1].Payload)
	}
	s.event(event.JoinAccepted, 0)
}

// firstUplink returns the first uplink in a session, and the MAC answer to it as text: a
// device of LoRaWAN 1.1 sends RekeyInd.
func firstUplink(v session.Version) (f frame.Data, answer string) {
	f = confirmed("x")
	if v < session.V1_1 {
		return f, ""
	}
	f.FOpts = []byte{0x0b, 1} // RekeyInd
	return f, "fopts 0b 01 "
}

// joinsAgain has dev3 join once more: its session goes on until the first uplink in the new
// one.
func (s *stand) joinsAgain(d *session.Device, first *session.Session) {
	s.Helper()
	s.push("dev3", item("two"))
	s.told = len(s.ups)
	second := s.joined(d, 8)
	if second.DevAddr == first.DevAddr {
		s.Fatal("the DevAddr was in use")
	}
	s.tells("dev3 join")
	s.read = len(s.sent)
	s.hear(gwA, s.up(d, first, 1, payload("old")))
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #2 15:two")
	s.push("dev3", item("three"))
	f, conf := firstUplink(d.Version)
	s.hear(gwA, s.up(d, second, 0, f))
	s.wait(10 * time.Second)
	s.downs("gw-a " + rx1 + ", 150ms ahead: #1 ack " + conf + "15:three")
	s.hear(gwA, s.up(d, first, 2, payload("dead")))
	s.event(event.UplinkDropped, event.DropDevAddr)
	s.tells("dev3 up 1", "dev3 sent two #2", "dev3 queued three", "dev3 up 0", "dev3 sent three #1")
}

// The accept goes in RX2 of the band at +6 s if it cannot go in RX1.
func TestJoinInRX2(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	s.hear(gwA, s.joinRequest(d, 7))
	s.wait(3 * time.Second)
	s.ack(radio.TxCollisionPacket)
	s.downs("gw-a "+joinRX1+", 2s ahead: join_accept", "gw-a +6s 869.525 MHz SF12BW125 27 dBm, 3s ahead: join_accept")
	if !bytes.Equal(s.sent[0].PHYPayload, s.sent[1].PHYPayload) {
		t.Error("other bytes")
	}
	s.ack(radio.TxOK)
	s.tells("dev3 join")
	// Two devices at once.
	s = newStand(t)
	s.answering(gwA)
	s.online(gwA)
	one, two := s.otaa("dev3", session.V1_0_3), s.otaa("dev4", session.V1_0_4)
	s.hear(gwA, s.joinRequest(one, 7))
	s.hear(gwA, s.joinRequest(two, 7))
	s.wait(10 * time.Second)
	s.downs("gw-a "+joinRX1+", 2s ahead: join_accept", "gw-a +6s 869.525 MHz SF12BW125 27 dBm, 3s ahead: join_accept")
}

// An accept that no gateway takes is not told: the device will not hear it.
func TestJoinIsNotToldBeforeItIsTaken(t *testing.T) {
	for _, why := range []radio.TxResult{radio.TxNoPath, radio.TxTooLate, radio.TxCollisionPacket} {
		s := newStand(t)
		s.answering(gwA)
		s.online(gwA)
		s.hear(gwA, s.joinRequest(s.otaa("dev3", session.V1_0_3), 7))
		s.wait(3 * time.Second)
		s.ack(why)
		s.ack(why) // RX2
		s.tells()
		if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinNoWindow) || s.c.Stats().Joins != 0 {
			t.Errorf("%v: event %+v, %d joins", why, e, s.c.Stats().Joins)
		}
		s.wait(10 * time.Second)
		s.tells()
	}
}

func TestJoinRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(*stand, *session.Device)
		nonce  uint16
		word   event.JoinRefusal
		hint   bool
	}{
		{"unknown DevEUI", func(_ *stand, d *session.Device) { d.DevEUI[7]++ }, 1, event.JoinUnknownDevEUI, true},
		{"unknown JoinEUI", func(_ *stand, d *session.Device) { d.JoinEUI[7]++ }, 1, event.JoinUnknownJoinEUI, true},
		{"wrong key", func(_ *stand, d *session.Device) { d.RootKeys.AppKey[0]++ }, 1, event.JoinWrongKey, true},
		{"not served", func(s *stand, _ *session.Device) { s.devices["dev3"].ClassB = true }, 1, event.JoinUnserved, false},
		{
			"used nonce", func(s *stand, _ *session.Device) { s.devices["dev3"].UsedDevNonces = []uint16{5, 6} }, 5,
			event.JoinUsedNonce, true,
		},
		{"used nonce, 1.0.4", func(s *stand, _ *session.Device) {
			s.devices["dev3"].Version, s.devices["dev3"].LastDevNonce = session.V1_0_4, 6
		}, 5, event.JoinUsedNonce, true},
		{
			"no gateway", func(s *stand, _ *session.Device) { s.gatewayEvent(gwA, radio.GatewayDisconnected) }, 1,
			event.JoinNoWindow, true,
		},
		{"store hangs", func(s *stand, _ *session.Device) {
			s.push("dev1", item("one"))
			s.slow = true
			for range maxUnstored {
				s.replace("dev1")
			}
		}, 1, event.JoinNotStored, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStand(t)
			s.answering(gwA)
			s.online(gwA)
			d := *s.otaa("dev3", session.V1_0_3)
			tt.change(s, &d)
			registered := *s.devices["dev3"]
			s.hear(gwA, s.joinRequest(&d, tt.nonce))
			e := s.event(event.JoinRefused, 0)
			if e.Word != string(tt.word) || (e.Hint != "") != tt.hint || e.DevEUI != d.DevEUI || e.JoinEUI != d.JoinEUI ||
				!e.HasEUIs || e.Gateway != "gw-a" {
				t.Errorf("event %+v", e)
			}
			if text := e.Text(); !strings.Contains(text, string(tt.word)) || !strings.Contains(text, d.DevEUI.String()) {
				t.Error(text)
			}
			s.wait(10 * time.Second)
			s.downs()
			if st := s.c.Stats(); st.JoinsRefused != 1 || st.Refusals[tt.word] != 1 || st.Joins != 0 {
				t.Errorf("stats %+v", st)
			}
			if got := s.devices["dev3"]; got.LastJoinNonce != registered.LastJoinNonce || got.Pending != nil ||
				len(got.UsedDevNonces) != len(registered.UsedDevNonces) {
				t.Error("the device has changed")
			}
		})
	}
}

// Each DevNonce brings one accept, whatever is heard how often and by whom.
func TestJoinOnce(t *testing.T) {
	s := newStand(t)
	s.answering(gwA, gwB)
	s.online(gwA, gwB)
	d := s.otaa("dev3", session.V1_0_3)
	phy := s.joinRequest(d, 7)
	s.hear(gwA, phy, at(-100))
	s.hear(gwA, phy, func(up *radio.Uplink) { up.Frequency = 868_500_000 }) // a ghost
	s.wait(50 * ms)
	s.hear(gwB, phy, at(-50), delayed(50*ms))
	s.wait(time.Second)
	if n := s.count(event.JoinRefused); n != 0 {
		t.Errorf("%d refusals", n)
	}
	s.hear(gwA, phy) // again
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinUsedNonce) {
		t.Errorf("event %+v", e)
	}
	s.wait(10 * time.Second)
	s.hear(gwA, phy)
	s.hear(gwB, phy)
	s.wait(10 * time.Second)
	s.downs("gw-b " + joinRX1 + ", 2s ahead: join_accept")
	s.tells("dev3 join")
	if st := s.c.Stats(); st.Joins != 1 || st.JoinsRefused != 2 || st.Ghosts != 1 || st.Copies != 2 {
		t.Errorf("stats %+v", st)
	}
	s.restart(s.disk.firm)
	s.answering(gwA)
	s.online(gwA)
	s.hear(gwA, phy)
	s.event(event.JoinRefused, 0)
	s.wait(10 * time.Second)
	s.downs()
}

// No accept goes out before its nonces are stored, and none if they cannot be.
func TestJoinIsStored(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	d := s.otaa("dev3", session.V1_0_3)
	s.fails = errDisk
	s.hear(gwA, s.joinRequest(d, 7))
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinNotStored) || e.Hint == "" {
		t.Errorf("event %+v", e)
	}
	s.wait(10 * time.Second)
	s.downs()
	s.fails, s.slow = nil, true
	s.hear(gwA, s.joinRequest(d, 8))
	s.wait(4 * time.Second)
	s.downs()
	s.stored()
	s.downs("gw-a " + joinRX1 + ", 1s ahead: join_accept")
	s.ack(radio.TxOK)
	s.wait(10 * time.Second)
	s.slow = true
	s.events = nil
	s.hear(gwA, s.joinRequest(d, 9))
	s.wait(10 * time.Second)
	s.stored()
	s.downs()
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinNoWindow) || e.Decision == nil {
		t.Errorf("event %+v", e)
	}
}

// An address that a session has is never given to another.
func TestDevAddrIsFree(t *testing.T) {
	s := newStand(t)
	s.answering(gwA)
	s.online(gwA)
	s.c.opts.Entropy = zeros{}
	one, two := s.otaa("dev3", session.V1_0_3), s.otaa("dev4", session.V1_0_3)
	if a := s.joined(one, 1).DevAddr; a != (radio.DevAddr{}) {
		t.Fatalf("DevAddr %v of nothing but zeros", a)
	}
	s.read = len(s.sent)
	s.hear(gwA, s.joinRequest(two, 1))
	if e := s.event(event.JoinRefused, 0); e.Word != string(event.JoinNoAddress) {
		t.Errorf("event %+v", e)
	}
	s.wait(10 * time.Second)
	s.downs()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Where the dwell time leaves no room for a list of channels, the accept goes
// without, and an event says so.
func TestJoinWithoutChannels(t *testing.T) {
	for _, tt := range []struct {
		plan   string
		sf     uint8
		size   int
		events int
	}{
		{"AS_923_925", 10, 17, 1},
		{"AS_923_925", 9, 33, 0},
		{"AS_923", 10, 17, 0}, // it has no more channels than every device
	} {
		t.Run(fmt.Sprintf("%s SF%d", tt.plan, tt.sf), func(t *testing.T) {
			s := newStand(t)
			s.answering(gwA)
			s.online(gwA)
			d := s.otaa("dev3", session.V1_0_3)
			s.in("dev3", tt.plan)
			s.hear(gwA, s.joinRequest(d, 7), with(tt.sf), func(up *radio.Uplink) { up.Frequency = 923_200_000 })
			s.wait(10 * time.Second)
			if len(s.sent) != 1 || len(s.sent[0].PHYPayload) != tt.size ||
				!strings.HasPrefix(s.sent[0].text, fmt.Sprintf("gw-a +5s 923.2 MHz SF%dBW125", tt.sf)) {
				t.Fatalf("sent %+v, want %d bytes", s.sent, tt.size)
			}
			if n := s.count(event.JoinWithoutChannels); n != tt.events || s.count(event.JoinAccepted) != 1 {
				t.Errorf("%d events, want %d", n, tt.events)
			}
		})
	}
}
