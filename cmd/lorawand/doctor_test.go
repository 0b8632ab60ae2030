package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/air"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/sx1302"
	"lorawand/concentrator/sx1302/board"
	"lorawand/concentrator/sx1302/sx1302test"
)

// model opens a board whose chip has a fault.
func model(f sx1302test.Fault) opener {
	sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI}, made: func(c *sx1302test.Chip) {
		c.Break(f)
	}}
	return sim.open
}

// fails opens nothing.
func fails(err error) opener {
	return func(*config.SX1302, *config.Concentrator) (*board.Hardware, error) { return nil, err }
}

// noFirmware opens a board without images.
func noFirmware(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	h, err := model(sx1302test.Fault{})(s, c)
	h.Firmware = func() (sx1302.Firmware, error) { return sx1302.LoadFirmware("/none", c.Chip) }
	return h, err
}

// sensorless has a board whose sensor answers nothing, or that has none.
func sensorless(sensor func() (int32, error)) opener {
	return func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
		h, err := model(sx1302test.Fault{})(s, c)
		h.Temperature = sensor
		return h, err
	}
}

// deafRadio is a board whose radio A answers nothing.
func deafRadio(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI, Fail: func(w []byte) error {
		if w[0] == 1 {
			return errors.New("no answer")
		}
		return nil
	}}}
	return sim.open(s, c)
}

// TestPermissionFix: how a user gets at a device depends on whether a group has it.
func TestPermissionFix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spidev0.0")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := fmt.Errorf("%w; check", &os.PathError{Op: "open", Path: path, Err: os.ErrPermission})
	if got := permissionFix(err); !strings.Contains(got, "no group may use "+path+": install the udev rules") {
		t.Error(got)
	}
	of := "add the user to the group of " + path + ": usermod -aG "
	if os.Chmod(path, 0o660) != nil || os.Chown(path, -1, 65534) != nil {
		of = "/" // only root may give a file away; the group is that of the user
	}
	if got := permissionFix(err); !strings.Contains(got, of) {
		t.Error(got)
	}
	if got := permissionFix(os.ErrPermission); got != "add the user to the groups spi, gpio, i2c and dialout" {
		t.Error(got)
	}
}

const onBoard = "[[gateway]]\nid = \"gate\"\ndriver = \"sx1302\"\n[gateway.sx1302]\nboard = \"rak2287\"\n"

func withGNSS(device string) string {
	return onBoard + "[gateway.sx1302.gnss]\ndevice = \"" + device + "\"\n"
}

func noPulses(time.Duration) (last, next time.Duration) { return -1, -1 }

// skies are lines to satellite receivers, by their device.
func skies(device string, _ int) (io.ReadWriteCloser, error) {
	switch device {
	case "/dev/silent":
		return &skyLine{gap: func(time.Time) bool { return true }}, nil
	case "/dev/blind":
		return &skyLine{gap: func(time.Time) bool { return false }, blind: true}, nil
	case "/dev/good":
		return &skyLine{gap: func(time.Time) bool { return false }}, nil
	}
	return nil, fmt.Errorf("open %s: %w", device, os.ErrNotExist)
}

