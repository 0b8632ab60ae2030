package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/serial"
	"lorawand/concentrator/serial/serialtest"
	"lorawand/concentrator/sx1302/board"
)

// chipPaths are the ways to a chip: whole flows go over each.
var chipPaths = map[string]func(opener) opener{"SPI": overSPI, "USB": overUSB}

// overChipPaths runs a test over each, in fake time.
func overChipPaths(t *testing.T, test func(t *testing.T, path func(opener) opener)) {
	t.Helper()
	for name, path := range chipPaths {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { test(t, path) }) })
	}
}

func overSPI(open opener) opener { return open }

// overUSB has the board that open opens behind a USB bridge, on a port in memory.
func overUSB(open opener) opener {
	return func(s *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
		real, err := open(s, c)
		if err != nil {
			return nil, err
		}
		far := serialtest.New(behind(real))
		b := c.Board
		b.UseUSB(board.AnyUSB)
		host := board.Linux{OpenUSB: func(string) (board.USB, error) {
			return serial.New(far.Memory(), serial.Options{Name: "memory"})
		}}
		h, err := board.Open(host, &b, real.Firmware)
		if err != nil {
			return nil, errors.Join(err, real.Close())
		}
		unplug := h.Close
		h.Close = func() error { return errors.Join(unplug(), real.Close()) }
		h.Timer = real.Timer // of fake time
		return h, nil
	}
}

// behind is a board as a bridge has it. The model of the air needs no correction at 0 °C.
func behind(h *board.Hardware) serialtest.Board {
	return serialtest.Board{
		SX1302: h.Conn, SX1261: h.SX1261, Celsius: func() uint16 { return 0 },
		Reset: func() { _ = h.Reset(context.Background()) }, // of a model, which has no other error
	}
}

// usbHost is a host where a model of a board is plugged in as a tty.
type usbHost struct {
	*serialtest.Host
	bridge *serialtest.Bridge
	ports  *serial.Ports
	real   *board.Hardware
}

// plugIn plugs the board that open opens in at ttyACM0.
func plugIn(t *testing.T, open opener, c *config.Concentrator) (*usbHost, *serialtest.Plugged) {
	t.Helper()
	real, err := open(nil, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = real.Close() })
	h, err := serialtest.NewHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	u := &usbHost{Host: h, bridge: serialtest.New(behind(real)), real: real, ports: &serial.Ports{
		Roots: serial.Roots{Dev: h.Dev, Sys: h.Sys}, Lock: board.Linux{}.Lock,
		Options: serial.Options{Within: 10 * time.Second},
	}}
	return u, u.plug(t, 0)
}

func (u *usbHost) plug(t *testing.T, number int) *serialtest.Plugged {
	t.Helper()
	p, err := u.Plug(u.bridge, number, "0483:5740")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open is an opener that finds the board of the host.
func (u *usbHost) open(_ *config.SX1302, c *config.Concentrator) (*board.Hardware, error) {
	return board.Open(board.Linux{OpenUSB: func(string) (board.USB, error) { return u.usb() }}, &c.Board, u.real.Firmware)
}

func (u *usbHost) usb() (board.USB, error) {
	b, err := u.ports.Open(serial.Any)
	if err != nil {
		return nil, err
	}
	return b, nil
}
