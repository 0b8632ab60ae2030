package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator"
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
	_, d := w.chipOn(eui, sx1302test.Options{}, 0)
	return d
}

// chipOn is chip with options of the model, and how often it is polled.
func (w *world) chipOn(eui radio.EUI64, o sx1302test.Options, poll time.Duration) (*sx1302test.Chip, *sx1302.Driver) {
	w.Helper()
	s := config.SX1302{Board: "rak2287", SX1261: "/dev/spidev0.1"}
	c, err := s.Concentrator(w.plan.ID())
	if err != nil {
		w.Fatal(err)
	}
	var model *sx1302test.Chip
	o.EUI = eui
	sim := simulation{air: w.air, chip: o, made: func(m *sx1302test.Chip) { model = m }}
	h, err := w.path(sim.open)(&s, &c)
	if err != nil {
		w.Fatal(err)
	}
	firmware, err := h.Firmware()
	if err != nil {
		w.Fatal(err)
	}
	chip, err := sx1302.New(h.Conn, c.Chip, sx1302.Options{Firmware: firmware, Reset: h.Reset, SX1261: h.SX1261})
	if err != nil {
		w.Fatal(err)
	}
	options := sx1302.DriverOptions{
		Chip: chip, EUI: eui, Now: w.clock.Host, Poll: poll, Logger: slog.New(slog.DiscardHandler),
	}
	if w.gnss != nil {
		options.GNSS = w.gnss
	}
	d, err := sx1302.NewDriver(options)
	if err != nil {
		w.Fatal(err)
	}
	w.add(eui, again{d}, false)
	return model, d
}

// again is a driver that is run again when it gives up, as one whose board is
// opened anew.
type again struct{ *sx1302.Driver }

// Run implements concentrator.Driver.
func (a again) Run(ctx context.Context, sink concentrator.Sink) error {
	for ctx.Err() == nil {
		if err := a.Driver.Run(ctx, sink); err != nil {
			sleep(ctx, time.Second)
		}
	}
	return nil
}

// hearing is what devices hear.
type hearing struct {
	joined, acknowledged int
	windows              map[int]int
	wrong                []string
}

func newHearing() *hearing { return &hearing{windows: map[int]int{}} }

// options are those of a device of which all that it hears is counted, and what
// is not within a microsecond of a window, or missing, is wrong.
func (x *hearing) options(dataRate uint8) air.DeviceOptions {
	return air.DeviceOptions{
		DataRate: dataRate, RSSI: -8000, SNR: 700,
		Heard: func(h air.Heard) {
			if h.Margin.Abs() > time.Microsecond {
				x.wrong = append(x.wrong, fmt.Sprintf("%s: %v from RX%d", h.Device, h.Margin, h.Window))
			}
			x.windows[h.Window]++
			switch {
			case h.JoinAccept != nil:
				x.joined++
			case h.Data != nil && h.Data.ACK:
				x.acknowledged++
			}
		},
		Missed: func(m air.Missed) { x.wrong = append(x.wrong, m.Device+": "+m.Reason) },
		Silent: func(air.Sent) { x.wrong = append(x.wrong, "nothing heard") },
	}
}

// joins has devices join one after the other.
func (x *hearing) joins(t *testing.T, devices []*air.Device) {
	t.Helper()
	for _, v := range devices {
		if _, err := v.Join(); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Second)
	}
}

// TestAirListens has devices of a Japanese plan talk through a model of the chip
// with an SX1261. The channel of every third answer is taken when its RX1 comes;
// that goes by RX2 then, and never out on a channel that is taken.
func TestAirListens(t *testing.T) {
	overChipPaths(t, func(t *testing.T, path func(opener) opener) {
		const devices, uplinks = 3, 8
		w := newWorld(t, "AS_920_923_TTN_JP_1")
		w.path = path
		asked := 0
		model, driver := w.chipOn(radio.EUI64{0xC}, sx1302test.Options{Taken: func(*sx1302test.Emission) bool {
			asked++
			return asked > devices && asked%3 == 0 // no join-accept: with its list of channels it is too long for RX2
		}}, 0)
		h := newHearing()
		var all []*air.Device
		for i := range devices {
			all = append(all, w.otaa(i, h.options(uint8(3+i))))
		}
		w.run()
		time.Sleep(6 * time.Second) // the start of the chip
		h.joins(t, all)
		for n := range uplinks {
			for _, v := range all {
				if _, err := v.Send(frame.Data{
					MType: frame.ConfirmedUp, FPort: 1, HasFPort: true,
					FRMPayload: []byte{byte(n)},
				}); err != nil {
					t.Error(err)
				}
				time.Sleep(20 * time.Second)
			}
		}
		w.stop()
		s := driver.Stats()
		if h.joined != devices || h.acknowledged != devices*uplinks || len(h.wrong) > 0 ||
			s.JIT.Failed+s.JIT.TooLate+s.Missed > 0 {
			t.Errorf("%+v, %+v", h, s)
		}
		taken := 0
		for _, e := range model.Emissions() {
			if e.Cut {
				taken++
			}
		}
		if taken != asked/3-1 || uint64(taken) != s.ChannelBusy || h.windows[2] != taken {
			t.Errorf("%d of %d channels were taken, %d told, heard in windows %v", taken, asked, s.ChannelBusy, h.windows)
		}
	})
}

// TestAirChip has devices join and talk through a model of the chip, two at a
// time, so that one of them is answered in RX2. What is answered begins within a
// microsecond of its window.
func TestAirChip(t *testing.T) {
	overChipPaths(t, func(t *testing.T, path func(opener) opener) {
		const devices, uplinks = 8, 5
		w := newWorld(t, "EU_863_870_TTN")
		w.path = path
		driver := w.chip(radio.EUI64{0xC})
		h := newHearing()
		var all []*air.Device
		for i := range devices {
			all = append(all, w.otaa(i, h.options(uint8(2+i/2))))
		}
		w.run()
		time.Sleep(5 * time.Second) // the start of the chip
		h.joins(t, all)
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
		if h.joined != devices || h.acknowledged != devices*uplinks || len(h.wrong) > 0 {
			t.Errorf("%+v, %+v", h, driver.Stats())
		}
		if h.windows[2] < uplinks*devices/2-2 {
			t.Errorf("heard in windows %v: that tests little of RX2", h.windows)
		}
	})
}
