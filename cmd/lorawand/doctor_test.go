package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
)

// onBoard is a configuration with a concentrator.
const onBoard = "[[gateway]]\nid = \"gate\"\ndriver = \"sx1302\"\n[gateway.sx1302]\nboard = \"rak2287\"\n"

// broken opens a model of the chip with a fault.
func broken(f sx1302test.Fault) opener {
	sim := &simulation{
		air: air.New(1), chip: sx1302test.Options{EUI: chipEUI}, made: func(c *sx1302test.Chip) { c.Break(f) },
	}
	return sim.open
}

// failing opens nothing.
func failing(err error) opener {
	return func(*config.SX1302, *config.Concentrator) (*board.Hardware, error) { return nil, err }
}

// withoutFirmware is a board that works, but for its programs.
func withoutFirmware(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	h, err := broken(sx1302test.Fault{})(s, c)
	h.Firmware = func() (sx1302.Firmware, error) { return sx1302.LoadFirmware("/none", c.Chip) }
	return h, err
}

// doctorCase is a host, and what doctor says of it.
type doctorCase struct {
	conf    string
	open    opener
	running map[string]string
	boot    string // config.txt of a Raspberry Pi
	usb     []serial.Device
	ok      bool
	says    []string
}

var doctorCases = map[string]doctorCase{
	"a board that works": {conf: onBoard, open: broken(sx1302test.Fault{}), ok: true, says: []string{
		"ok    gate bus: SX1302 0016C001F1234567, version 0x10", "ok    gate start: ",
		"ok    gate counter: the counter runs", "ok    gate temperature: 0.0 °C",
	}},
	"nothing is attached": {ok: true, says: []string{
		"SPI: no /dev/spidev*; for a board on SPI switch its port on",
		"USB: no USB bridge; for a board on USB plug it in",
		"configuration: no gateway has a concentrator on board; if there is",
	}},
	"SPI of a Raspberry Pi is off": {
		conf: onBoard, open: failing(fmt.Errorf("open /dev/spidev0.0: %w", os.ErrNotExist)), boot: "#dtparam=spi=on\n",
		says: []string{
			"for a board on SPI write dtparam=spi=on into /boot/firmware/config.txt and reboot",
			"WRONG gate board: open /dev/spidev0.0", "reset header:17); write dtparam=spi=on into",
		},
	},
	"SPI of a Raspberry Pi is on": {
		conf: onBoard, open: broken(sx1302test.Fault{}), boot: "dtparam=spi=on\n", ok: true,
		says: []string{"switch its port on in the device tree"},
	},
	"not in the group": {
		conf: onBoard, open: failing(fmt.Errorf("open /dev/spidev0.0: %w", os.ErrPermission)),
		says: []string{"add the user to the groups spi, gpio"},
	},
	"a forwarder holds the bus": {
		conf: onBoard, open: failing(fmt.Errorf("%w: pkt_fwd, process 7: systemctl disable --now x.service", board.ErrHeld)),
		says: []string{"pkt_fwd, process 7: systemctl disable --now x.service"},
	},
	"no chip": {conf: onBoard, open: broken(sx1302test.Fault{Dead: true}), says: []string{
		"WRONG gate bus: sx1302: no SX1302: version 0xff", "; seat the board anew",
	}},
	"the reset line is another": {
		conf: onBoard, open: broken(sx1302test.Fault{StuckReset: true}), says: []string{"check the reset GPIO"},
	},
	"programs that do not answer": {conf: onBoard, open: broken(sx1302test.Fault{Hang: true}), says: []string{
		"WRONG gate start: ", "check that the radio that gives the clock runs",
	}},
	"no firmware": {conf: onBoard, open: withoutFirmware, says: []string{
		"WRONG gate firmware: ", "lorawand firmware import FILE", "ok    gate bus: ",
	}},
	"the counter stands still": {conf: onBoard, open: broken(sx1302test.Fault{Frozen: true}), says: []string{
		"WRONG gate counter: the counter stands still; check the supply",
	}},
	"USB is not plugged in": {
		conf: strings.Replace(onBoard, "rak2287", "rak7267", 1), open: failing(serial.ErrNoBridge),
		says: []string{"WRONG gate board: ", "plug the board in; lsusb shows it as 0483:5740"},
	},
	"USB boards": {
		usb: []serial.Device{{Path: "/dev/serial/by-id/a"}, {Path: "/dev/ttyACM1"}}, ok: true,
		says: []string{"USB: /dev/serial/by-id/a, /dev/ttyACM1"},
	},
	"the daemon works with it": {
		conf: onBoard, running: map[string]string{"gate": ""}, ok: true,
		says: []string{"ok    gate daemon: the daemon works with it"},
	},
	"the daemon has a fault": {
		conf: onBoard, running: map[string]string{"gate": "no SX1302"}, says: []string{"WRONG gate daemon: no SX1302"},
	},
	"the daemon has other ones": {
		conf: onBoard, running: map[string]string{}, says: []string{"the daemon does not know it; systemctl reload lorawand"},
	},
}

// TestDoctor: each fault of a board is found and has a cure; a board that works is said to.
func TestDoctor(t *testing.T) {
	for name, tt := range doctorCases {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if tt.boot != "" {
				file := filepath.Join(root, "boot", "firmware", "config.txt")
				err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(tt.boot), 0o600))
				if err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Parse([]byte(tt.conf))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { tt.check(t, root, &c) })
		})
	}
}

func (tt *doctorCase) check(t *testing.T, root string, c *config.Config) {
	t.Helper()
	d := &doctor{root: root, open: tt.open, plugged: func() []serial.Device { return tt.usb }, wait: sleep}
	d.faults = func(context.Context) (map[string]string, error) { return tt.running, nil }
	var out bytes.Buffer
	ok := true
	for _, f := range d.examine(t.Context(), c) {
		ok = ok && f.OK
		if err := f.print(&out, false); err != nil {
			t.Fatal(err)
		}
	}
	if ok != tt.ok {
		t.Errorf("all is well: %t", ok)
	}
	for _, says := range tt.says {
		if !strings.Contains(out.String(), says) {
			t.Errorf("no %q in\n%s", says, out.String())
		}
	}
}

// TestDoctorCommand has an exit status, and JSON.
func TestDoctorCommand(t *testing.T) {
	s := newSite(t, "")
	if out := s.must("", "doctor", "--json"); !strings.Contains(out, `{"check":"USB","ok":true,`) {
		t.Errorf("%s", out)
	}
	s = newChipSite(t, `device = "/dev/spidev250.0"`)
	var out, errs bytes.Buffer
	if status := run(
		t.Context(), []string{"doctor", "-c", s.conf}, nil, &out, &errs,
	); status != exitFailed || !strings.Contains(out.String(), "WRONG ") {
		t.Errorf("status %d: %s%s", status, out.String(), errs.String())
	}
}
