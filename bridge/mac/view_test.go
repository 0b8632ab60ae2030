package mac

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
	"lorawand/bridge/session/macstate"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// personalised makes a device one of ABP.
func personalised(e *endDevice) { e.d.SupportsJoin, e.d.Session.Parameters = false, nil }

var showCases = []struct {
	name    string
	setting func(*endDevice)
	uplinks int
	want    []string
}{
	{"not heard", func(*endDevice) {}, 0, []string{
		"power: index 0, 16 dBm", "current: RX1 after 1 s, data rate offset 0", "current: RX2 869.525 MHz SF9BW125",
		"current: channels 0: 868.1, 1: 868.3, 2: 868.5, 3: 867.1, 4: 867.3, 5: 867.5, 6: 867.7, 7: 867.9 MHz",
		"ADR: nothing asked",
	}},
	{"no ADR bit", func(e *endDevice) { e.noADR = true }, 3, []string{
		"link: SF12BW125 10 dB in 3, 0 of 3", "ADR: nothing asked: the device does not let the network decide (no ADR bit)",
	}},
	{"off", func(e *endDevice) {
		e.d.Settings.MAC.ADR.Disabled = true
	}, 1, []string{"ADR: off, by the device's settings"}},
	{"strong", func(e *endDevice) { e.heard = snrAt(920) }, 3, []string{
		"link: SF8BW125 9.2 dB in 2, 0 of 2", "power: index 0, 16 dBm",
		"current: SF8BW125, power index 0, 16 dBm, NbTrans 1, by LinkADRReq",
		"ADR: after uplink 1: SNR 9.2 dB at SF12BW125, 1 uplinks, needs -20 + 15 dB: SF8BW125, power index 0, NbTrans 1",
	}},
	{"losses", func(e *endDevice) {
		e.heard = func(e *endDevice) (radio.Decibel, bool) { return -1000, e.fCnt%4 != 0 }
	}, 16, []string{"ADR: after uplink 14: SNR -10 dB at SF12BW125, 10 uplinks, needs -20 + 15 dB, 3 of 13 lost: " +
		"SF12BW125, power index 0, NbTrans 2"}},
	{"static", func(e *endDevice) {
		e.d.Settings.MAC.ADR = macstate.ADR{Static: &macstate.Static{DataRate: 3, Power: 2, NbTrans: 2}}
	}, 2, []string{
		"power: index 2, 12 dBm",
		"ADR: after uplink 1: as the device's settings lay it down: SF9BW125, power index 2, NbTrans 2",
	}},
	{"mute", func(e *endDevice) { personalised(e); e.mute = true }, 4, []string{
		"current: RX2 869.525 MHz SF12BW125", "wanted: RXParamSetupReq RX1 offset 0, RX2 869.525 MHz DR3",
		"wanted: NewChannelReq 3: 867.1 MHz DR0 to DR5",
		"pending: NewChannelReq 7: 867.9 MHz DR0 to DR5, sent 3 of 6 times, the last after uplink 4",
	}},
	{"mute for long", func(e *endDevice) { personalised(e); e.mute = true }, 90, []string{
		"pending: NewChannelReq 7: 867.9 MHz DR0 to DR5, sent 6 of 6 times, the last after uplink 32; not asked again " +
			"until something else is wanted",
	}},
	{"refuses", func(e *endDevice) {
		personalised(e)
		e.noADR, e.refuses = true, func(macstate.Command) (byte, bool) { return 0, true }
	}, 2, []string{
		"refused: RXParamSetupReq RX1 offset 0, RX2 869.525 MHz DR3",
		"refused: NewChannelReq 7: 867.9 MHz DR0 to DR5",
	}},
	{"status", func(e *endDevice) {
		e.d.Session.MAC = &macstate.State{Status: &macstate.Status{
			FCntUp: 7,
			At:     time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC), Battery: 128, Margin: -3,
		}}
	}, 0, []string{"status: battery 50 %, margin -3 dB, with uplink 7, 2026-11-28 16:00:00 UTC"}},
}

