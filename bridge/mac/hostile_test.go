package mac

import (
	"bytes"
	"fmt"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
)

// hostile are devices that do what no device should, for 200 uplinks.
var hostile = []struct {
	name    string
	plan    string
	version session.Version
	want    func(*session.Device)
	before  func(e *endDevice, i int) // before uplink i
	most    int                       // downlinks with requests
	empty   int                       // downlinks without, at the most
}{
	{
		"accepts a data rate, and keeps to its own", "EU_863_870_TTN", session.V1_0_3, nil,
		func(e *endDevice, _ int) { e.dataRate = 0 }, 10, 0,
	},
	{
		"accepts channels and a data rate, and keeps to its own", "US_902_928_FSB_2", session.V1_0_2,
		func(d *session.Device) { d.Session.MAC = &macstate.State{NoCFList: true} },
		func(e *endDevice, _ int) { e.dataRate = 0 }, 10, 0,
	},
	{
		"obeys, and goes back to its own data rate", "EU_863_870_TTN", session.V1_0_3, nil,
		func(e *endDevice, i int) {
			if i%2 == 0 {
				e.dataRate = 0
			}
		}, 10, 0,
	},
	{
		"sends with any data rate, and answers nothing", "EU_863_870_TTN", session.V1_0_3, nil,
		func(e *endDevice, i int) { e.dataRate, e.mute = uint8(i%5), true }, 10, 0,
	},
	{
		"refuses its channels, whatever the data rate", "EU_863_870_TTN", session.V1_0_3, nil,
		func(e *endDevice, i int) {
			e.dataRate = uint8(i % 5)
			e.refuses = func(macstate.Command) (byte, bool) { return 6, true }
		}, 1, 0,
	},
	{
		"refuses everything, whatever the data rate", "AU_915_928_FSB_2", session.V1_1, nil,
		func(e *endDevice, i int) {
			e.dataRate = uint8(i % 5)
			e.refuses = func(macstate.Command) (byte, bool) { return 0, true }
		}, 25, 0,
	},
	{
		"repeats an answer for ever", "EU_863_870_TTN", session.V1_0_3,
		func(d *session.Device) { d.Settings.Desired.RX1Delay = ptr(uint8(5)) },
		func(e *endDevice, i int) {
			if e.noADR, e.mute = true, true; i > 0 {
				e.answers = []byte{cidRXTimingSetup}
			}
		}, 1, macstate.MaxTries,
	},
	{
		"begins anew with each uplink", "EU_863_870_TTN", session.V1_0_2, notJoined,
		func(e *endDevice, _ int) { e.begun, e.mute = true, true }, 10, 0,
	},
	{
		"says with each uplink that it has begun anew", "EU_863_870_TTN", session.V1_1, notJoined,
		func(e *endDevice, _ int) { e.answers, e.mute = []byte{cidReset, 1}, true }, 10, 200,
	},
	{
		"sends 242 bytes of answers", "EU_863_870_TTN", session.V1_1,
		func(d *session.Device) { d.Settings.Desired.RX1Delay = ptr(uint8(5)) },
		func(e *endDevice, _ int) {
			e.mute, e.noADR = true, true
			e.answers = bytes.Repeat([]byte{3, 7, 5, 7, 7, 3, 8, 9, 10, 3, 15, 1, 6, 1, 1, 4, 12}, 15)[:242]
		}, 0, macstate.MaxTries,
	},
	{
		"answers nothing, and asks for a downlink each time", "EU_863_870_TTN", session.V1_0_3,
		func(d *session.Device) { d.Settings.MAC.MaxDutyCycle = ptr(uint8(3)) },
		func(e *endDevice, _ int) { e.mute, e.ackReq, e.noADR = true, true, true }, macstate.MaxTries, 200,
	},
	{
		"is to have what no command can tell", "EU_863_870_TTN", session.V1_0_3, func(d *session.Device) {
			d.Settings.Desired.RX1Delay, d.Settings.Desired.RX1DROffset = ptr(uint8(16)), ptr(uint8(9))
			d.Settings.Desired.RX2DataRate, d.Settings.MAC.MaxDutyCycle = ptr(uint8(18)), ptr(uint8(26))
			d.Settings.MAC.RX2Frequency = ptr(radio.Frequency(868_500_050))
			w := macstate.ChannelOn(868_300_001, 0, 5)
			w.DownlinkFrequency = 868_800_001
			other := macstate.ChannelOn(867_100_050, 16, 21)
			d.Session.MAC = &macstate.State{Wish: &macstate.Wish{Channels: []session.Channel{{}, w, {}, other}}}
		},
		func(e *endDevice, _ int) { e.noADR = true }, 1, 6,
	},
}

func notJoined(d *session.Device) {
	d.SupportsJoin = false
	d.Settings.Desired.RX1Delay = ptr(uint8(5))
}

