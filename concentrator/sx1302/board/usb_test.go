package board

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/sx1302test"
)

// cycle is what a reset sets of the lines of a bridge.
var cycle = []string{"A1 true", "A2 true", "A2 false", "A8 false", "A8 true"}

// TestOpenUSB opens each board of the table that is to be had with a USB bridge: all lines
// and the sensor are the bridge's, and the chips are reset at the end.
func TestOpenUSB(t *testing.T) {
	all, err := Boards()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, b := range all {
		if !b.Bridge || seen[b.Name] {
			continue
		}
		seen[b.Name] = true
		t.Run(b.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { openUSB(t, b) })
		})
	}
	for _, name := range []string{
		"rak2287", "rak5146", "wm1302", "lr1302", "emb_lr1302_mpcie", "gwc_02_lw_868", "gwc_02_lw_915", "sx1302css868gw1",
		"sx1302css915gw1", "sx1302css923gw1", "corecell_usb", "rak7267", "rak7289v2", "rak7391",
	} {
		if !seen[name] {
			t.Errorf("%s is not to be had with a USB bridge", name)
		}
		delete(seen, name)
	}
	if len(seen) > 0 {
		t.Errorf("boards with a USB bridge that nobody knows of: %v", seen)
	}
}

func openUSB(t *testing.T, b Board) {
	t.Helper()
	h := &fakeHost{model: sx1302test.New(sx1302test.Options{})}
	b.UseUSB("/dev/ttyACM3")
	hw, err := Open(h, &b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if done := h.done(); !slices.Equal(done, []string{"open /dev/ttyACM3"}) {
		t.Errorf("opened: %v", done)
	}
	if err := hw.Reset(t.Context()); err != nil || hw.SX1261 == nil {
		t.Error(err)
	}
	if done := h.done(); !slices.Equal(done, cycle) {
		t.Errorf("reset: %v", done)
	}
	if c, err := hw.Temperature(); err != nil || c != 7*256 {
		t.Errorf("%d, %v", c, err)
	}
	if err := hw.Close(); err != nil {
		t.Error(err)
	}
	if done := h.done(); !slices.Equal(done, append(slices.Clone(cycle), "close /dev/ttyACM3")) {
		t.Errorf("closed: %v", done)
	}
}

// TestOpenUSBFails: a board that is not there is told, and one that goes while it is closed
// is silent anyway.
func TestOpenUSBFails(t *testing.T) {
	b := Board{Name: "b"}
	b.UseUSB("")
	h := &fakeHost{model: sx1302test.New(sx1302test.Options{}), missing: "usb"}
	if _, err := Open(h, &b, nil); !errors.Is(err, errMissing) {
		t.Error(err)
	}
	if _, err := Open(Linux{}, &b, nil); !errors.Is(err, ErrNoUSB) {
		t.Error(err)
	}
	for fault, want := range map[error]bool{sx1302.ErrGone: true, errMissing: false} {
		u := &fakeUSB{host: h, gone: fault}
		err := silence(Pins{Reset: usbLine{u, usbReset}}).Close()
		if (err == nil) != want {
			t.Errorf("closed with %v: %v", fault, err)
		}
	}
}

func TestIsUSB(t *testing.T) {
	for device, want := range map[string]bool{
		"usb": true, "/dev/ttyACM0": true, "/dev/serial/by-id/usb-RAK-if00": true, "/dev/spidev0.0": false, "sim": false, "": false,
	} {
		if IsUSB(device) != want {
			t.Errorf("%q: %t", device, !want)
		}
	}
}
