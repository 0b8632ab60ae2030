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

// Gateways behind a multiplexer on this host are reached by the loopback, and
// there is a network behind it all the same: once a trip was measured, answers
// are in time for RX1.
func TestAirMultiplexer(t *testing.T) {
	const ms = time.Millisecond
	for _, rx1Delay := range []time.Duration{time.Second, 5 * time.Second} {
		for _, local := range []bool{true, false} {
			for _, trip := range [][2]time.Duration{
				{0, 0},
				{0, 120 * ms},
				{60 * ms, 60 * ms},
				{120 * ms, 120 * ms},
				{120 * ms, 0},
				{200 * ms, 200 * ms},
				{0, 400 * ms},
				{400 * ms, 400 * ms},
			} {
				name := fmt.Sprintf("RX1 after %v, local %v, %v up, %v down", rx1Delay, local, trip[0], trip[1])
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { testTrip(t, rx1Delay, local, trip[0], trip[1]) })
				})
			}
		}
	}
}

func testTrip(t *testing.T, rx1Delay time.Duration, local bool, up, down time.Duration) {
	w := newWorld(t, "EU_863_870_TTN")
	w.rx1Delay = rx1Delay
	w.remote(remoteOptions{
		Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}, Counter: 60_000_000}, Jitter: 20 * time.Millisecond, Seed: 1,
		Up: up, Down: down, Local: local,
	}, false)
	var windows []int
	v := w.otaa(0, air.DeviceOptions{
		DataRate: 5, RSSI: -8000, SNR: 700,
		Heard:  func(h air.Heard) { windows = append(windows, h.Window) },
		Silent: func(air.Sent) { windows = append(windows, 0) },
	})
	w.run()
	if _, err := v.Join(); err != nil {
		t.Fatal(err)
	}
	const count = 20
	for range count {
		time.Sleep(15 * time.Second)
		if _, err := v.Send(frame.Data{
			MType: frame.ConfirmedUp, HasFPort: true, FPort: 2,
			FRMPayload: []byte("x"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(15 * time.Second)
	w.stop()
	if len(windows) != 1+count {
		t.Fatalf("%d of %d uplinks came to an end: %v", len(windows), 1+count, windows)
	}
	for i, n := range windows[2:] { // the join and the first uplink may find out how long a trip takes
		if n != 1 {
			t.Fatalf("uplink %d was answered in window %d: %v", i+1, n, windows)
		}
	}
}