// A View says what a device uses, is asked for and has refused, and why ADR has decided.
func TestShow(t *testing.T) {
	for _, tt := range showCases {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{nbTrans: 1})
			tt.setting(e)
			for range tt.uplinks {
				e.uplink()
			}
			text := lines(Show(e.d, 1, time.Time{}))
			for _, line := range tt.want {
				if !strings.Contains(text, line+"\n") {
					t.Errorf("no %q in\n%s", line, text)
				}
			}
		})
	}
}

// A look changes nothing, also where asking would.
func TestShowChangesNothing(t *testing.T) {
	e := newEndDevice(t, "EU_863_870_TTN", session.V1_0_3, link{nbTrans: 1})
	e.uplink()
	e.d.Session.Parameters.ADRDataRate = 5 // the device has gone back to SF12 by itself
	e.d.Session.MAC = &macstate.State{LinkADR: true}
	devices := session.NewRegistry(0)
	e.d.DevEUI, e.d.JoinEUI, e.d.HasJoinEUI = radio.EUI64{1}, radio.EUI64{2}, true
	key := frame.Key{1}
	e.d.RootKeys.AppKey, e.d.Session.Keys = key, frame.SessionKeys{
		FNwkSIntKey: key, SNwkSIntKey: key, NwkSEncKey: key,
		AppSKey: key,
	}
	if err := devices.Add(e.d); err != nil {
		t.Fatal(err)
	}
	params, state := e.d.Session.Parameters, e.d.Session.MAC
	Show(e.d, 1, time.Time{})
	if e.d.Session.Parameters != params || e.d.Session.MAC != state || params.ADRDataRate != 5 ||
		devices.NextChanged() != nil {
		t.Errorf("%+v, %+v", e.d.Session.Parameters, e.d.Session.MAC)
	}
}

func lines(v View) string {
	var b strings.Builder
	if v.DataRate != "" {
		fmt.Fprintf(&b, "link: %s %s dB in %d, %d of %d\n", v.DataRate, v.SNR, v.Uplinks, v.Lost, v.Of)
	}
	for _, l := range []struct {
		name  string
		lines []string
	}{
		{"power", []string{v.Power}},
		{"current", v.Current},
		{"wanted", v.Wanted},
		{"pending", v.Pending},
		{"refused", v.Refused},
		{"ADR", []string{v.ADR}},
		{"status", []string{v.Status}},
	} {
		for _, text := range l.lines {
			b.WriteString(l.name + ": " + text + "\n")
		}
	}
	return b.String()
}

// Each request is said in words; what is no request of ours is shown as it is.
func TestWords(t *testing.T) {
	for _, tt := range []struct {
		c    macstate.Command
		want string
	}{
		{
			macstate.New(cidLinkADR, 0x51, 0xff, 0x00, 0x01),
			"LinkADRReq DR5, power index 1, NbTrans 1, channels 00ff, ChMaskCntl 0",
		},
		{macstate.New(cidDutyCycle, 10), "DutyCycleReq 1/1024 of the time"},
		{macstate.New(cidRXParamSetup, 0x13, 0xd2, 0xad, 0x84), "RXParamSetupReq RX1 offset 1, RX2 869.525 MHz DR3"},
		{macstate.New(cidDevStatus), "DevStatusReq"},
		{macstate.New(cidRXTimingSetup, 0), "RXTimingSetupReq 1 s"},
		{macstate.New(cidTxParamSetup, 0x1d), "TxParamSetupReq 30 dBm, uplinks 400 ms, downlinks not limited"},
		{macstate.New(cidDlChannel, 3, 0x80, 0x91, 0x84), "DlChannelReq 3: 868.8 MHz"},
		{macstate.New(cidADRParamSetup, 0x76), "ADRParamSetupReq limit 128, delay 64"},
		{macstate.New(cidRejoinParam, 0xff), "RejoinParamSetupReq each 33554432 s or 524288 uplinks"},
		{macstate.New(cidForceRejoin, 0x30, 0), "ForceRejoinReq 3000"},
		{macstate.New(cidLinkADR, 1), "command 03 01"},
		{macstate.New(0x99, 1, 2), "command 99 0102"},
	} {
		if got := Words(tt.c); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
