package main

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/session"
	"lorawand/concentrator/air"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

// setUp is what a personalised device of LoRaWAN 1.0.3 in EU868 is told after its first
// uplink, as The Things Stack 3.32.1 does: RXParamSetupReq, NewChannelReq five times,
// RXTimingSetupReq, DevStatusReq, 38 bytes.
const setUp = "0503d2ad84" + "0703184f8450" + "0704e8568450" + "0705b85e8450" + "070688668450" + "0707586e8450" +
	"0805" + "06"

// A personalised device on the air gets its set-up once, and answers it. Then it is asked
// for its status, whose answer had no room, and no downlink that nobody has asked for
// follows in 30 uplinks.
func TestAirSetUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "EU_863_870_TTN")
		w.gateway(virtual.Options{Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}}}, true)
		d := &session.Device{
			ID: deviceID("abp"), DevEUI: radio.EUI64{1}, Version: session.V1_0_3, Plan: w.plan.ID(),
			Session: &session.Session{DevAddr: testAddr, Keys: testKeys(t)},
		}
		if err := w.devices.Add(d); err != nil {
			t.Fatal(err)
		}
		var heard []air.Heard
		var missed []string
		v, err := w.air.Device(air.DeviceOptions{
			Name: "abp", Plan: w.plan, DataRate: 5, RSSI: -6000, SNR: 850, DevAddr: testAddr, Keys: testKeys(t),
			Heard:  func(h air.Heard) { heard = append(heard, h) },
			Missed: func(m air.Missed) { missed = append(missed, m.Reason) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w.run()
		// send sends an uplink with answers, and returns what the device is asked.
		send := func(answers string) (asked string) {
			opts, err := hex.DecodeString(answers)
			if err != nil {
				t.Fatal(err)
			}
			heard = nil
			if _, err := v.Send(frame.Data{FOpts: opts, HasFPort: true, FPort: 1, FRMPayload: []byte{1}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, h := range heard {
				for _, c := range h.Commands {
					asked += hex.EncodeToString(append([]byte{c.CID}, c.Payload...))
				}
			}
			return asked
		}
		if got := send(""); got != setUp || heard[0].Window != 1 || heard[0].Data.FPort != 0 ||
			len(heard[0].Data.FRMPayload) != 38 {
			t.Fatalf("asked %s, want %s", got, setUp)
		}
		v.SetWindows(5*time.Second, 0, region.Window{Frequency: 869_525_000, DataRate: 3})
		if got := send("0507" + strings.Repeat("0703", 5) + "08"); got != "06" || heard[0].Window != 1 {
			t.Errorf("asked %q after the answers, want the status alone", got)
		}
		send("06fe0a")
		for n := range 30 {
			if send(""); len(heard) > 0 {
				t.Errorf("a downlink after uplink %d, which nobody has asked for: %+v", n+3, heard[0].Data)
			}
		}
		w.stop()
		checkSetUp(t, w, d, missed)
	})
}

// checkSetUp checks the events of what the device was asked, and what the network knows
// of it after its answers.
func checkSetUp(t *testing.T, w *world, d *session.Device, missed []string) {
	t.Helper()
	if len(missed) > 0 || len(w.sent) != 2 {
		t.Errorf("%d downlinks, missed %v", len(w.sent), missed)
	}
	asked := slices.DeleteFunc(slices.Clone(w.events), func(e event.Event) bool { return e.Kind != event.MACAsked })
	if len(asked) != 9 || asked[0].Err.Error() != "RXParamSetupReq RX1 offset 0, RX2 869.525 MHz DR3" {
		t.Errorf("%d events of what was asked: %+v", len(asked), asked)
	}
	if p := d.Session.Parameters; p == nil || len(p.Channels) != 8 || p.RX1Delay != 5 || p.RX2DataRate != 3 {
		t.Errorf("parameters %+v", p)
	}
	if st := d.Session.MAC.Status; st == nil || st.Battery != 254 || st.Margin != 10 {
		t.Errorf("status %+v", st)
	}
}
