package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/air"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// People start a packet forwarder anew again and again while they set it up: what
// devices send then is answered, joins too, by whatever is known of the restart.
func TestAirRestart(t *testing.T) {
	for _, rx1Delay := range []time.Duration{time.Second, 5 * time.Second} {
		for _, after := range []time.Duration{6 * time.Second, 20 * time.Second, 59 * time.Second, 90 * time.Second} {
			for _, port := range []bool{true, false} {
				t.Run(fmt.Sprintf("RX1 after %v, %v after it began, another port %v", rx1Delay, after, port), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testRestart(t, rx1Delay, after, port) })
				})
			}
		}
	}
}

func testRestart(t *testing.T, rx1Delay, after time.Duration, port bool) {
	w := newWorld(t, "EU_863_870_TTN")
	w.rx1Delay = rx1Delay
	forwarder := w.remote(remoteOptions{
		Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}},
		Jitter:   50 * time.Millisecond, Seed: 3,
	}, false)
	answers := map[string]int{}
	var silent []string
	device := func(i int) *air.Device {
		return w.otaa(i, air.DeviceOptions{
			DataRate: 5, RSSI: -8000, SNR: 700,
			Heard:  func(h air.Heard) { answers[h.Device]++ },
			Missed: func(m air.Missed) { silent = append(silent, m.Device+": "+m.Reason) },
			Silent: func(s air.Sent) { silent = append(silent, fmt.Sprintf("nobody answers %+v", s)) },
		})
	}
	data, joins := device(0), []*air.Device{device(1), device(2)}
	send := func() {
		if _, err := data.Send(frame.Data{
			MType: frame.ConfirmedUp, HasFPort: true, FPort: 2,
			FRMPayload: []byte("x"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	join := func(v *air.Device) {
		if _, err := v.Join(); err != nil {
			t.Fatal(err)
		}
	}
	w.run()
	join(data)
	time.Sleep(15 * time.Second)
	const rounds = 4
	for range rounds {
		forwarder.restart(0, port)
		time.Sleep(200 * time.Millisecond)
		send()
		time.Sleep(after - 200*time.Millisecond)
	}
	forwarder.restart(0, port)
	time.Sleep(200 * time.Millisecond)
	join(joins[0])
	time.Sleep(700 * time.Millisecond)
	send()
	time.Sleep(700 * time.Millisecond)
	join(joins[1])
	time.Sleep(15 * time.Second)
	w.stop()
	if answers["dev0000"] != 1+rounds+1 || answers["dev0001"] != 1 || answers["dev0002"] != 1 || len(silent) > 0 {
		t.Errorf("answers %v; %v", answers, silent)
	}
}
