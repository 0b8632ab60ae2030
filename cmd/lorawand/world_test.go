package main

import (
	"testing"
	"testing/synctest"
	"time"

	"lorawand/bridge/event"
	"lorawand/bridge/v3"
	"lorawand/concentrator/air"
	"lorawand/concentrator/virtual"
	"lorawand/radio"
)

// A thousand devices join within ten seconds, and those that nobody answers try
// again every minute or so. Every request is answered or refused with a reason;
// the gateway's hour holds no more than it may.
func TestAirJoinStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count, length = 1000, 2 * time.Hour
		w := newWorld(t, "EU_863_870_TTN")
		w.gateway(virtual.Options{Receiver: air.ReceiverOptions{EUI: radio.EUI64{0xA}, Counter: 4_290_000_000}}, true)
		joined, told := map[string]int{}, map[string]bool{}
		w.message = func(m v3.Message) { told[m.Device] = told[m.Device] || m.Suffix == v3.Join }
		var missed []string
		attempts, inStorm := 0, 0
		begin := time.Now()
		for i := range count {
			var v *air.Device
			join := func() {
				if _, err := v.Join(); err != nil {
					t.Error(err)
				}
				attempts++
			}
			v = w.otaa(i, air.DeviceOptions{
				DataRate: 5, RSSI: -8000, SNR: 700,
				Heard: func(h air.Heard) {
					joined[h.Device] = h.Window
					if time.Since(begin) < 20*time.Second {
						inStorm++
					}
				},
				Missed: func(m air.Missed) { missed = append(missed, m.Device+": "+m.Reason) },
				Silent: func(air.Sent) {
					if next := time.Now().Add(time.Minute + time.Duration(i%97)*time.Second); next.Sub(begin) < length {
						w.air.At(next, join)
					}
				},
			})
			w.air.At(begin.Add(time.Duration(i)*10*time.Second/count), join)
		}
		w.run()
		time.Sleep(length + time.Minute)
		w.stop()

		refused := explainedRefusals(t, w)
		windows := toldWindows(t, joined, told)
		if attempts != len(joined)+refused[event.JoinNoWindow] || len(refused) != 1 || len(told) != len(joined) {
			t.Errorf("%d requests, %d answered, %d told, refused %v", attempts, len(joined), len(told), refused)
		}
		if len(missed) > 0 {
			t.Errorf("%d join-accepts were sent for nothing: %s", len(missed), missed[0])
		}
		checkOverlaps(t, w.sent)
		fullest := checkDutyCycle(t, w.sent)
		if inStorm < 60 || len(joined) < 800 || windows[2] < 20 || fullest < 0.95 || fullest > 1 {
			t.Errorf("that tests little, or too little is answered")
		}
		t.Logf("%d requests: %d devices joined, %d of them in the storm, %d in RX1, %d in RX2; %v refused; fullest hour at "+
			"%.3f of its duty cycle",
			attempts, len(joined), inStorm, windows[1], windows[2], refused, fullest)
	})
}

// explainedRefusals counts the refused joins by their reason. Each must have a hint and
// the record of both windows.
func explainedRefusals(t *testing.T, w *world) map[event.JoinRefusal]int {
	t.Helper()
	refused := map[event.JoinRefusal]int{}
	for i := range w.events {
		e := &w.events[i]
		if e.Kind != event.JoinRefused {
			continue
		}
		refused[event.JoinRefusal(e.Word)]++
		if e.Decision == nil || len(e.Decision.Options) != 2 || e.Hint == "" {
			t.Fatalf("%v was refused, and nobody knows why: %+v", e.Device, e)
		}
	}
	return refused
}

// toldWindows counts the windows in which devices have joined. The application must know
// of each of them.
func toldWindows(t *testing.T, joined map[string]int, told map[string]bool) map[int]int {
	t.Helper()
	windows := map[int]int{}
	for device, window := range joined {
		windows[window]++
		if !told[device] {
			t.Errorf("%s has joined, and the application was not told", device)
		}
	}
	return windows
}

// The counter of a forwarder on a bad network: no join-accept leaves later than
// its window, or earlier. In five days it wraps a hundred times; an emulated CPU has a share of them.
func TestAirClock(t *testing.T) {
	for name, every := range map[string]time.Duration{"hours": 30 * time.Second, "days": 18 * time.Minute} {
		t.Run(name, func(t *testing.T) { airClock(t, 400/emulatedShare, every) })
	}
}

// airClock has devices join so often, one each so long.
func airClock(t *testing.T, rounds int, every time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "EU_863_870_TTN")
		gw := radio.EUI64{0xA}
		forwarder := w.remote(remoteOptions{
			Receiver: air.ReceiverOptions{EUI: gw, Counter: 4_294_967_295 - 60_000_000, Drift: 50},
			Jitter:   800 * time.Millisecond, Seed: 7,
		}, false)
		heard, silent := 0, 0
		var missed []string
		var devices []*air.Device
		for i := range 10 {
			devices = append(devices, w.otaa(i, air.DeviceOptions{
				DataRate: 5, RSSI: -8000, SNR: 700,
				Heard:  func(air.Heard) { heard++ },
				Missed: func(m air.Missed) { missed = append(missed, m.Reason) },
				Silent: func(air.Sent) { silent++ },
			}))
		}
		w.run()
		restarts := 0
		for n := range rounds {
			if n%100 == 50 {
				forwarder.Reset(uint32(n)) // the forwarder is started anew
				restarts++
			}
			if _, err := devices[n%len(devices)].Join(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(every)
		}
		w.stop()
		if len(missed) > 0 || heard+silent != rounds || silent > restarts {
			t.Errorf("%d joins: %d heard, %d heard nothing; missed %v", rounds, heard, silent, missed)
		}
	})
}
