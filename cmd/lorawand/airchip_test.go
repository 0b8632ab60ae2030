package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// chip adds a gateway with a concentrator chip on board: the driver, and a
// model of the chip on the air.
func (w *world) chip(eui radio.EUI64) *sx1302.Driver {
	w.Helper()
	board, err := sx1302.FindBoard("rak2287", "EU868")
	if err != nil {
		w.Fatal(err)
	}
	c := sx1302.Config{Radios: board.Radios}
	for i, centre := range []radio.Frequency{867_500_000, 868_500_000} {
		c.Radios[i].Enabled, c.Radios[i].Frequency = true, centre
	}
	for i, offset := range []int32{-400_000, -200_000, 0, -400_000, -200_000, 0, 200_000, 400_000} {
		c.Channels[i] = sx1302.Channel{Enabled: true, Offset: offset}
		if i < 3 {
			c.Channels[i].Chain = 1
		}
	}
	model := sx1302test.New(sx1302test.Options{EUI: eui})
	model.OnAir(w.air, sx1302test.OnAirOptions{
		Receiver: air.ReceiverOptions{EUI: eui}, RSSIOffset: board.Radios[0].RSSIOffset, Latch: sx1302.Latch, Power: board.Radios[0].Emits,
	})
	chip, err := sx1302.New(model, c, sx1302.Options{
		Firmware: sx1302.Firmware{AGC: sx1302test.Image(sx1302test.AGCSX1250), ARB: sx1302test.Image(sx1302test.ARB)},
		Reset:    func(context.Context) error { model.Reset(); return nil },
	})
	if err != nil {
		w.Fatal(err)
	}
	d, err := sx1302.NewDriver(sx1302.DriverOptions{Chip: chip, EUI: eui, Now: w.clock.Host, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.Fatal(err)
	}
	w.add(eui, d, false)
	return d
}

// TestAirChip has devices join and talk through a model of the chip, two at a
// time, so that one of them is answered in RX2. What is answered begins within a
// microsecond of its window.
func TestAirChip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices, uplinks = 8, 5
		w := newWorld(t, "EU_863_870_TTN")
		driver := w.chip(radio.EUI64{0xC})
		joined, acknowledged, windows := 0, 0, map[int]int{}
		var wrong []string
		var all []*air.Device
		for i := range devices {
			all = append(all, w.otaa(i, air.DeviceOptions{
				DataRate: uint8(2 + i/2), RSSI: -8000, SNR: 700,
				Heard: func(h air.Heard) {
					if h.Margin < -time.Microsecond || h.Margin > time.Microsecond {
						wrong = append(wrong, fmt.Sprintf("%s: %v from RX%d", h.Device, h.Margin, h.Window))
					}
					windows[h.Window]++
					switch {
					case h.JoinAccept != nil:
						joined++
					case h.Data != nil && h.Data.ACK:
						acknowledged++
					}
				},
				Missed: func(m air.Missed) { wrong = append(wrong, m.Device+": "+m.Reason) },
				Silent: func(air.Sent) { wrong = append(wrong, "nothing heard") },
			}))
		}
		w.run()
		time.Sleep(5 * time.Second) // the start of the chip
		for _, v := range all {
			if _, err := v.Join(); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Second)
		}
		for n := range uplinks {
			for i, v := range all {
				d := frame.Data{MType: frame.ConfirmedUp, FPort: 1, HasFPort: true, FRMPayload: []byte{byte(n)}}
				if _, err := v.Send(d); err != nil {
					t.Error(err)
				}
				if i%2 == 1 {
					time.Sleep(20 * time.Second)
				}
			}
		}
		w.stop()
		if joined != devices || acknowledged != devices*uplinks || len(wrong) > 0 {
			t.Errorf("%d joined, %d acknowledged, %v, %+v", joined, acknowledged, wrong, driver.Stats())
		}
		if windows[2] < uplinks*devices/2-2 {
			t.Errorf("heard in windows %v: that tests little of RX2", windows)
		}
	})
}
