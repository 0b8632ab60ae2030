package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"lorawand/cmd/lorawand/config"
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

// TestProbeUSBBoards: every board of the table that is made with a bridge is found behind
// one, by its name too; the others say that they are not.
func TestProbeUSBBoards(t *testing.T) {
	bridged := 0
	for _, name := range namesOf(t) {
		b := &workbench{keys: config.SX1302{Board: name, Device: board.AnyUSB}}
		var err error
		if b.Concentrator, err = b.keys.Probed(); err != nil {
			if !strings.Contains(err.Error(), name+" is not made with a USB bridge") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		bridged++
		synctest.Test(t, func(t *testing.T) {
			model := sx1302test.New(sx1302test.Options{EUI: chipEUI})
			far := serialtest.New(serialtest.Board{SX1302: model, Reset: model.Reset})
			b.way = openOn(board.Linux{OpenUSB: func(string) (board.USB, error) {
				return serial.New(far.Memory(), serial.Options{Name: "/dev/serial/by-id/usb-ST_1-if00"})
			}})
			var out bytes.Buffer
			const want = "SX1302, version 0x10, EUI 0016C001F1234567, on /dev/serial/by-id/usb-ST_1-if00\n"
			if err := b.probe(t.Context(), &out, false); err != nil || out.String() != want || model.Resets() == 0 {
				t.Errorf("%s: %v, %q, want %q", name, err, out.String(), want)
			}
		})
	}
	if bridged != 14 {
		t.Errorf("%d boards of the table are made with a bridge, want 14", bridged)
	}
}

// namesOf returns the names of the table of boards.
func namesOf(t *testing.T) (names []string) {
	t.Helper()
	all, err := board.Boards()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if !slices.Contains(names, all[i].Name) {
			names = append(names, all[i].Name)
		}
	}
	return names
}