// No device can bring about downlinks for ever, but those that it asks for itself.
func TestHostileDevices(t *testing.T) {
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, tt.plan, tt.version, link{nbTrans: 1})
			if tt.want != nil {
				tt.want(e.d)
			}
			for i := range 200 {
				tt.before(e, i)
				e.uplink()
			}
			if e.requests > tt.most || e.downlinks-e.requests > tt.empty {
				t.Errorf("%d downlinks with requests, %d without; want %d and %d at the most: %s",
					e.requests, e.downlinks-e.requests, tt.most, tt.empty, hexOf(e.asked))
			}
			if e.requests == 0 && tt.most > 0 {
				t.Error("nothing was asked")
			}
		})
	}
}

// An answer that a device repeats is not taken for that to a later request.
func TestRepeatedAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		want   func(d *session.Device, n uint8)
		answer []byte
		has    func(p *session.Parameters) uint8
	}{
		{
			"RXTimingSetupAns", func(d *session.Device, n uint8) { d.Settings.Desired.RX1Delay = &n },
			[]byte{8},
			func(p *session.Parameters) uint8 { return p.RX1Delay },
		},
		{
			"RXParamSetupAns", func(d *session.Device, n uint8) { d.Settings.Desired.RX1DROffset = &n },
			[]byte{5, 7},
			func(p *session.Parameters) uint8 { return p.RX1DROffset },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := settledDevice(t, "EU_863_870_TTN", session.V1_0_4, func(d *session.Device) { tt.want(d, 5) })
			e.uplink()
			tt.want(e.d, 3)
			for range 3 { // the device does not hear what is sent in answer
				e.answers = tt.answer
				if due := e.uplink(); len(due) > 0 {
					t.Fatalf("asked %s, while the device repeats the answer to what was asked before", hexOf(due))
				}
				if n := tt.has(e.d.Session.Parameters); n != 5 {
					t.Fatalf("%d is in use, want 5", n)
				}
			}
			if due := e.uplink(); len(due) != 1 {
				t.Fatalf("asked %s once the device has heard", hexOf(due))
			}
			e.answers = tt.answer
			if e.uplink(); tt.has(e.d.Session.Parameters) != 3 {
				t.Errorf("%+v", e.d.Session.Parameters)
			}
		})
	}
}

// A frame that the device sends several times does not answer what was sent in answer to
// the first of them.
func TestFrameSentSeveralTimes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		asked  macstate.Command // in answer to the frame
		answer []byte           // to what was asked before
	}{
		{"LinkADRAns", macstate.New(cidLinkADR, 0x50, 0xff, 0, 1), []byte{3, 7}},
		{"NewChannelAns", macstate.New(cidNewChannel, 7, 0x58, 0x6e, 0x84, 0x50), []byte{7, 3}},
		{"DevStatusAns", macstate.New(cidDevStatus), []byte{6, 1, 2}},
		{"RXTimingSetupAns", macstate.New(cidRXTimingSetup, 3), []byte{8}},
		{"RXParamSetupAns", macstate.New(cidRXParamSetup, 0x13, 0xd2, 0xad, 0x84), []byte{5, 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{nbTrans: 2})
			Owed{asked: &[]macstate.Command{tt.asked}}.sent(e.d.Session, 7)
			params := e.d.Session.Parameters
			up := func(fCnt uint32) {
				Uplink(dataUp(), tt.answer, UplinkContext{
					Device: e.d, Session: e.d.Session, Plan: e.plan, FCnt: fCnt, Rate: radio.LoRaDataRate(12, 125_000),
				})
			}
			if up(7); len(e.d.Session.MAC.Asked) != 1 || e.d.Session.Parameters != params {
				t.Errorf("%+v, %+v after the same frame", e.d.Session.MAC, e.d.Session.Parameters)
			}
			if up(8); len(e.d.Session.MAC.Asked) != 0 {
				t.Errorf("%+v after the next frame", e.d.Session.MAC)
			}
		})
	}
}

// A stored request of any length is answered without a panic.
func TestStoredRequestsOfAnyLength(t *testing.T) {
	for size := range uint8(7) {
		e := newEndDevice(t, "US_902_928_FSB_2", session.V1_1, link{nbTrans: 1})
		m := &macstate.State{}
		for c := range 32 {
			m.Asked = append(m.Asked, macstate.Request{Command: macstate.Command{CID: byte(c), Size: size}, Tries: 1})
		}
		e.d.Session.MAC = m
		e.answers = []byte{3, 7, 4, 5, 7, 6, 1, 2, 7, 3, 8, 9, 10, 3, 12, 15, 1}
		e.uplink()
		if n := len(e.d.Session.MAC.Asked); n == 0 {
			t.Error(fmt.Sprint(size, ": all are taken for answered"))
		}
	}
}