var examinations = map[string]struct {
	conf    string
	open    opener
	running map[string]string
	boot    string
	usb     []serial.Device
	ok      bool
	says    []string
}{
	"a board that works": {onBoard, model(sx1302test.Fault{}), nil, "", nil, true, []string{
		"ok    gate bus: SX1302 0016C001F1234567, version 0x10", "ok    gate start: ",
		"ok    gate counter: the counter runs", "ok    gate temperature: 0.0 °C",
	}},
	"a sensor that does not answer": {
		onBoard, sensorless(func() (int32, error) { return 0, errors.New("no answer") }), nil, "", nil, true,
		[]string{"info  gate temperature: no answer: 25 °C is taken"},
	},
	"no sensor": {
		onBoard, sensorless(nil), nil, "", nil, true,
		[]string{"info  gate temperature: the board has no sensor: 25 °C is taken"},
	},
	"nothing is attached": {"", nil, nil, "", nil, true, []string{
		"info  SPI: no /dev/spidev*; for a board on SPI switch its port on",
		"info  USB: no USB bridge; for a board on USB plug it in",
		"info  configuration: no gateway has a concentrator on board; if there is",
	}},
	"SPI of a Raspberry Pi is off": {
		onBoard, fails(fmt.Errorf("open /dev/spidev0.0: %w", os.ErrNotExist)), nil,
		"#dtparam=spi=on\n", nil, false,
		[]string{
			"for a board on SPI write dtparam=spi=on into /boot/firmware/config.txt and reboot",
			"WRONG gate board: open /dev/spidev0.0", "reset header:17); write dtparam=spi=on into",
		},
	},
	"SPI of a Raspberry Pi is on": {
		onBoard, model(sx1302test.Fault{}), nil, "dtparam=spi=on\n", nil, true,
		[]string{"switch its port on in the device tree"},
	},
	"no satellite receiver on its line": {
		withGNSS("/dev/none"), model(sx1302test.Fault{}), nil, "", nil, false,
		[]string{
			"WRONG gate GNSS: the GNSS receiver cannot be used: open /dev/none: file does not", "; look whether /dev/none is",
		},
	},
	"a satellite receiver that says nothing": {
		withGNSS("/dev/silent"), model(sx1302test.Fault{}), nil, "", nil, false,
		[]string{"WRONG gate GNSS: the GNSS receiver on /dev/silent says nothing; look at its supply"},
	},
	"a satellite receiver without a fix": {
		withGNSS("/dev/blind"), model(sx1302test.Fault{}), nil, "", nil, false,
		[]string{"WRONG gate GNSS: the GNSS receiver on /dev/blind has no fix; put its antenna where"},
	},
	"a satellite receiver without a pulse": {
		withGNSS("/dev/good"), func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
			sim := &simulation{air: air.New(1), chip: sx1302test.Options{EUI: chipEUI, Pulses: noPulses}}
			return sim.open(s, c)
		}, nil, "", nil, false,
		[]string{
			"ok    gate GNSS: the receiver on /dev/good has a fix, with 9 satellites",
			"WRONG gate pulse: no pulse each second; give",
		},
	},
	"a satellite receiver that works": {
		withGNSS("/dev/good"), model(sx1302test.Fault{}), nil, "", nil, true,
		[]string{"ok    gate GNSS: the receiver on /dev/good has a fix", "ok    gate pulse: a pulse each second is seen"},
	},
	"no port and no firmware": {
		strings.Replace(onBoard, "board =", "firmware = \"/none\"\nboard =", 1), newOpener(), nil, "", nil, false,
		[]string{
			"WRONG gate board: open /dev/spidev0.0: no such file", "; attach the board; for one on SPI switch the port on",
			"WRONG gate firmware: ", "agc_fw_sx1250.var of https://github.com/Lora-net/sx1302_hal",
		},
	},
	"lines of another chip": {
		strings.Replace(onBoard, "board =", "reset = \"gpiochip0:17\"\nboard =", 1), model(sx1302test.Fault{}), nil, "", nil,
		true,
		[]string{`GPIO: reset = "gpiochip0:17" is no line of this host's 40-pin header; if it is one of the header, write ` +
			`reset = "header:17"`},
	},
	"a radio that does not reach standby": {
		onBoard, deafRadio, nil, "", nil, false,
		[]string{"WRONG gate start: ", "radio A"},
	},
	"an SX1261 that does not answer": {
		strings.Replace(onBoard, "board =", "noise_floor = \"1h\"\nsx1261 = \"/dev/spidev0.1\"\nboard =", 1),
		model(sx1302test.Fault{DeadSX1261: true}), nil, "", nil, false,
		[]string{"WRONG gate SX1261: ", "check its device node, its reset line"},
	},
	"an SX1261 that works": {
		strings.Replace(onBoard, "board =", "noise_floor = \"1h\"\nsx1261 = \"/dev/spidev0.1\"\nboard =", 1),
		model(sx1302test.Fault{}), nil, "", nil, true,
		[]string{"ok    gate SX1261: it can measure the noise floor"},
	},
	"not in the group": {
		onBoard, fails(fmt.Errorf("open /dev/spidev0.0: %w", os.ErrPermission)), nil, "", nil,
		false,
		[]string{"add the user to the groups spi, gpio"},
	},
	"a forwarder holds the bus": {
		onBoard,
		fails(fmt.Errorf("%w: lora_pkt_fwd, process 7: systemctl disable --now x.service", board.ErrHeld)), nil, "", nil,
		false,
		[]string{"lora_pkt_fwd, process 7: systemctl disable --now x.service"},
	},
	"no chip": {
		onBoard, model(sx1302test.Fault{Dead: true}), nil, "", nil, false,
		[]string{"WRONG gate bus: sx1302: no SX1302: version 0xff", "; seat the board anew"},
	},
	"the reset line is another": {
		onBoard, model(sx1302test.Fault{StuckReset: true}), nil, "", nil, false,
		[]string{"check the reset GPIO"},
	},
	"programs that do not answer": {
		onBoard, model(sx1302test.Fault{Hang: true}), nil, "", nil, false,
		[]string{"WRONG gate start: ", "check that the radio that gives the clock runs"},
	},
	"no firmware": {
		onBoard, noFirmware, nil, "", nil, false,
		[]string{"WRONG gate firmware: ", "lorawand firmware import FILE", "ok    gate bus: "},
	},
	"the counter stands still": {
		onBoard, model(sx1302test.Fault{Frozen: true}), nil, "", nil, false,
		[]string{"WRONG gate counter: the counter stands still; check the supply"},
	},
	"USB is not plugged in": {
		strings.Replace(onBoard, "rak2287", "rak7267", 1), newOpener(), nil, "", nil, false,
		[]string{"WRONG gate board: ", "plug the board in; lsusb shows it as 0483:5740"},
	},
	"USB boards": {"", nil, nil, "", []serial.Device{
		{Path: "/dev/serial/by-id/a"},
		{Path: "/dev/ttyACM1"},
	}, true, []string{"USB: /dev/serial/by-id/a, /dev/ttyACM1"}},
	"the daemon works with it": {onBoard, nil, map[string]string{"gate": ""}, "", nil, true, []string{"info  gate daemon: the daemon works with it; stop the daemon to"}},
	"the daemon has a fault":   {onBoard, nil, map[string]string{"gate": "no SX1302"}, "", nil, false, []string{"WRONG gate daemon: no SX1302"}},
	"the daemon has other ones": {
		onBoard, nil,
		map[string]string{},
		"", nil, false,
		[]string{"the daemon does not know it; systemctl reload lorawand"},
	},
}

// A fault of a board is found and has a cure; a board that works is said to.
func TestDoctor(t *testing.T) {
	for name, tt := range examinations {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if tt.boot != "" {
				file := filepath.Join(root, "boot", "firmware", "config.txt")
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(tt.boot),
					0o600)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := config.Parse([]byte(tt.conf))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				offHeader := func(line string) string {
					return map[string]string{"gpiochip0:17": "header:17"}[line]
				}
				d := &doctor{
					offHeader: offHeader, root: root, open: tt.open, plugged: func() []serial.Device { return tt.usb },
					line: skies, wait: sleep,
				}
				d.faults = func(context.Context) (map[string]string, error) { return tt.running, nil }
				var out bytes.Buffer
				ok := true
				for _, f := range d.examine(t.Context(), &c) {
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
			})
		})
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
	if status := run(t.Context(), []string{"doctor", "-c", s.conf}, nil, &out, &errs); status != exitFailed ||
		!strings.Contains(out.String(), "WRONG ") {
		t.Errorf("status %d: %s%s", status, out.String(), errs.String())
	}
}
