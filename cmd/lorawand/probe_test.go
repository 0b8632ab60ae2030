package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"lorawand/concentrator/serial"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
)

// TestProbeUSB finds the concentrators among what looks like one.
func TestProbeUSB(t *testing.T) {
	const one, two, other = "/dev/serial/by-id/usb-ST_1-if00", "/dev/serial/by-id/usb-ST_2-if00", "/dev/ttyACM7"
	plugged := []serial.Device{{Path: one}, {Path: two}, {Path: other, Product: "Zigbee stick"}}
	synctest.Test(t, func(t *testing.T) {
		host := board.Linux{OpenUSB: func(device string) (board.USB, error) {
			o := sx1302test.Options{EUI: chipEUI}
			if device == two {
				o.EUI[7], o.Model = 0x68, 3
			}
			model := sx1302test.New(o)
			far := serialtest.New(serialtest.Board{SX1302: model, Reset: model.Reset})
			if device == other {
				far.Break(serialtest.Fault{Mute: 10_000})
			}
			return serial.New(far.Memory(), serial.Options{Name: device})
		}}
		for name, tt := range map[string]struct {
			plugged []serial.Device
			asJSON  bool
			want    []string
			fails   string
		}{
			"text": {plugged, false, []string{
				"SX1302, version 0x10, EUI 0016C001F1234567, on " + one + "\n", "SX1303, version 0x10, EUI 0016C001F1234568, on " +
					two + "\n",
			}, ""},
			"JSON": {plugged[:1], true, []string{`"device":"` + one + `"`, `"model":"SX1302"`}, ""},
			"only others": {
				plugged[2:], false, nil,
				"is it the USB bridge of a concentrator? If so, unplug it and plug it in again (Zigbee stick: /dev/ttyACM7",
			},
		} {
			var out bytes.Buffer
			err := probeUSB(t.Context(), host, tt.plugged, &out, tt.asJSON)
			if (err != nil) != (tt.fails != "") || err != nil && (!strings.Contains(err.Error(), tt.fails) ||
				!errors.Is(err, serial.ErrNoAnswer)) {
				t.Errorf("%s: %v, want %q", name, err, tt.fails)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: no %q in %s", name, want, out.String())
				}
			}
			if n := strings.Count(out.String(), "\n"); name == "text" && n != 2 {
				t.Errorf("%s: %d lines:\n%s", name, n, out.String())
			}
		}
	})
}
