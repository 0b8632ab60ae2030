package board

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"periph.io/x/conn/v3/spi"

	"lorawand/concentrator/sx1302"
)

// AnyUSB is the device of the only board of a host that is behind a USB bridge. It also
// stands for what else the bridge has: the SX1261 and the temperature sensor.
const AnyUSB = "usb"

// IsUSB reports whether a device is that of a USB bridge: a tty, or AnyUSB.
func IsUSB(device string) bool {
	return device == AnyUSB || strings.HasPrefix(device, "/dev/tty") || strings.HasPrefix(device, "/dev/serial/")
}

// USB is a USB bridge that was opened: the port to the SX1302, and what else the bridge has.
type USB interface {
	sx1302.Bridge
	io.Closer
	SX1261() spi.Conn
	SetLine(pin byte, high bool) error
	Temperature() (int32, error) // 1/256 °C
}

// Lines of a USB bridge, of port A of its microcontroller.
//
// Source: sx1302_hal 2.1.0, libloragw/src/loragw_usb.c.
const (
	usbPower       = 1
	usbReset       = 2
	usbSX1261Reset = 8
)

// UseUSB has the board work behind its USB bridge, which has all lines and the sensor. A
// device of "" is AnyUSB.
func (b *Board) UseUSB(device string) {
	if device == "" {
		device = AnyUSB
	}
	b.Device, b.SX1261, b.I2C = device, AnyUSB, AnyUSB
	b.Reset, b.Power, b.SX1261Reset = "", "", ""
}

// ErrNoUSB is the reason when a program opens no USB bridges.
var ErrNoUSB = errors.New("this build has no driver for boards behind a USB bridge")

// USB implements Host.
func (l Linux) USB(device string) (USB, error) {
	if l.OpenUSB == nil {
		return nil, ErrNoUSB
	}
	return l.OpenUSB(device)
}

// usbLine is a line of a bridge.
type usbLine struct {
	usb USB
	pin byte
}

// Set implements Pin.
func (l usbLine) Set(high bool) error { return l.usb.SetLine(l.pin, high) }

// usb opens a board behind a USB bridge. When it is closed the chips are reset, so that
// they are silent.
func (c *closers) usb(h Host, b *Board) (*Hardware, error) {
	u, err := h.USB(b.Device)
	if err != nil {
		return nil, err
	}
	*c = append(*c, u)
	pins := Pins{Power: usbLine{u, usbPower}, Reset: usbLine{u, usbReset}, SX1261Reset: usbLine{u, usbSX1261Reset}}
	*c = append(*c, silence(pins))
	hw := &Hardware{Conn: u, Reset: pins.Cycle, Timer: sx1302.NewKernelTimer}
	if b.SX1261 != "" {
		hw.SX1261 = u.SX1261()
	}
	if b.I2C != "" {
		hw.Temperature = u.Temperature
	}
	return hw, nil
}

// silence resets the chips when it is closed, without the time that a start needs.
type silence Pins

// Close implements io.Closer. A board that was unplugged is silent.
func (s silence) Close() error {
	s.Sleep = func(context.Context, time.Duration) error { return nil }
	if err := Pins(s).Cycle(context.Background()); err != nil && !errors.Is(err, sx1302.ErrGone) {
		return err
	}
	return nil
}
