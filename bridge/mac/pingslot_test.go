package mac

import (
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// A device of Class B tells its ping slots and its class, and is answered.
func TestPingSlotInfo(t *testing.T) {
	for _, tt := range []struct {
		name     string
		may      bool // its owner says that it is of Class B
		bit      bool
		commands []byte
		answers  []byte
		known    bool
		every    uint8
		classB   bool
	}{
		{"each 2 s", true, false, []byte{0x10, 1}, []byte{0x10}, true, 1, false},
		{"each 128 s, with the bit", true, true, []byte{0x10, 7}, []byte{0x10}, true, 7, true},
		{"reserved bits are of no account", true, false, []byte{0x10, 0xfa}, []byte{0x10}, true, 2, false},
		{"twice", true, false, []byte{0x10, 3, 0x10, 4}, []byte{0x10}, true, 4, false},
		{"its owner knows nothing of it", false, true, []byte{0x10, 1}, nil, false, 0, false},
		{"cut off", true, false, []byte{0x10}, nil, false, 0, false},
		{"the bit alone", true, true, nil, nil, false, 0, true},
		{"BeaconTimingReq", true, true, []byte{0x12}, nil, false, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &session.Device{Version: session.V1_0_3, ClassB: tt.may, Session: &session.Session{}}
			ctx := UplinkContext{Device: d, Session: d.Session, TimeKnown: true}
			o := Uplink(&frame.Data{ClassB: tt.bit}, tt.commands, ctx)
			if got := o.appendAnswers(nil, Circumstances{}); string(got) != string(tt.answers) || o.size() != len(got) {
				t.Errorf("answered % x, want % x", got, tt.answers)
			}
			if p := d.Session.MAC.Pings(); p.Known != tt.known || p.Periodicity != tt.every {
				t.Errorf("ping slots %+v", p)
			}
			if is := d.Session.MAC != nil && d.Session.MAC.ClassB; is != tt.classB {
				t.Errorf("in Class B: %v", is)
			}
			Uplink(&frame.Data{}, nil, ctx)
			if d.Session.MAC != nil && d.Session.MAC.ClassB {
				t.Error("in Class B after an uplink without the bit")
			}
		})
	}
}

// Answers stand in the order of The Things Stack: PingSlotInfoAns, then DeviceTimeAns.
func TestPingSlotInfoWithTime(t *testing.T) {
	d := &session.Device{Version: session.V1_0_3, ClassB: true, Session: &session.Session{}}
	o := Uplink(&frame.Data{}, []byte{0x10, 1, 0x0d}, UplinkContext{Device: d, Session: d.Session, TimeKnown: true})
	if got := o.Answers(); len(got) != 2 || got[0] != "PingSlotInfoAns" || got[1] != "DeviceTimeAns" {
		t.Errorf("%v", got)
	}
}

// A ping slot is where the band has it, until the device was told otherwise.
func TestPingSlotWindow(t *testing.T) {
	plan, err := region.Lookup("US_902_928_FSB_2")
	if err != nil {
		t.Fatal(err)
	}
	d := &session.Device{Version: session.V1_0_4, Session: &session.Session{DevAddr: radio.DevAddr{3: 2}}}
	w, err := PingSlot(d, d.Session, plan, 0)
	if err != nil || w[0].Err == nil || w[1].Frequency != 924_500_000 || w[1].Name != "PING" || w[1].Delay != 0 ||
		w[1].DataRate != radio.LoRaDataRate(12, 500_000) {
		t.Errorf("%+v, %v", w, err)
	}
	rate := uint8(10)
	d.Session.MAC = d.Session.MAC.WithPing(macstate.Ping{Frequency: 925_100_000, DataRate: &rate})
	w, err = PingSlot(d, d.Session, plan, 0)
	if err != nil || w[1].Frequency != 925_100_000 || w[1].DataRate != radio.LoRaDataRate(10, 500_000) {
		t.Errorf("%+v, %v", w, err)
	}
}

// In bands whose ping channels take turns, a device listens on each of them now and then.
// The network has to ask it to stay on one.
func TestPingSlotChannelOfMany(t *testing.T) {
	for _, tt := range []struct {
		plan      string
		frequency radio.Frequency
		want      string
	}{
		{"US_902_928_FSB_2", 923_300_000, "11 68e28c 08"},
		{"US_902_928_FSB_2", 923_900_000, "11 d8f98c 08"},
		{"AU_915_928_FSB_2", 923_300_000, "11 68e28c 08"},
		{"CN_470_510_FSB_11", 508_300_000, "11 788f4d 02"},
		{"US_902_928_FSB_2", 0, ""},
	} {
		e := settledDevice(t, tt.plan, session.V1_0_4, func(d *session.Device) {
			d.ClassB, d.Settings.MAC.PingFrequency = true, &tt.frequency
		})
		if got := hexOf(e.uplink()); got != strings.ReplaceAll(tt.want, " ", "") {
			t.Errorf("%s, %v: asked %s, want %s", tt.plan, tt.frequency, got, tt.want)
		}
	}
}

// The network does not ask for a channel that the device uses already.
func TestPingSlotChannelAsIs(t *testing.T) {
	for name, want := range map[string]func(*session.Device){
		"that of the band": func(d *session.Device) {
			d.Settings.MAC.PingFrequency, d.Settings.MAC.PingDataRate = ptr(radio.Frequency(869_525_000)), ptr(uint8(3))
		},
		"none":                  func(*session.Device) {},
		"not of Class B":        func(d *session.Device) { d.ClassB, d.Settings.MAC.PingDataRate = false, ptr(uint8(2)) },
		"the beacon's as it is": func(d *session.Device) { d.Settings.MAC.Beacon = ptr(radio.Frequency(0)) },
	} {
		e := settledDevice(t, "EU_863_870_TTN", session.V1_0_3, func(d *session.Device) {
			d.ClassB = true
			want(d)
		})
		if got := hexOf(e.uplink()); got != "" {
			t.Errorf("%s: asked %s", name, got)
		}
	}
}
